//! `sightline image`: environments made ready before a job asks for them.

use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use sightline_ports::{Clock, Progress, SystemClock};

use crate::config::EnvironmentOptions;
use crate::say;
use crate::serve::environment_settings;

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Builds the environment that stands in for an image, unless it is there already.
    Build {
        /// The image's URI, or just its repository and tag.
        image: String,
        #[command(flatten)]
        options: EnvironmentOptions,
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
        let Self::Build { image, options } = self;
        rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = environment_settings(&options.load()?.settings)?;
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
