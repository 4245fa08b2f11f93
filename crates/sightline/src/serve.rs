//! `sightline serve`.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use clap::Args;
use sightline_config::{Log, Settings};
use sightline_server::{EnvironmentSettings, Ready, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::{Configuration, Options};
use crate::environment::posix_quoted;
use crate::places;
use crate::say;

const CLIENT_SHIM: &str = include_str!("../client/sitecustomize.py");

/// The exit code of a server that was told twice to end.
const EXIT_AT_ONCE: i32 = 130;

/// How the server is started.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    options: Options,
}

impl Serve {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) fn run(self) -> Result<()> {
        let Configuration {
            settings, data_dir, ..
        } = self.options.load()?;
        start_log(&settings.log)?;
        // What jobs are shown must be readable by them; what is private is protected by name.
        rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
        let config = ServerConfig {
            jobs_dir: places::jobs_dir(settings.jobs.dir.as_deref(), &data_dir)?,
            data_dir,
            environments: environment_settings(&settings)?,
            settings,
            client_shim: CLIENT_SHIM,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (end, shutdown) = watch::channel(false);
            let signals = end_on_signal(end)?;
            let served = Box::pin(sightline_server::run(config, shutdown, announce)).await;
            signals.abort();
            served.context("the server cannot run")
        })
    }
}

/// How environments are made, with what only this process knows.
pub(crate) fn environment_settings(settings: &Settings) -> Result<EnvironmentSettings> {
    let environments = &settings.environments;
    Ok(EnvironmentSettings {
        cache_dir: places::cache_dir(environments.cache_dir.as_deref())?,
        pythons: environments.pythons.clone(),
        search_path: places::variable("PATH"),
        home: places::home(),
        installer_variables: places::installer_variables(),
        offline: environments.offline,
        strict: environments.strict_images,
        recipes: places::recipes(environments.recipes_file.as_deref())?,
    })
}

fn start_log(log: &Log) -> Result<()> {
    let filter = &log.filter;
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("log.filter = {filter:?} is not a filter of log lines"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if log.json {
        lines.json().init();
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).init();
    }
    Ok(())
}

fn end_on_signal(end: watch::Sender<bool>) -> Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    #[expect(clippy::disallowed_methods, reason = "the caller holds and ends it")]
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        end.send_replace(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // What was acknowledged is on disk; what is under way is cut off, as a crash would.
        tracing::warn!("ended at once by a second signal");
        std::process::exit(EXIT_AT_ONCE);
    }))
}

/// The two lines that a user needs come last.
fn announce(ready: &Ready) {
    for sentence in &ready.isolation {
        say::line(format!("jobs: {sentence}"));
    }
    say::line(format!(
        "data in {}, account {}, default bucket {}",
        ready.data_dir.display(),
        ready.account,
        ready.default_bucket
    ));
    let data_dir = posix_quoted(&ready.data_dir.to_string_lossy());
    say::line(format!("listening on {}", ready.endpoint));
    say::line(format!(
        "in each shell: eval \"$(sightline env --data-dir {data_dir})\""
    ));
}
