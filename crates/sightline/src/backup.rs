//! `sightline backup` and `sightline restore`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use sightline_ports::SystemClock;
use sightline_server::backup::{self, BackUp};

use crate::config::Options;
use crate::say;

/// What is backed up, and where to.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A directory, which a later backup adds to, or a file whose name ends in .tar.
    #[arg(long, value_name = "DIR|FILE.tar")]
    to: PathBuf,
    /// Copies files that hold secrets too: the key file, certificates' keys, credentials.
    #[arg(long)]
    include_secrets: bool,
    #[command(flatten)]
    options: Options,
}

/// What is restored, and where.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A backup's directory or tar file.
    #[arg(long, value_name = "DIR|FILE.tar")]
    from: PathBuf,
    /// The data directory to make; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

impl Backup {
    pub(crate) fn run(self) -> Result<()> {
        let configuration = self.options.load()?;
        let to = std::path::absolute(&self.to)?;
        let asked = BackUp {
            settings: &configuration.settings,
            data_dir: &configuration.data_dir,
            to: &to,
            secrets: self.include_secrets,
            clock: &SystemClock,
        };
        let made = runtime()?.block_on(backup::back_up(&asked))?;
        say::line(format!(
            "{}: {} blobs of {} bytes, {} of them copied",
            to.display(),
            made.blobs,
            made.bytes,
            made.copied
        ));
        if !made.left_out.is_empty() {
            say::line(format!(
                "left out, since they hold secrets (--include-secrets copies them): {}",
                made.left_out.join(", ")
            ));
        }
        Ok(())
    }
}

impl Restore {
    pub(crate) fn run(self) -> Result<()> {
        let data_dir = std::path::absolute(&self.data_dir)?;
        let restored = runtime()?.block_on(backup::restore(&self.from, &data_dir))?;
        let shown = data_dir.display();
        say::line(format!(
            "{shown}: the state of {}, {} blobs of {} bytes",
            restored.manifest.made_at, restored.manifest.blobs, restored.manifest.bytes
        ));
        if let Some(dir) = &restored.manifest.objects_dir {
            say::line(format!(
                "the configuration of the backup had objects.dir = {dir:?}; what was restored lies \
                 in {shown}/blobs: take that line out, or move them to a directory that no other \
                 server uses"
            ));
        }
        if !restored.missing.is_empty() {
            say::line(format!(
                "the backup was made without secrets; put these into {shown} before the server \
                 starts, as far as it needs them: {}",
                restored.missing.join(", ")
            ));
        }
        say::line(format!("start it with: sightline serve --data-dir {shown}"));
        Ok(())
    }
}
