//! The campaign: load, kill, start again, compare; over and over on one data directory.
//!
//! A seed decides what each client does and when the server dies, so a campaign that found
//! something can be run again; what the threads of a server make of it still differs.

mod check;
mod history;
mod keys;
mod load;
mod model;
mod object;
mod things;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sightline_ports::{Clock as _, SystemClock};
use sightline_types::Timestamp;

use crate::{Dice, Key, Launch, Server};
use check::Check;
use load::Worker;
use model::Model;

/// Clients that work at once.
const WORKERS: u64 = 6;

/// How long the load lasts before the server dies, in milliseconds: from and to.
const LIFE_MS: (u64, u64) = (50, 500);

/// A start takes less than this, even on a busy machine.
const START_MAX: Duration = Duration::from_secs(10);

/// One start in so many is killed while it is starting.
const STARTS_KILLED_OF: u64 = 8;

/// One comparison in so many has the product check its own record of activity from its beginning.
const IN_DEPTH_EVERY: u64 = 10;

/// How much of the disk may be taken by something else than what is kept: bytes that wait for
/// their collection, and the fixed cost of files.
const SLACK_BYTES: u64 = 32 << 20;

/// What to do, and how often.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The server's binary.
    pub binary: PathBuf,
    /// An empty folder for its data and its log.
    pub folder: PathBuf,
    /// How often it dies.
    pub iterations: u64,
    /// What decides everything that is chosen.
    pub seed: u64,
}

/// What a campaign that lost nothing has seen.
#[derive(Clone, Debug, Default)]
pub struct Survived {
    /// Calls that were answered.
    pub calls: usize,
    /// The longest start.
    pub start_max: Duration,
    /// Bytes on disk at the end, the metadata not counted.
    pub disk_bytes: u64,
}

impl Campaign {
    /// Runs it; `told` hears of each iteration that was survived.
    pub fn run(&self, mut told: impl FnMut(u64)) -> Result<Survived> {
        let launch = Launch::new(&self.binary, &self.folder);
        let model = Model::default();
        let mut survived = Survived::default();
        let mut since = a_second_ago();
        let mut server = launch.start()?;
        let key = server.root_key()?;
        for owner in 0..WORKERS {
            things::prepare(&server, &key, owner)?;
        }
        for iteration in 0..self.iterations {
            let place = || format!("iteration {iteration} of seed {}", self.seed);
            let mut dice = Dice::part(self.seed, iteration);
            let role = server.client(&key).role().with_context(place)?;
            let next = a_second_ago();
            load_and_kill(&model, server, &key, &role, &mut dice)?;
            if dice.falls(1, STARTS_KILLED_OF) {
                launch.start_and_kill(Duration::from_millis(dice.below(80)))?;
            }
            server = launch.start().with_context(place)?;
            survived.start_max = survived.start_max.max(server.took);
            ensure!(server.took < START_MAX, "a start took {:?}", server.took);
            survived.calls += model.calls();
            let check = Check {
                model: &model,
                server: &server,
                key: &key,
                in_depth: iteration % IN_DEPTH_EVERY == 0 || iteration + 1 == self.iterations,
            };
            check.everything(since).with_context(place)?;
            since = next;
            told(iteration);
        }
        self.end(&model, &launch, server, &mut survived)?;
        Ok(survived)
    }

    /// Lets the server collect what crashes left, and weighs what it keeps.
    fn end(
        &self,
        model: &Model,
        launch: &Launch,
        server: Server,
        survived: &mut Survived,
    ) -> Result<()> {
        let status = server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        let server = launch.start()?;
        let status = server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        survived.disk_bytes = bytes_below(&launch.data_dir)?;
        let kept = model.kept_bytes();
        let most = 2 * kept + SLACK_BYTES;
        ensure!(
            survived.disk_bytes <= most,
            "{} bytes are on disk for the {kept} that are kept",
            survived.disk_bytes
        );
        Ok(())
    }
}

/// Events carry whole seconds, so a look-up begins a second early.
fn a_second_ago() -> Timestamp {
    Timestamp::from_millis(SystemClock.now().millis() - 1_000)
}

fn load_and_kill(
    model: &Model,
    server: Server,
    key: &Key,
    role: &str,
    dice: &mut Dice,
) -> Result<()> {
    let life = LIFE_MS.0 + dice.below(LIFE_MS.1 - LIFE_MS.0);
    let bucket = server.default_bucket.clone();
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let worker = Worker {
                model,
                client: server.client(key),
                dice: Dice::seeded(dice.roll()),
                number,
                bucket: &bucket,
                role,
            };
            scope.spawn(move || worker.run());
        }
        thread::sleep(Duration::from_millis(life));
        server.kill()
    })
}

/// Bytes of all files below a folder but the database of the metadata.
fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_dir() {
            bytes += bytes_below(&entry.path())?;
        } else if !name.to_string_lossy().starts_with("meta.sqlite") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
