//! Locks on files, so that several servers can share one cache.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use sightline_ports::Clock;

/// The system has no wait for a file lock that could be given up; asking this often is cheap
/// beside the builds that are waited for.
const POLL: Duration = Duration::from_millis(100);

/// A held lock. The system releases it when it is dropped and when the process ends, however
/// that happens.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
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
            Ok(()) => return Ok(Lock { _file: file }),
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
}
