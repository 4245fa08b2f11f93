//! `sightline image`: environments made ready before a job asks for them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use sightline_ports::{Clock, Progress, SystemClock};

use crate::{places, say};

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Builds the environment that stands in for an image, unless it is there already.
    Build {
        /// The image's URI, or just its repository and tag.
        image: String,
        /// Where environments are kept.
        #[arg(long, value_name = "DIR", env = "SIGHTLINE_CACHE_DIR")]
        cache_dir: Option<PathBuf>,
        /// A TOML file with recipes for further images.
        #[arg(long, value_name = "FILE", env = "SIGHTLINE_RECIPES")]
        recipes: Option<PathBuf>,
        /// An interpreter to use before those of the system; may be given several times.
        #[arg(long = "python", value_name = "PATH")]
        pythons: Vec<PathBuf>,
    },
}

struct Steps;

impl Progress for Steps {
    fn step(&self, text: &str) {
        say::line(format!("  {text}"));
    }
}

impl Image {
    pub(crate) fn run(self) -> Result<()> {
        let Self::Build {
            image,
            cache_dir,
            recipes,
            pythons,
        } = self;
        rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = sightline_server::EnvironmentSettings {
            cache_dir: places::cache_dir(cache_dir)?,
            pythons,
            search_path: places::variable("PATH"),
            home: places::home(),
            installer_variables: places::installer_variables(),
            offline: false,
            strict: false,
            recipes: places::recipes(recipes.as_deref())?,
        };
        let environments = settings.environments(&clock)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let environment = runtime.block_on(environments.prepare(&image, &Steps))?;
        say::line(format!(
            "{} on {}",
            environment.name, environment.interpreter
        ));
        for sentence in &environment.substitutions {
            say::line(format!("  {sentence}"));
        }
        Ok(())
    }
}
