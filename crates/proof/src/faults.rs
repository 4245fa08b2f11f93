//! What the world around a server does to it: disks that fail or are full, clocks that jump.
//!
//! The two layers in C are built when a test asks for them, by the compiler that the build needs
//! anyway; each says at its head what it does.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Launch;

const DISK: &str = include_str!("../faults/disk.c");
const CLOCK: &str = include_str!("../faults/clock.c");

/// Which calls of a server fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// None.
    None,
    /// A flush of a file whose path contains the text: an input or output error.
    Flush(&'static str),
    /// The same where only the data are flushed, before the flush that counts.
    EarlyFlush(&'static str),
    /// Whatever takes space in such a file: no space left on the device.
    Full(&'static str),
    /// Whatever changes anything: the file system is read-only.
    ReadOnly,
}

/// A layer between a server and its disk, in which calls can be made to fail.
#[derive(Debug)]
pub struct FailingDisk {
    control: PathBuf,
    text: String,
}

impl FailingDisk {
    /// Puts the layer below the servers of `launch`; its files are kept in `folder`.
    pub fn below(launch: &mut Launch, folder: &Path) -> Result<Self> {
        let (program, control) = (folder.join("disk"), folder.join("disk.control"));
        compile(DISK, &program, &[])?;
        fs::write(&control, "none")?;
        let words = [program.into_os_string(), control.clone().into_os_string()];
        launch.wrapper.splice(0..0, words);
        Ok(Self {
            control,
            text: launch.data_dir.to_string_lossy().into_owned(),
        })
    }

    /// From the next call on, calls fail like this.
    pub fn fail(&self, fault: DiskFault) -> Result<()> {
        // Values of errno(3): EIO, ENOSPC and EROFS.
        let line = match fault {
            DiskFault::None => "none".to_owned(),
            DiskFault::Flush(file) => format!("flush 5 {file}"),
            DiskFault::EarlyFlush(file) => format!("early 5 {file}"),
            DiskFault::Full(file) => format!("grow 28 {file}"),
            DiskFault::ReadOnly => format!("change 30 {}", self.text),
        };
        // By renaming, so that the supervisor never reads half a line.
        let fresh = self.control.with_extension("fresh");
        fs::write(&fresh, line)?;
        Ok(fs::rename(fresh, &self.control)?)
    }
}

/// The time of day of a server, which a test moves.
#[derive(Debug)]
pub struct MovedClock(PathBuf);

impl MovedClock {
    /// Gives the servers of `launch` a clock of their own.
    pub fn of(launch: &mut Launch, folder: &Path) -> Result<Self> {
        let (library, moved) = (folder.join("clock.so"), folder.join("clock.moved"));
        compile(CLOCK, &library, &["-shared", "-fPIC"])?;
        let clock = Self(moved);
        clock.move_to(0)?;
        let variables = [
            (OsString::from("LD_PRELOAD"), library.into_os_string()),
            ("PROOF_CLOCK".into(), clock.0.clone().into_os_string()),
        ];
        launch.variables.extend(variables);
        Ok(clock)
    }

    /// From now on the servers' time of day is this far from the real one.
    pub fn move_to(&self, seconds: i64) -> Result<()> {
        // The file stays the same one, for the servers have it mapped.
        let mut file = fs::File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.0)?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }
}

/// A small file system of its own, in memory, that only commands inside it see.
///
/// Dropping it ends it.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    enter: Vec<OsString>,
    /// Where it is mounted.
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Makes one of this size at `folder`; an error says why the machine does not let us.
    pub fn new(folder: &Path, bytes: u64) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let is_root = rustix::process::geteuid().is_root();
        let user = ["--user", "--map-root-user"];
        let mut holder = Command::new("unshare");
        holder.arg("--mount").args(user.iter().filter(|_| !is_root));
        let script = "mount -t tmpfs -o mode=700,size=\"$2\" proof \"$1\" && echo ready && exec sleep infinity";
        holder
            .args(["sh", "-c", script, "sh"])
            .arg(folder)
            .arg(bytes.to_string());
        holder
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut holder = holder.spawn().context("starting unshare(1)")?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            let told = holder.wait_with_output()?;
            bail!(
                "no file system of our own: {}",
                String::from_utf8_lossy(&told.stderr)
            );
        }
        let mut enter: Vec<OsString> = vec!["nsenter".into(), "--target".into()];
        enter.push(holder.id().to_string().into());
        enter.push("--mount".into());
        if !is_root {
            enter.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        Ok(Self {
            holder,
            enter,
            folder: folder.to_owned(),
        })
    }

    /// A command that becomes another one inside.
    #[must_use]
    pub fn wrapper(&self) -> Vec<OsString> {
        self.enter.clone()
    }

    /// Runs a line of shell inside, with the folder as `$1`, and gives what it writes.
    pub fn shell(&self, line: &str) -> Result<String> {
        let mut words = self.enter.iter();
        let mut command = Command::new(words.next().context("a command")?);
        command
            .args(words)
            .args(["sh", "-c", line, "sh"])
            .arg(&self.folder);
        let told = command.output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        ensure!(
            told.status.success(),
            "`{line}` ended with {}: {}",
            told.status,
            String::from_utf8_lossy(&told.stderr)
        );
        Ok(text)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

fn compile(source: &str, output: &Path, flags: &[&str]) -> Result<()> {
    let source_file = output.with_extension("c");
    fs::write(&source_file, source)?;
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O2", "-Wall", "-Werror", "-Wno-missing-braces"])
        .args(flags);
    let told = compiler.arg("-o").arg(output).arg(&source_file).output();
    let told = told.context("starting cc(1)")?;
    ensure!(
        told.status.success(),
        "{} does not compile:\n{}",
        source_file.display(),
        String::from_utf8_lossy(&told.stderr)
    );
    Ok(())
}
