//! Blobs stay while a backup runs: the hold that a backup takes, and the store that respects it.
//!
//! A backup is another process. It holds a lock on a file in the data directory; while it does,
//! the server removes nothing. The lock ends with the process, however that ends. A backup copies
//! the metadata after it has taken the lock, so every blob that the copy names was not yet
//! removed, and will not be.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange, Clock};

/// The file whose lock is the hold.
const FILE_NAME: &str = "backup.hold";

/// How often a backup tries to take the hold, against a server that is just asking for it.
const ATTEMPTS_MAX: u32 = 50;

/// The pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);

/// Removals that are remembered while a hold lasts. Further ones are left to the collection of
/// blobs that nothing names.
const POSTPONED_MAX: usize = 1_000_000;

/// How often removals that were postponed are made up for.
const CATCH_UP_EVERY: Duration = Duration::from_secs(10);

/// While this is held, the server of a data directory removes no blob.
#[derive(Debug)]
pub(super) struct Hold(#[expect(dead_code, reason = "its lock ends with it")] File);

impl Hold {
    /// Takes the hold; `None` if another backup has it.
    pub(super) fn take(data_dir: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(data_dir.join(FILE_NAME))?;
        for _ in 0..ATTEMPTS_MAX {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self(file))),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(ATTEMPT_PAUSE),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }
}

/// A blob store that removes nothing while a backup runs.
#[derive(Debug)]
pub(crate) struct HeldBlobs {
    inner: Arc<dyn BlobStore>,
    file: PathBuf,
    postponed: Mutex<HashSet<BlobId>>,
    written: AtomicU64,
    bytes_written: AtomicU64,
    removed: AtomicU64,
}

/// What became of blobs since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlobCounts {
    pub(crate) written: u64,
    pub(crate) bytes_written: u64,
    pub(crate) removed: u64,
}

impl HeldBlobs {
    pub(crate) fn new(inner: Arc<dyn BlobStore>, data_dir: &Path) -> Self {
        Self {
            inner,
            file: data_dir.join(FILE_NAME),
            postponed: Mutex::default(),
            written: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    pub(crate) fn counts(&self) -> BlobCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BlobCounts {
            written: read(&self.written),
            bytes_written: read(&self.bytes_written),
            removed: read(&self.removed),
        }
    }

    async fn remove(&self, id: &BlobId) -> Result<(), BlobError> {
        self.inner.delete(id).await?;
        self.removed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Makes up for removals that were postponed, for ever.
    pub(crate) async fn catch_up(&self, clock: &dyn Clock) {
        loop {
            clock.sleep(CATCH_UP_EVERY).await;
            if self.is_held() {
                continue;
            }
            for id in self.take_postponed() {
                if let Err(error) = self.remove(&id).await {
                    tracing::warn!(%error, "a blob will be collected later");
                }
            }
        }
    }

    fn is_held(&self) -> bool {
        let Ok(file) = File::open(&self.file) else {
            return false;
        };
        // The lock is given back when the file is closed, at the end of this function.
        matches!(
            flock(&file, FlockOperation::NonBlockingLockShared),
            Err(Errno::WOULDBLOCK)
        )
    }

    fn postpone(&self, id: &BlobId) {
        let mut postponed = self
            .postponed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if postponed.len() < POSTPONED_MAX {
            postponed.insert(id.clone());
        }
    }

    fn take_postponed(&self) -> HashSet<BlobId> {
        let mut postponed = self
            .postponed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut postponed)
    }
}

#[async_trait]
impl BlobStore for HeldBlobs {
    async fn put(&self, id: &BlobId, bytes: BlobStream) -> Result<u64, BlobError> {
        let bytes = self.inner.put(id, bytes).await?;
        self.written.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        self.inner.get(id, range).await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        if self.is_held() {
            self.postpone(id);
            return Ok(());
        }
        self.remove(id).await
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        self.inner.list(after, max).await
    }
}

#[cfg(test)]
mod tests {
    use sightline_blob::DirBlobStore;

    use super::*;

    #[tokio::test]
    async fn nothing_is_removed_while_a_backup_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner: Arc<dyn BlobStore> =
            Arc::new(DirBlobStore::open(&dir.path().join("blobs")).unwrap());
        let held = HeldBlobs::new(Arc::clone(&inner), dir.path());
        let ids = ["a", "b"].map(|digit| BlobId::parse(&digit.repeat(32)).unwrap());
        for id in &ids {
            let bytes = futures_util::stream::once(async { Ok(bytes::Bytes::from_static(b"x")) });
            held.put(id, Box::pin(bytes)).await.unwrap();
        }
        let hold = Hold::take(dir.path()).unwrap().unwrap();
        assert!(
            Hold::take(dir.path()).unwrap().is_none(),
            "one backup at a time"
        );
        held.delete(&ids[0]).await.unwrap();
        assert_eq!(inner.list(None, 10).await.unwrap(), ids);
        drop(hold);
        held.delete(&ids[1]).await.unwrap();
        assert_eq!(inner.list(None, 10).await.unwrap(), ids[..1]);
        assert_eq!(held.take_postponed(), HashSet::from([ids[0].clone()]));
        let counts = BlobCounts {
            written: 2,
            bytes_written: 2,
            removed: 1,
        };
        assert_eq!(held.counts(), counts);
    }
}
