//! The real binary on a data directory: started, asked to end, killed, started again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sightline_ports::{Clock as _, SystemClock};
use sightline_wire::sigv4::SecretKey;

use crate::{Client, Key};

/// Far longer than a start takes, even of a debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may take to end when it is asked to.
const STOP_LIMIT: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(2);
const LISTENING: &str = "listening on http://";
const DATA_IN: &str = "data in ";

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The binary.
    pub binary: PathBuf,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Where what it says is kept.
    pub log: PathBuf,
    /// A command that becomes the server, such as one that puts it into another namespace.
    pub wrapper: Vec<OsString>,
    /// Variables that it is started with.
    pub variables: Vec<(OsString, OsString)>,
}

impl Launch {
    /// A plain start with everything below `folder`.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, folder: &Path) -> Self {
        Self {
            binary: binary.into(),
            data_dir: folder.join("data"),
            log: folder.join("server.log"),
            wrapper: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The binary with these words, inside the wrapper.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut all = self.wrapper.iter().cloned();
        let mut command = match all.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(all).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.args(words).arg("--data-dir").arg(&self.data_dir);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Starts the server and waits until it listens.
    pub fn start(&self) -> Result<Server> {
        let begun = SystemClock.now();
        let (process, said_before) = self.spawn()?;
        let mut server = Server {
            process,
            launch: self.clone(),
            said_before,
            address: String::new(),
            default_bucket: String::new(),
            took: Duration::ZERO,
        };
        server.wait_until_it_listens(begun)?;
        Ok(server)
    }

    /// Starts the server and kills it after `life`, wherever it then stands.
    pub fn start_and_kill(&self, life: Duration) -> Result<()> {
        let (mut process, _) = self.spawn()?;
        thread::sleep(life);
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    fn spawn(&self) -> Result<(Child, usize)> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let said_before = usize::try_from(log.metadata()?.len())?;
        let process = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        Ok((process, said_before))
    }
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    process: Child,
    launch: Launch,
    said_before: usize,
    /// Host and port.
    pub address: String,
    /// The bucket that every server has.
    pub default_bucket: String,
    /// How long the start took.
    pub took: Duration,
}

impl Server {
    fn wait_until_it_listens(&mut self, begun: sightline_types::Timestamp) -> Result<()> {
        while SystemClock.now().since(begun) < START_LIMIT {
            let said = self.said();
            let address = said.lines().find_map(|line| line.split_once(LISTENING));
            if let Some((_, address)) = address.filter(|_| said.ends_with('\n')) {
                let told = said.lines().find(|line| line.starts_with(DATA_IN));
                let bucket = told.and_then(|line| line.rsplit(' ').next());
                self.default_bucket = bucket.unwrap_or_default().to_owned();
                self.address = address.trim().to_owned();
                self.took = SystemClock.now().since(begun);
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the server ended at its start with {status}; it said:\n{said}");
            }
            thread::sleep(PAUSE);
        }
        bail!(
            "the server did not listen within {START_LIMIT:?}; it said:\n{}",
            self.said()
        )
    }

    /// What the server has said since this start.
    #[must_use]
    pub fn said(&self) -> String {
        let said = fs::read(&self.launch.log).unwrap_or_default();
        String::from_utf8_lossy(said.get(self.said_before..).unwrap_or_default()).into_owned()
    }

    /// The owner's key, as `sightline env` gives it to a shell.
    pub fn root_key(&self) -> Result<Key> {
        let told = self
            .launch
            .command(&["env", "--format", "posix"])
            .output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let value = |name: &str| {
            let found = text
                .lines()
                .find_map(|line| line.split_once(&format!("export {name}=")));
            let found = found.map(|(_, value)| value.trim_matches('\'').to_owned());
            found.with_context(|| format!("`sightline env` names no {name}: {told:?}"))
        };
        Ok(Key {
            id: value("AWS_ACCESS_KEY_ID")?,
            secret: SecretKey::new(value("AWS_SECRET_ACCESS_KEY")?),
            token: None,
        })
    }

    /// Lets the product check its own record of activity while it runs.
    pub fn verify_audit(&self) -> Result<()> {
        let told = self.launch.command(&["audit", "verify"]).output()?;
        if told.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&told.stdout);
        let why = String::from_utf8_lossy(&told.stderr);
        bail!("`sightline audit verify` says:\n{text}{why}")
    }

    /// A client with this key.
    #[must_use]
    pub fn client(&self, key: &Key) -> Client {
        Client::new(self.address.as_str(), "us-east-1", key.clone())
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Memory that the server's process holds.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.context("the process has no VmRSS")?.parse()?;
        Ok(kib * 1024)
    }

    /// Whether the server still runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// Ends the server as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks the server to end and waits until it has.
    pub fn stop(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(pid.context("the server has no process")?, Signal::TERM)?;
        let asked = SystemClock.now();
        while SystemClock.now().since(asked) < STOP_LIMIT {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        bail!("the server did not end within {STOP_LIMIT:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the server has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
