//! Follows one instance from its release to its end.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal as SystemSignal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use sightline_ports::{Clock, Exit, HostName, InstanceLog, InstanceReport};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::unix::pipe;
use tokio::time::MissedTickBehavior;

use super::cgroup::InstanceGroup;
use super::lines::LineSplitter;
use super::processes::{self, Snapshot};
use super::spawn::{self, Held};

/// How often the memory of an instance is added up where no control group does it.
const WATCH_PERIOD: Duration = Duration::from_millis(200);
/// How long a SIGTERM waits for a program that is only just starting.
const PROGRAM_TRIES: u32 = 400;
const PROGRAM_PAUSE: Duration = Duration::from_millis(5);
/// Read at once; a pipe holds 64 KiB.
const READ_BYTES: usize = 64 * 1024;
/// bubblewrap's own complaints begin so.
const BUBBLEWRAP_SAYS: &str = "bwrap: ";

/// Where an instance's lines go.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) host: HostName,
    pub(super) log: Arc<dyn InstanceLog>,
    pub(super) clock: Arc<dyn Clock>,
}

/// An instance that has been let go.
pub(super) struct Instance {
    // Before its groups, which can be removed only when its processes are gone.
    held: Held,
    group: InstanceGroup,
    reins: Arc<Reins>,
    sink: Sink,
    /// Memory limit to watch over, if no control group does.
    watched_bytes: Option<u64>,
}

/// What is needed to end an instance from elsewhere.
#[derive(Debug)]
pub(super) struct Reins {
    first: OwnedFd,
    first_id: u32,
    killed: AtomicBool,
}

/// What was seen of an instance's end.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// bubblewrap's exit code; `None` when it died of a signal.
    code: Option<i32>,
    /// Whether the program was started at all.
    executed: bool,
    /// What bubblewrap said last.
    complaint: Option<String>,
    killed: bool,
    oom_kills: u64,
    over_watched_limit: bool,
}

#[derive(Deserialize)]
struct LastAnswer {
    #[serde(rename = "exit-code")]
    exit_code: Option<i32>,
}

impl Sink {
    pub(super) async fn line(&self, text: String) {
        self.log.line(&self.host, self.clock.now(), text).await;
    }
}

impl Instance {
    pub(super) fn new(
        held: Held,
        group: InstanceGroup,
        sink: Sink,
        watched_bytes: Option<u64>,
    ) -> io::Result<Self> {
        let reins = Reins {
            first: held.first.try_clone()?,
            first_id: held.first_id,
            killed: AtomicBool::new(false),
        };
        Ok(Self {
            held,
            group,
            reins: Arc::new(reins),
            sink,
            watched_bytes,
        })
    }

    pub(super) fn reins(&self) -> Arc<Reins> {
        Arc::clone(&self.reins)
    }

    /// Delivers the lines and waits for the end of every process.
    pub(super) async fn follow(mut self) -> InstanceReport {
        let host = self.sink.host.clone();
        let sink = self.sink.clone();
        let output = self.held.output.take();
        let (complaint, seen) = tokio::join!(pump(output, &sink), self.wait());
        let (exit, notes) = match (complaint, seen) {
            (Ok(complaint), Ok(seen)) => Seen { complaint, ..seen }.judge(),
            (Err(error), _) | (_, Err(error)) => (
                Exit::Lost,
                vec![format!("the instance could not be followed: {error}")],
            ),
        };
        InstanceReport { host, exit, notes }
    }

    async fn wait(&mut self) -> io::Result<Seen> {
        let over_watched_limit = self.until_outer_ends().await?;
        // bubblewrap ends with the program; what the program left running ends here.
        self.held.kill();
        ended(&self.held.first).await?;
        let status: ExitStatus = self.held.reap()?;
        let mut account = String::new();
        self.held.status.read_to_string(&mut account)?;
        Ok(Seen {
            code: status.code(),
            executed: exit_code(&account).is_some(),
            complaint: None,
            killed: self.reins.killed.load(Ordering::Acquire),
            oom_kills: self.group.oom_kills(),
            over_watched_limit,
        })
    }

    /// Whether the watchdog ended it for its memory.
    async fn until_outer_ends(&self) -> io::Result<bool> {
        let outer = ended(&self.held.outer);
        let Some(limit) = self.watched_bytes else {
            return outer.await.map(|()| false);
        };
        tokio::pin!(outer);
        let mut ticks = tokio::time::interval(WATCH_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut over = false;
        loop {
            tokio::select! {
                end = &mut outer => return end.map(|()| over),
                _ = ticks.tick() => {
                    let first = self.held.first_id;
                    let used = tokio::task::spawn_blocking(move || {
                        let snapshot = Snapshot::take();
                        snapshot.memory_bytes(&snapshot.tree(first), limit)
                    });
                    if limit < used.await.unwrap_or(0) {
                        over = true;
                        self.held.kill();
                    }
                }
            }
        }
    }
}

impl Reins {
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        spawn::kill(&self.first);
    }

    /// Sends SIGTERM to the program, once there is one.
    pub(super) async fn terminate(&self) {
        for _ in 0..PROGRAM_TRIES {
            if processes::parent_of(self.first_id).is_none() {
                return;
            }
            if self.terminate_now() {
                return;
            }
            tokio::time::sleep(PROGRAM_PAUSE).await;
        }
        tracing::warn!(
            first = self.first_id,
            "found no program to end; killing the instance"
        );
        self.kill();
    }

