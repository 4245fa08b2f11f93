//! A server of a chore's own: started on a free port, ended with the chore.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{command, machine, say, text};

/// A first start makes a database and keys; far more than that is a fault.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the server may take to put its jobs down.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);
const LISTENING: &str = "listening on ";

/// A running server; dropping it kills it.
pub(crate) struct Server {
    process: Child,
    data_dir: PathBuf,
    log: PathBuf,
    pub(crate) endpoint: String,
}

impl Server {
    /// Starts the built binary with its data and its log in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let (data_dir, log) = (folder.join("data"), folder.join("server.log"));
        let output = File::create(&log)?;
        let process = command::bound(machine::binary())?
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting the server")?;
        let mut server = Self {
            process,
            data_dir,
            log,
            endpoint: String::new(),
        };
        server.endpoint = server.wait_until_it_listens()?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self) -> Result<String> {
        let started = machine::now();
        while started.elapsed() < START_LIMIT {
            let said = fs::read_to_string(&self.log)?;
            let address = said.lines().find_map(|line| line.split_once(LISTENING));
            if let Some((_, address)) = address {
                return Ok(address.trim().to_owned());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the server ended with {status}; it said:\n{said}");
            }
            thread::sleep(PAUSE);
        }
        bail!(
            "the server did not listen within {}",
            say::duration(START_LIMIT)
        )
    }

    /// The command `sightline run -- PROGRAM`, to which arguments may be added.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(machine::binary());
        command
            .args(["run", "--data-dir"])
            .arg(&self.data_dir)
            .arg("--")
            .arg(program);
        command
    }

    /// The same, ending when the chore ends.
    pub(crate) fn run_bound(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = command::bound(machine::binary())?;
        command
            .args(["run", "--data-dir"])
            .arg(&self.data_dir)
            .arg("--")
            .arg(program);
        Ok(command)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How much the server has said so far.
    pub(crate) fn said_bytes(&self) -> usize {
        fs::read(&self.log).map_or(0, |said| said.len())
    }

    /// The last lines that the server has said since.
    pub(crate) fn last_lines_since(&self, said_bytes: usize, count: usize) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        text::last_lines(said.get(said_bytes..).unwrap_or_default(), count)
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Asks the server to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        if let Some(pid) = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            kill_process(pid, Signal::TERM).context("asking the server to end")?;
        }
        let asked = machine::now();
        while asked.elapsed() < STOP_LIMIT {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        bail!(
            "the server did not end within {} and was killed",
            say::duration(STOP_LIMIT)
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the server has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
