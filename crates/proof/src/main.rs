//! `sightline-proof`: runs the campaigns that prove that nothing is lost.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use sightline_ports::{Clock as _, SystemClock};
use sightline_proof::crash::Campaign;

/// Iterations between two lines of progress.
const PROGRESS_EVERY: u64 = 25;

/// Where a file system in memory is mounted.
const MEMORY: &str = "/dev/shm";

/// Several times what a campaign keeps.
const MEMORY_BYTES_MIN: u64 = 512 << 20;

#[derive(Debug, Parser)]
#[command(
    name = "sightline-proof",
    about = "Proof that nothing acknowledged is lost"
)]
struct Cli {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// Kills a server under load over and over, and compares what is left with what it promised.
    Crash(Crash),
}

#[derive(Debug, clap::Args)]
struct Crash {
    /// The server to kill [default: the one built beside this program].
    #[arg(long, value_name = "FILE", env = "SIGHTLINE_BIN")]
    binary: Option<PathBuf>,
    /// How often.
    #[arg(long, value_name = "N", default_value_t = 50)]
    iterations: u64,
    /// What decides everything that is chosen; a new one each time unless given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let Proof::Crash(crash) = Cli::parse().proof;
    match crash.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl Crash {
    /// Half of the deaths with data on the disk, where flushes take long, and half with data in
    /// memory, where far more is under way at any moment.
    fn run(&self) -> Result<()> {
        let begun = SystemClock.now();
        let seed = self.seed.unwrap_or_else(|| begun.millis().unsigned_abs());
        say(format!("seed {seed}"));
        let in_memory = if memory_is_large()? {
            self.iterations / 2
        } else {
            say(format!(
                "left out: data in memory, for {MEMORY} is small or absent"
            ));
            0
        };
        let mut done = 0;
        let halves = [
            (std::env::temp_dir(), self.iterations - in_memory),
            (PathBuf::from(MEMORY), in_memory),
        ];
        for (place, iterations) in halves {
            if let Err(error) = self.half(&place, iterations, seed, &mut done) {
                let took = SystemClock.now().since(begun).as_secs_f64();
                say(format!("{done} passed, 1 failed in {took:.1}s"));
                return Err(error);
            }
        }
        let took = SystemClock.now().since(begun).as_secs_f64();
        say(format!("{done} passed in {took:.1}s"));
        Ok(())
    }

    fn half(&self, place: &Path, iterations: u64, seed: u64, done: &mut u64) -> Result<()> {
        let name = tempfile::Builder::new()
            .prefix("sightline-crash-")
            .tempdir_in(place);
        let folder = name.with_context(|| format!("a folder in {}", place.display()))?;
        let campaign = Campaign {
            binary: match &self.binary {
                Some(binary) => binary.clone(),
                None => std::env::current_exe()?.with_file_name("sightline"),
            },
            folder: folder.path().to_owned(),
            iterations,
            seed,
        };
        let result = campaign.run(|_| {
            *done += 1;
            if done.is_multiple_of(PROGRESS_EVERY) {
                say(format!("survived {done} of {}", self.iterations));
            }
        });
        let survived = match result {
            Ok(survived) => survived,
            Err(error) => {
                let kept = folder.keep();
                say(format!("data and log are kept in {}", kept.display()));
                return Err(error);
            }
        };
        say(format!(
            "in {}: {} calls answered; the longest start took {:?}; {} MiB kept",
            place.display(),
            survived.calls,
            survived.start_max,
            survived.disk_bytes >> 20
        ));
        Ok(())
    }
}

/// Whether there is room in memory for a campaign's data.
fn memory_is_large() -> Result<bool> {
    if !Path::new(MEMORY).is_dir() {
        return Ok(false);
    }
    let room = rustix::fs::statvfs(MEMORY)?;
    Ok(MEMORY_BYTES_MIN <= room.f_bavail.saturating_mul(room.f_frsize))
}

/// Writes one line; a reader who has gone away is no failure.
fn say(text: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.as_ref())
        .and_then(|()| out.flush())
        .ok();
}