    fn terminate_now(&self) -> bool {
        let Some(program) = Snapshot::take().program_of(self.first_id) else {
            return false;
        };
        let Some(id) = Pid::from_raw(program.cast_signed()) else {
            return false;
        };
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else {
            return false;
        };
        // Still the same process, or the number could be another's by now.
        if processes::parent_of(program) != Some(self.first_id) {
            return false;
        }
        pidfd_send_signal(process, SystemSignal::TERM).is_ok()
    }
}

impl Seen {
    fn judge(self) -> (Exit, Vec<String>) {
        if self.over_watched_limit {
            return (Exit::OutOfMemory, Vec::new());
        }
        let complaint = self.complaint.unwrap_or_default();
        let memory_note = || {
            format!(
                "{} process(es) were killed for want of memory",
                self.oom_kills
            )
        };
        match self.code {
            Some(137) if 0 < self.oom_kills => (Exit::OutOfMemory, Vec::new()),
            Some(1) if !self.executed => not_executed(&complaint),
            Some(code) if 0 < self.oom_kills => (Exit::Code(code), vec![memory_note()]),
            Some(code) => (Exit::Code(code), Vec::new()),
            None if self.killed => (Exit::Code(137), Vec::new()),
            None => (
                Exit::Lost,
                vec!["the instance's supervisor was killed".into()],
            ),
        }
    }
}

/// A program that cannot be run gives the code that a shell would give.
fn not_executed(complaint: &str) -> (Exit, Vec<String>) {
    let exit = match complaint {
        text if !text.contains("execvp") => Exit::Lost,
        text if text.contains("No such file") => Exit::Code(127),
        _ => Exit::Code(126),
    };
    (
        exit,
        vec![format!("the program could not be started: {complaint}")],
    )
}

fn exit_code(account: &str) -> Option<i32> {
    let last = account.lines().rfind(|line| !line.trim().is_empty())?;
    serde_json::from_str::<LastAnswer>(last).ok()?.exit_code
}

/// Returns once the process has ended and, if it is a namespace's first, all others in it.
#[expect(
    unsafe_code,
    reason = "tokio cannot check that a type keeps its descriptor"
)]
async fn ended(process: &OwnedFd) -> io::Result<()> {
    let owned = process.try_clone()?;
    // SAFETY: an `OwnedFd` is open and names the same file for as long as it exists.
    let watched = unsafe { AsyncFd::register_with_interest(owned, Interest::READABLE)? };
    watched.readable().await.map(drop)
}

/// Delivers lines until every writer is gone; gives bubblewrap's last complaint.
async fn pump(output: Option<io::PipeReader>, sink: &Sink) -> io::Result<Option<String>> {
    let Some(output) = output else {
        return Ok(None);
    };
    let mut receiver = pipe::Receiver::from_owned_fd(output.into())?;
    let mut splitter = LineSplitter::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = Vec::new();
    let mut complaint = None;
    loop {
        let count = receiver.read(&mut buffer).await?;
        splitter.push(buffer.get(..count).unwrap_or_default(), &mut lines);
        if count == 0 {
            lines.extend(splitter.finish());
        }
        for line in lines.drain(..) {
            if let Some(text) = line.strip_prefix(BUBBLEWRAP_SAYS) {
                complaint = Some(text.to_owned());
            }
            sink.line(line).await;
        }
        if count == 0 {
            return Ok(complaint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_judged_by_all_that_was_seen() {
        let ran = |code| Seen {
            code,
            executed: true,
            ..Seen::default()
        };
        let failed = |complaint: &str| Seen {
            code: Some(1),
            complaint: Some(complaint.into()),
            ..Seen::default()
        };
        let rows = [
            (ran(Some(0)), Exit::Code(0)),
            (ran(Some(1)), Exit::Code(1)),
            (ran(Some(137)), Exit::Code(137)),
            (
                Seen {
                    oom_kills: 1,
                    ..ran(Some(137))
                },
                Exit::OutOfMemory,
            ),
            (
                Seen {
                    oom_kills: 1,
                    ..ran(Some(0))
                },
                Exit::Code(0),
            ),
            (
                Seen {
                    over_watched_limit: true,
                    ..ran(Some(137))
                },
                Exit::OutOfMemory,
            ),
            (ran(None), Exit::Lost),
            (
                Seen {
                    killed: true,
                    ..ran(None)
                },
                Exit::Code(137),
            ),
            (
                failed("execvp nosuch: No such file or directory"),
                Exit::Code(127),
            ),
            (failed("execvp /tmp: Permission denied"), Exit::Code(126)),
            (failed("Can't mount proc"), Exit::Lost),
        ];
        for (seen, expected) in rows {
            assert_eq!(seen.clone().judge().0, expected, "{seen:?}");
        }
        let spared = Seen {
            oom_kills: 2,
            ..ran(Some(0))
        };
        assert_eq!(
            spared.judge().1,
            ["2 process(es) were killed for want of memory"]
        );
    }

    #[test]
    fn the_exit_code_is_there_only_if_the_program_was_started() {
        let first = "{ \"child-pid\": 12, \"pid-namespace\": 40 }\n";
        assert_eq!(
            exit_code(&format!("{first}{{ \"exit-code\": 3 }}\n")),
            Some(3)
        );
        assert_eq!(exit_code("{ \"exit-code\": 0 }\n"), Some(0));
        assert_eq!(exit_code(first), None);
        assert_eq!(exit_code(""), None);
    }
}
