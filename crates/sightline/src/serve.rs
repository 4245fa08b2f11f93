//! `sightline serve`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use sightline_server::{EnvironmentSettings, Ready, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::environment::posix_quoted;
use crate::places::{self, DataDirOption};
use crate::say;

const CLIENT_SHIM: &str = include_str!("../client/sitecustomize.py");

/// How the server is started.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The address to listen at; port 0 takes a free one.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:7070",
        env = "SIGHTLINE_LISTEN"
    )]
    listen: SocketAddr,
    #[command(flatten)]
    data: DataDirOption,
    /// Where environments are kept [default: ~/.cache/sightline; /var/cache/sightline for root].
    #[arg(long, value_name = "DIR", env = "SIGHTLINE_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// The region that clients sign for: one that AWS's clients know.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "us-east-1",
        env = "SIGHTLINE_REGION"
    )]
    region: String,
    /// An interpreter for environments, before those of the system; may be given several times.
    #[arg(long = "python", value_name = "PATH")]
    pythons: Vec<PathBuf>,
    /// Builds no environment that would need a download.
    #[arg(long)]
    offline: bool,
    /// Refuses images of which not every promise can be kept, instead of the nearest environment.
    #[arg(long)]
    strict_images: bool,
    /// A TOML file with recipes for further images; docs/environments.md shows one.
    #[arg(long, value_name = "FILE", env = "SIGHTLINE_RECIPES")]
    recipes: Option<PathBuf>,
}

impl Serve {
    /// Runs until SIGTERM or SIGINT.
    pub(crate) fn run(self) -> Result<()> {
        start_log();
        // What jobs are shown must be readable by them; what is private is protected by name.
        rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
        let data_dir = self.data.path()?;
        let config = ServerConfig {
            listen: self.listen,
            jobs_dir: places::jobs_dir(&data_dir),
            data_dir,
            environments: EnvironmentSettings {
                cache_dir: places::cache_dir(self.cache_dir)?,
                pythons: self.pythons,
                search_path: places::variable("PATH"),
                home: places::home(),
                installer_variables: places::installer_variables(),
                offline: self.offline,
                strict: self.strict_images,
                recipes: places::recipes(self.recipes.as_deref())?,
            },
            region: self.region.parse()?,
            client_shim: CLIENT_SHIM,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (end, shutdown) = watch::channel(false);
            let signals = end_on_signal(end)?;
            let served = sightline_server::run(config, shutdown, announce).await;
            signals.abort();
            served.context("the server cannot run")
        })
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SIGHTLINE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
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
        std::future::pending::<()>().await;
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
