//! Blobs as files below one directory.
//!
//! ```text
//! <root>/blobs/ab/ab12…   one file per blob, in a folder named by its first two digits
//! <root>/tmp/ab12…        blobs being written; whatever a crash left here is removed at open
//! ```
//! Everything is reached from directory handles taken at open, by names that hold hexadecimal
//! digits only, so neither a renamed root nor a planted link can lead a blob elsewhere.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, future};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};

use crate::read;
use crate::stage::{Batch, Stage};

/// Folders and files belong to the server alone.
pub(crate) const FOLDER_MODE: Mode = Mode::RWXU;

/// Keeps each blob as a file, durable through `fsync` of the file and of its directory.
#[derive(Clone, Debug)]
pub struct DirBlobStore {
    folders: Arc<Folders>,
}

/// The directory handles from which every blob is reached.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) blobs: OwnedFd,
    pub(crate) tmp: OwnedFd,
}

impl DirBlobStore {
    /// Opens the store at `root`, making it if absent and clearing what a crash left half written.
    ///
    /// Blocks on the disk, so it is called before requests are served. Only one process may have
    /// a store open: the files in `tmp` are taken for leftovers.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let store = |source: io::Error| BlobError::Store {
            action: "open its folder",
            source,
        };
        std::fs::create_dir_all(root).map_err(store)?;
        let root: OwnedFd = std::fs::File::open(root).map_err(store)?.into();
        let folders = open_folders(&root).map_err(|errno| store(errno.into()))?;
        Ok(Self {
            folders: Arc::new(folders),
        })
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Arc<Folders>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let folders = Arc::clone(&self.folders);
        tokio::task::spawn_blocking(move || work(&folders))
            .await
            .unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
            .map_err(|source| BlobError::Store { action, source })
    }
}

#[async_trait]
impl BlobStore for DirBlobStore {
    async fn put(&self, id: &BlobId, mut bytes: BlobStream) -> Result<u64, BlobError> {
        let mut batch = Batch::gather(&mut bytes).await.map_err(BlobError::Source)?;
        let mut stage = Stage::new(id.clone());
        while !batch.is_last() {
            let writing = self.blocking("write a blob", move |folders| {
                stage.write(folders, batch)?;
                Ok(stage)
            });
            // The next bytes are fetched while these are written. Both are awaited before either
            // is judged, so that after a failure nothing goes on behind the caller's back.
            let (written, next) = future::join(writing, Batch::gather(&mut bytes)).await;
            stage = written?;
            batch = next.map_err(BlobError::Source)?;
        }
        self.blocking("write a blob", move |folders| {
            stage.write(folders, batch)?;
            stage.publish()
        })
        .await
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        let wanted = id.clone();
        let opened = self
            .blocking("read a blob", move |folders| {
                match open_blob(folders, &wanted) {
                    Ok(file) => read::start(file, range).map(Some),
                    Err(Errno::NOENT) => Ok(None),
                    Err(errno) => Err(errno.into()),
                }
            })
            .await?;
        match opened {
            Some(reading) => Ok(reading.into_stream().boxed()),
            None => Err(BlobError::NotFound(id.clone())),
        }
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let path = path_of(id);
        self.blocking("delete a blob", move |folders| {
            match rustix::fs::unlinkat(&folders.blobs, &path, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        })
        .await
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        let after = after.cloned();
        self.blocking("list its blobs", move |folders| {
            Ok(list_blobs(&folders.blobs, after.as_ref(), max)?)
        })
        .await
    }
}

/// Where a blob lies below `blobs`.
fn path_of(id: &BlobId) -> String {
    format!("{}/{}", shard_of(id), id.as_str())
}

/// The folder of a blob: its first two digits, so that no folder grows too long to scan.
pub(crate) fn shard_of(id: &BlobId) -> &str {
    id.as_str().get(..2).unwrap_or_default()
}

/// Opens the folder `name` below `parent`, which must be a real directory and not a link.
pub(crate) fn open_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open_blob(folders: &Folders, id: &BlobId) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&folders.blobs, path_of(id), flags, Mode::empty())
}

fn open_folders(root: &OwnedFd) -> rustix::io::Result<Folders> {
    for name in ["blobs", "tmp"] {
        make_folder(root, name)?;
    }
    let folders = Folders {
        blobs: open_folder(root, "blobs")?,
        tmp: open_folder(root, "tmp")?,
    };
    rustix::fs::fsync(root)?;
    for name in names_in(&folders.tmp)? {
        rustix::fs::unlinkat(&folders.tmp, &name, AtFlags::empty())?;
    }
    Ok(folders)
}

/// Makes a folder unless it exists.
pub(crate) fn make_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    match rustix::fs::mkdirat(parent, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The names in a folder that are text; nothing of ours has another kind of name.
fn names_in(folder: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(_) if entry.file_type() == FileType::Symlink => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

fn list_blobs(
    blobs: &OwnedFd,
    after: Option<&BlobId>,
    max: usize,
) -> rustix::io::Result<Vec<BlobId>> {
    let mut shards = names_in(blobs)?;
    shards.retain(|shard| after.is_none_or(|after| shard_of(after) <= shard.as_str()));
    shards.sort_unstable();
    let mut found = Vec::new();
    for shard in shards {
        let names = names_in(&open_folder(blobs, &shard)?)?;
        let ids = names.iter().filter_map(|name| BlobId::parse(name));
        let mut ids: Vec<BlobId> = ids
            .filter(|id| shard_of(id) == shard && after.is_none_or(|after| after < id))
            .collect();
        ids.sort_unstable();
        found.extend(ids);
        if max <= found.len() {
            break;
        }
    }
    found.truncate(max);
    Ok(found)
}
