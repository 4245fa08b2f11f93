//! Locks on files, so that several servers can share one cache.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use sightline_ports::Clock;
use tokio::process::Command;

/// The system has no wait for a file lock that could be given up; asking this often is cheap
/// beside the builds that are waited for.
const POLL: Duration = Duration::from_millis(100);

/// The first descriptor after standard input, output and error.
const SHARED_FD: RawFd = 3;

/// A held lock. The system releases it once it is dropped, or its process has ended in whatever
/// way, and every program that it was shared with has ended too.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Lets the program that `command` starts hold the lock as well, and what that starts in
    /// turn: should the server be killed, nobody builds where its installer still writes.
    pub(super) fn share(&self, command: &mut Command) -> io::Result<()> {
        let parent_fd = OwnedFd::from(self.file.try_clone()?);
        let mapping = FdMapping {
            parent_fd,
            child_fd: SHARED_FD,
        };
        command
            .as_std_mut()
            .fd_mappings(vec![mapping])
            .map_err(io::Error::other)?;
        Ok(())
    }
}

/// Takes the lock on the file at `path`, making the file if needed; calls `on_wait` once if
/// someone else holds it.
pub(super) async fn acquire(
    path: &Path,
    limit: Duration,
    clock: &dyn Clock,
    on_wait: &(dyn Fn() + Send + Sync),
) -> io::Result<Lock> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let since = clock.now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { file }),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if clock.now().since(since) >= limit => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    on_wait();
                }
                clock.sleep(POLL).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use sightline_ports::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_second_taker_waits_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let waits = AtomicU32::new(0);
        let on_wait = || {
            waits.fetch_add(1, Ordering::SeqCst);
        };
        let first = acquire(&path, Duration::ZERO, &SystemClock, &on_wait)
            .await
            .unwrap();
        let error = acquire(&path, Duration::ZERO, &SystemClock, &on_wait)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(waits.load(Ordering::SeqCst), 0);
        let holder = std::sync::Mutex::new(Some(first));
        let let_go = || {
            on_wait();
            holder.lock().unwrap().take();
        };
        acquire(&path, Duration::from_secs(60), &SystemClock, &let_go)
            .await
            .unwrap();
        assert_eq!(waits.load(Ordering::SeqCst), 1);
    }
    #[tokio::test]
    async fn a_program_that_shares_the_lock_keeps_it_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let take = || acquire(&path, Duration::ZERO, &SystemClock, &|| ());
        let lock = take().await.unwrap();
        let mut command = Command::new("/bin/sleep");
        command.arg("600");
        lock.share(&mut command).unwrap();
        let mut child = command.spawn().unwrap();
        drop((lock, command));
        assert_eq!(take().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        child.kill().await.unwrap();
        take().await.unwrap();
    }
}
