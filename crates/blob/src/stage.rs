//! A blob on its way into the store: written under `tmp`, made durable, then renamed into place.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use rustix::fs::{AtFlags, Mode, OFlags};
use sightline_ports::{BlobId, BlobStream};
use tokio::task::JoinHandle;

use crate::dir::Folders;

/// Bytes handed to a blocking thread at once: enough that the hop between threads is cheap.
const BATCH_BYTES: usize = 1024 * 1024;

/// Pieces held before a batch goes out, so that a sender of tiny pieces cannot make us hold many.
const BATCH_PIECES: usize = 256;

/// Bytes after which the disk begins to take them, while those after them arrive. Left to itself
/// the system would begin when the blob is whole, and the sender would wait for all of it.
const FLUSH_BYTES: u64 = 32 * 1024 * 1024;

/// Consecutive pieces of the incoming bytes.
pub(crate) struct Batch {
    pieces: Vec<Bytes>,
    last: bool,
}

impl Batch {
    /// Takes pieces from `bytes` until there are enough of them or no more.
    pub(crate) async fn gather(bytes: &mut BlobStream) -> io::Result<Self> {
        let mut pieces = Vec::new();
        let mut size = 0;
        while size < BATCH_BYTES && pieces.len() < BATCH_PIECES {
            let Some(piece) = bytes.next().await.transpose()? else {
                return Ok(Self { pieces, last: true });
            };
            size += piece.len();
            pieces.push(piece);
        }
        Ok(Self {
            pieces,
            last: false,
        })
    }

    /// Whether the incoming bytes ended with this batch.
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }
}

/// A blob being written. Unless published, dropping it removes what was written.
pub(crate) struct Stage {
    id: BlobId,
    open: Option<Open>,
    size: u64,
    unflushed: u64,
    flush: Option<JoinHandle<io::Result<()>>>,
}

/// The file behind a stage, and the folders it moves between.
struct Open {
    folders: Arc<Folders>,
    file: Arc<File>,
}

impl Stage {
    /// Prepares a blob; its file is made by the first write.
    pub(crate) fn new(id: BlobId) -> Self {
        Self {
            id,
            open: None,
            size: 0,
            unflushed: 0,
            flush: None,
        }
    }

    /// Appends a batch.
    pub(crate) fn write(&mut self, folders: &Arc<Folders>, batch: Batch) -> io::Result<()> {
        if self.open.is_none() {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = rustix::fs::openat(&folders.tmp, self.id.as_str(), flags, mode)?;
            self.open = Some(Open {
                folders: Arc::clone(folders),
                file: Arc::new(file.into()),
            });
        }
        if let Some(open) = &mut self.open {
            for piece in batch.pieces {
                (&*open.file).write_all(&piece)?;
                self.size += piece.len() as u64;
                self.unflushed += piece.len() as u64;
            }
        }
        Ok(())
    }

    /// Lets the disk begin with what is written, if that is much. Waits for the flush before it,
    /// so that a slow disk holds up the sender and not the memory.
    pub(crate) async fn flush_some(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_ref().filter(|_| FLUSH_BYTES <= self.unflushed) else {
            return Ok(());
        };
        let file = Arc::clone(&open.file);
        self.flushed().await?;
        self.unflushed = 0;
        self.flush = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    /// Waits for the flush under way. Its failure must be heard here: the system tells each failure
    /// once, so that the flush of the whole would not know of it.
    pub(crate) async fn flushed(&mut self) -> io::Result<()> {
        match self.flush.take() {
            Some(flush) => flush.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }

    /// Makes the blob durable and visible, and gives its size.
    pub(crate) fn publish(mut self) -> io::Result<u64> {
        let Some(open) = &self.open else {
            return Err(io::Error::other(
                "a blob is published before its first write",
            ));
        };
        open.file.sync_all()?;
        let shard = open.folders.shard_for_writing(&self.id)?;
        rustix::fs::renameat(
            &open.folders.tmp,
            self.id.as_str(),
            &*shard,
            self.id.as_str(),
        )?;
        // The name is durable only once the folder is.
        if let Err(errno) = rustix::fs::fsync(&*shard) {
            rustix::fs::unlinkat(&*shard, self.id.as_str(), AtFlags::empty())?;
            self.open = None;
            return Err(errno.into());
        }
        self.open = None;
        Ok(self.size)
    }
}

impl Drop for Stage {
    /// Removes the name at once, so that nothing is left whatever happens next.
    ///
    /// The system frees the bytes when the file is closed. That can take the disk's time, which
    /// a request's thread must not wait for.
    fn drop(&mut self) {
        let Some(Open { folders, file }) = self.open.take() else {
            return;
        };
        let removed = rustix::fs::unlinkat(&folders.tmp, self.id.as_str(), AtFlags::empty());
        if let Err(errno) = removed {
            let blob = self.id.as_str();
            tracing::warn!(blob, %errno, "an unfinished blob stays until restart");
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(file)));
        }
    }
}
