//! Starts bubblewrap processes, each held before its program until it is released.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getppid, getrlimit, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal, setrlimit,
};
use serde::Deserialize;
use sightline_ports::LaunchError;

use super::arguments::{ARGUMENTS_FD, Invocation, RELEASE_FD, SECCOMP_FD, STATUS_FD};
use super::processes;
use super::seccomp;

/// Requests that wait for the spawning thread; more make the caller wait.
const QUEUE: usize = 16;
/// bubblewrap answers in milliseconds; a minute means that the machine is stuck.
const ANSWER_TIMEOUT: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};
/// Its first answer is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How much of an error message is kept.
const MESSAGE_BYTES_MAX: u64 = 4096;

/// The one thread that forks.
///
/// Sandboxes ask the kernel to be killed when the *thread* that started them ends. A thread of
/// the async runtime may end at any time and would take running jobs along; this one lives as
/// long as any job holds the spawner.
#[derive(Debug)]
pub(super) struct Spawner {
    requests: SyncSender<Request>,
}

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

/// Resource limits and values for one process and all that it starts.
pub(super) type ResourceLimits = Vec<(Resource, u64)>;

/// A sandbox that is set up and waits. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` once it has been waited for.
    child: Option<Child>,
    /// bubblewrap outside.
    pub(super) outer: OwnedFd,
    /// bubblewrap inside, pid 1 of the namespace: with it everything inside ends.
    pub(super) first: OwnedFd,
    pub(super) first_id: u32,
    /// bubblewrap's account of what happened.
    pub(super) status: io::PipeReader,
    /// What the program prints, both streams in the order of writing.
    pub(super) output: Option<io::PipeReader>,
    release: Option<io::PipeWriter>,
    _spawner: std::sync::Arc<Spawner>,
}

#[derive(Deserialize)]
struct FirstAnswer {
    #[serde(rename = "child-pid")]
    child_pid: u32,
}

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (requests, waiting): (_, Receiver<Request>) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("sandbox-spawner".into())
            .spawn(move || {
                while let Ok(mut request) = waiting.recv() {
                    // The caller may have gone away; then the child is of no use to anyone.
                    if let Err(unheard) = request.reply.send(request.command.spawn())
                        && let Ok(mut child) = unheard.0
                    {
                        let ended = child.kill().and_then(|()| child.wait());
                        tracing::debug!(?ended, "ended a sandbox that nobody waits for");
                    }
                }
            })?;
        Ok(Self { requests })
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = sync_channel(1);
        let gone = || io::Error::other("the spawning thread has ended");
        self.requests
            .send(Request { command, reply })
            .map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// Calls bubblewrap as `user` and waits until it holds.
