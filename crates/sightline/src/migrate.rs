//! `sightline migrate`: from a file to a PostgreSQL database.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::config::Options;
use crate::say;

/// Longer than any URL.
const URL_BYTES_MAX: u64 = 16 * 1024;

/// Where the metadata go.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// An empty database, as postgres://user:password@host/database; - reads it from the standard
    /// input, where no list of processes shows the password.
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    options: Options,
}

impl Migrate {
    pub(crate) fn run(self) -> Result<()> {
        let configuration = self.options.load()?;
        let (data_dir, settings) = (&configuration.data_dir, &configuration.settings);
        let to = match self.to.as_str() {
            "-" => std::io::read_to_string(std::io::stdin().take(URL_BYTES_MAX))?,
            url => url.to_owned(),
        };
        let moved = sightline_server::migrate(data_dir, settings, to.trim());
        let moved = moved.context("the metadata stay where they are")?;
        let rows: i64 = moved.rows.iter().map(|(_, rows)| rows).sum();
        say::line(format!(
            "{rows} rows of {} tables copied, {} events among them, whose chain holds",
            moved.rows.len(),
            moved.events
        ));
        say::line(format!(
            "{} is unchanged; start the server with metadata.url set to the database, and never \
             again without",
            data_dir.display()
        ));
        Ok(())
    }
}
