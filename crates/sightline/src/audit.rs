//! `sightline audit`: the operator's view of what is recorded. It works on the data directory,
//! whether a server runs on it or not.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use sightline_columns::EventsFile;
use sightline_server::{Audit, KeptFrom, open_audit};
use sightline_types::Timestamp;

use crate::config::Options;
use crate::say;

/// How long to wait before looking for more events.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Rows of events that are read at once, of 64 KiB each at most.
const BLOCKS_AT_ONCE: u32 = 64;

/// Events that `tail` begins with.
const TAIL_EVENTS: i64 = 20;

/// What to do with the record of activity.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the chain of events, the signed digests and the log files against each other.
    Verify {
        #[command(flatten)]
        options: Options,
    },
    /// Lets a new key sign digests; those that the old one signed stay valid.
    RotateKey {
        #[command(flatten)]
        options: Options,
    },
    /// Writes events in CloudTrail's form.
    Export {
        #[command(flatten)]
        options: Options,
        /// The form.
        #[arg(long, default_value = "jsonl")]
        format: Format,
        /// Only events at or after this time, such as 2026-11-28T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Only events at or before this time.
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
        /// The file to write, instead of the standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Prints the last events, one on each line.
    Tail {
        #[command(flatten)]
        options: Options,
        /// Goes on with events as they are recorded.
        #[arg(short, long)]
        follow: bool,
    },
}

/// The form of an export.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object on each line.
    Jsonl,
    /// Columns, for SQL, with the whole event in one of them.
    Parquet,
}

/// Which events to export.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl AuditCommand {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match self {
                Self::Verify { options } => verify(&open(&options).await?).await,
                Self::RotateKey { options } => {
                    let fingerprint = open(&options).await?.rotate_key().await?;
                    say::line(format!(
                        "digests are signed by the key {fingerprint} from now on"
                    ));
                    Ok(())
                }
                Self::Export {
                    options,
                    format,
                    from,
                    to,
                    output,
                } => {
                    let audit = open(&options).await?;
                    let range = Range { from, to };
                    match output {
                        Some(path) => {
                            let file = std::fs::File::create(&path);
                            let file =
                                file.with_context(|| format!("cannot write {}", path.display()))?;
                            export(&audit, format, std::io::BufWriter::new(file), range).await
                        }
                        None => {
                            let output = std::io::BufWriter::new(std::io::stdout());
                            export(&audit, format, output, range).await
                        }
                    }
                }
                Self::Tail { options, follow } => tail(&open(&options).await?, follow).await,
            }
        })
    }
}

async fn open(options: &Options) -> Result<Audit> {
    let configuration = options.load()?;
    let there = configuration.data_dir.is_dir();
    if !there {
        bail!(
            "there is no data directory {}",
            configuration.data_dir.display()
        );
    }
    let opened = open_audit(&configuration.data_dir, &configuration.settings).await;
    opened.context("the record of activity cannot be opened")
}

async fn verify(audit: &Audit) -> Result<()> {
    let report = audit.verify().await?;
    for finding in &report.findings {
        say::line(format!("INVALID {finding}"));
    }
    if let Some(KeptFrom { seq, at }) = &report.kept_from {
        let at = at.map_or(String::new(), |at| format!(", from {at} on"));
        say::line(format!(
            "the store has the events from number {seq} on{at}; older ones are in the trail's bucket"
        ));
    }
    say::line(format!(
        "{} events, {} log files and {} digests checked, {} findings",
        report.events,
        report.log_files,
        report.digests,
        report.findings.len(),
    ));
    if !report.findings.is_empty() {
        bail!("the record of activity is not what was recorded");
    }
    Ok(())
}

async fn export(
    audit: &Audit,
    format: Format,
    mut output: impl std::io::Write + Send,
    range: Range,
) -> Result<()> {
    match format {
        Format::Jsonl => {
            let line = |_, record: &str| Ok(writeln!(output, "{record}")?);
            each_event(audit, range, line).await?;
            Ok(output.flush()?)
        }
        Format::Parquet => {
            let mut file = EventsFile::begin(output)?;
            each_event(audit, range, |seq, record| Ok(file.push(seq, record)?)).await?;
            Ok(file.finish()?.flush()?)
        }
    }
}

async fn each_event(
    audit: &Audit,
    range: Range,
    mut write: impl FnMut(i64, &str) -> Result<()>,
) -> Result<()> {
    let mut after = 0;
    loop {
        let events = audit.events_after(after, BLOCKS_AT_ONCE).await?;
        let Some((last, ..)) = events.last() else {
            return Ok(());
        };
        after = *last;
        for (seq, at, record) in &events {
            let wanted =
                range.from.is_none_or(|from| from <= *at) && range.to.is_none_or(|to| *at <= to);
            if wanted {
                write(*seq, record)?;
            }
        }
    }
}

async fn tail(audit: &Audit, follow: bool) -> Result<()> {
    let mut after = audit.last_event().await?.saturating_sub(TAIL_EVENTS).max(0);
    loop {
        let events = audit.events_after(after, BLOCKS_AT_ONCE).await?;
        for (seq, _, record) in &events {
            after = *seq;
            writeln!(std::io::stdout(), "{record}")?;
        }
        if events.is_empty() {
            if !follow {
                return Ok(());
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }
}