pub(super) fn hold(
    spawner: &std::sync::Arc<Spawner>,
    bubblewrap: &Path,
    call: &Invocation,
    user: Option<u32>,
    limits: ResourceLimits,
) -> Result<Held, LaunchError> {
    let system = |action| move |source| LaunchError::System { action, source };
    let (output, output_writer) = io::pipe().map_err(system("make a pipe"))?;
    let (status, status_writer) = io::pipe().map_err(system("make a pipe"))?;
    let (release_reader, release) = io::pipe().map_err(system("make a pipe"))?;
    let mut command = Command::new(bubblewrap);
    command
        .env_clear()
        .current_dir("/")
        .arg("--args")
        .arg(ARGUMENTS_FD.to_string())
        .arg("--")
        .args(&call.program)
        .stdin(Stdio::null())
        .stderr(output_writer.try_clone().map_err(system("make a pipe"))?)
        .stdout(output_writer);
    if let Some(uid) = user {
        command.uid(uid).gid(uid);
    }
    let mut files = vec![
        (STATUS_FD, OwnedFd::from(status_writer)),
        (RELEASE_FD, OwnedFd::from(release_reader)),
        (
            ARGUMENTS_FD,
            readable(&call.options_nul_terminated()).map_err(system("pass options"))?,
        ),
        (
            SECCOMP_FD,
            readable(&seccomp::filter()).map_err(system("pass the filter"))?,
        ),
    ];
    for (descriptor, content) in &call.files {
        files.push((
            *descriptor,
            readable(content).map_err(system("pass a file"))?,
        ));
    }
    let last_passed = files
        .iter()
        .map(|(number, _)| *number)
        .max()
        .unwrap_or(STATUS_FD);
    let mappings = files.into_iter().map(|(child_fd, parent_fd)| FdMapping {
        parent_fd,
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .map_err(|error| system("pass descriptors")(io::Error::other(error)))?;
    before_exec(&mut command, limits, last_passed);
    let child = spawner.spawn(command).map_err(system("start bubblewrap"))?;
    Held::after_answer(
        child,
        status,
        output,
        release,
        std::sync::Arc::clone(spawner),
    )
}

/// Ties the new process's life to this server's, limits its resources and takes from it every
/// descriptor after `last_passed`.
///
/// bubblewrap asks for the first itself, but only after it has started: a server killed in
/// between would leave it behind. Whoever started the server may have left descriptors open
/// that the server knows nothing of.
#[expect(
    unsafe_code,
    reason = "the standard library offers no safe way to act before exec"
)]
fn before_exec(command: &mut Command, limits: ResourceLimits, last_passed: i32) {
    let server = Pid::from_raw(std::process::id().cast_signed());
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != server {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        close_on_exec_after(last_passed);
        for &(resource, value) in &limits {
            let ceiling = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let value = Some(value.min(ceiling));
            setrlimit(
                resource,
                Rlimit {
                    current: value,
                    maximum: value,
                },
            )?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes system calls; it neither allocates
    // nor takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Marks the descriptors after `last` to be closed when the program is executed.
#[expect(
    unsafe_code,
    reason = "descriptors that nothing here owns have no safe type"
)]
fn close_on_exec_after(last: i32) {
    let first = last + 1;
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the call reads no memory, and the flag changes nothing before exec.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flag) };
    if answer == 0 {
        return;
    }
    // Before Linux 5.11: one by one.
    let open_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    for descriptor in first..i32::try_from(open_max).unwrap_or(i32::MAX) {
        // SAFETY: as above; a number that is not open is refused.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// A file in memory that is read from its beginning.
fn readable(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("sightline", flags)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

impl Held {
    fn after_answer(
        mut child: Child,
        status: io::PipeReader,
        output: io::PipeReader,
        release: io::PipeWriter,
        spawner: std::sync::Arc<Spawner>,
    ) -> Result<Self, LaunchError> {
        match answer(&child, &status) {
            Ok((outer, first, first_id)) => Ok(Self {
                child: Some(child),
                outer,
                first,
                first_id,
                status,
                output: Some(output),
                release: Some(release),
                _spawner: spawner,
            }),
            Err(source) => {
                let ended = child.kill().and_then(|()| child.wait());
                tracing::debug!(?ended, "a sandbox could not be set up");
                let mut message = String::new();
                let read = output.take(MESSAGE_BYTES_MAX).read_to_string(&mut message);
                match (read, message.trim()) {
                    (Ok(_), said) if !said.is_empty() => {
                        Err(LaunchError::Isolation(said.to_owned()))
                    }
                    (Ok(_) | Err(_), _) => Err(LaunchError::System {
                        action: "set up a sandbox",
                        source,
                    }),
                }
            }
        }
    }

    /// Lets the program start.
    pub(super) fn release(&mut self) -> io::Result<()> {
        match self.release.take() {
            Some(mut pipe) => pipe.write_all(b"1"),
            None => Ok(()),
        }
    }

    /// Ends every process inside at once.
    pub(super) fn kill(&self) {
        kill(&self.first);
    }

    /// Collects bubblewrap's exit status; waits if it still runs.
    pub(super) fn reap(&mut self) -> io::Result<std::process::ExitStatus> {
        match self.child.take() {
            Some(mut child) => child.wait(),
            None => Err(io::Error::other("already waited for")),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The inner one first: killed second, it could have let the program go already.
            self.kill();
            kill(&self.outer);
            let ended = child.wait();
            tracing::debug!(?ended, "ended a sandbox that nobody follows");
        }
    }
}

/// Sends SIGKILL; that the process may be gone already is as good.
pub(super) fn kill(process: &OwnedFd) {
    if let Err(error) = pidfd_send_signal(process, Signal::KILL)
        && error != rustix::io::Errno::SRCH
    {
        tracing::error!(%error, "a sandbox could not be killed");
    }
}

/// Waits for bubblewrap to name its child, and takes hold of both.
fn answer(child: &Child, status: &io::PipeReader) -> io::Result<(OwnedFd, OwnedFd, u32)> {
    let line = first_line(status)?;
    let said: FirstAnswer = serde_json::from_slice(&line).map_err(io::Error::other)?;
    let outer = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let process = Pid::from_raw(said.child_pid.cast_signed());
    let process = process.ok_or_else(|| io::Error::other("bubblewrap named no process"))?;
    let first = pidfd_open(process, PidfdFlags::empty())?;
    // The number could have passed to another process before it was opened.
    if processes::parent_of(said.child_pid) != Some(child.id()) {
        return Err(io::Error::other("bubblewrap's child is gone"));
    }
    Ok((outer, first, said.child_pid))
}

/// The answer comes in pieces.
fn first_line(mut status: &io::PipeReader) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 1024];
    while !line.contains(&b'\n') && line.len() < ANSWER_BYTES_MAX {
        let mut ready = [PollFd::new(status, PollFlags::IN)];
        if poll(&mut ready, Some(&ANSWER_TIMEOUT))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match status.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => line.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    let end = line
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(line.len());
    line.truncate(end);
    Ok(line)
}
