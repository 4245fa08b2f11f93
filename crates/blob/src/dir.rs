//! Blobs as files below one directory.
//!
//! ```text
//! <root>/blobs/ab/ab12…   one file per blob, in a folder named by its first two digits
//! <root>/tmp/ab12…        blobs being written; whatever a crash left here is removed at open
//! <root>/tmp-<server>/…   the same for each of several servers
//! ```
//! Everything is reached from directory handles, one step at a time and by names that hold
//! hexadecimal digits only, so neither a renamed root nor a planted link can lead a blob elsewhere.
//! The handle of a folder is taken at its first use and kept: there are 256 at most.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, future};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};

use crate::read;
use crate::stage::{Batch, Stage};

/// Folders and files belong to the server alone.
const FOLDER_MODE: Mode = Mode::RWXU;

/// Keeps each blob as a file, durable through `fsync` of the file and of its directory.
#[derive(Clone, Debug)]
pub struct DirBlobStore {
    folders: Arc<Folders>,
}

/// The directory handles from which every blob is reached.
#[derive(Debug)]
pub(crate) struct Folders {
    blobs: OwnedFd,
    pub(crate) tmp: OwnedFd,
    shards: Mutex<HashMap<Box<str>, Arc<OwnedFd>>>,
}

impl Folders {
    /// The folder that a blob goes to, made durably at first use.
    pub(crate) fn shard_for_writing(&self, id: &BlobId) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let name = shard_of(id);
        if let Some(shard) = shards.get(name) {
            return Ok(Arc::clone(shard));
        }
        // Whoever else needs the folder waits here until its name is durable.
        make_folder(&self.blobs, name)?;
        rustix::fs::fsync(&self.blobs)?;
        let shard = Arc::new(open_folder(&self.blobs, name)?);
        shards.insert(name.into(), Arc::clone(&shard));
        Ok(shard)
    }

    /// The folder that a blob would lie in, if there is one.
    fn shard_for_reading(&self, id: &BlobId) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let name = shard_of(id);
        if let Some(shard) = shards.get(name) {
            return Ok(Arc::clone(shard));
        }
        let shard = Arc::new(open_folder(&self.blobs, name)?);
        shards.insert(name.into(), Arc::clone(&shard));
        Ok(shard)
    }
}

impl DirBlobStore {
    /// Opens the store at `root`, making it if absent and clearing what a crash left half written.
    ///
    /// Blocks on the disk, so it is called before requests are served. Only one process may have
    /// a store open: the files in `tmp` are taken for leftovers.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        Self::open_with(root, "tmp")
    }

    /// The same for one of several servers that share the store. Each has a folder of its own for
    /// blobs being written, and clears only that. `server` is made of letters and digits.
    pub fn open_shared(root: &Path, server: &str) -> Result<Self, BlobError> {
        let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if server.is_empty() || !letters(server) {
            let source = io::Error::from(io::ErrorKind::InvalidInput);
            let action = "name a folder after its server";
            return Err(BlobError::Store { action, source });
        }
        Self::open_with(root, &format!("tmp-{server}"))
    }

    fn open_with(root: &Path, tmp: &str) -> Result<Self, BlobError> {
        let store = |source: io::Error| BlobError::Store {
            action: "open its folder",
            source,
        };
        std::fs::create_dir_all(root).map_err(store)?;
        if let Some(parent) = root.parent() {
            // The root's own name must be durable before anything below it counts.
            sync_folder(parent).map_err(store)?;
        }
        let root: OwnedFd = std::fs::File::open(root).map_err(store)?.into();
        let folders = open_folders(&root, tmp).map_err(|errno| store(errno.into()))?;
        Ok(Self {
            folders: Arc::new(folders),
        })
    }

    /// Opens the store at `root` to read it, beside the process that has it open.
    pub fn open_to_read(root: &Path) -> Result<Self, BlobError> {
        let open = || -> io::Result<Folders> {
            let root: OwnedFd = std::fs::File::open(root)?.into();
            Ok(Folders {
                blobs: open_folder(&root, "blobs")?,
                tmp: open_folder(&root, "tmp")?,
                shards: Mutex::default(),
            })
        };
        let folders = open().map_err(|source| BlobError::Store {
            action: "open its folder",
            source,
        })?;
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

    /// Writes one batch more, and has the disk begin with much that is written.
    async fn append(&self, mut stage: Stage, batch: Batch) -> Result<Stage, BlobError> {
        let writing = self.blocking(WRITE, move |folders| {
            stage.write(folders, batch)?;
            Ok(stage)
        });
        stage = writing.await?;
        stage.flush_some().await.map_err(unwritten)?;
        Ok(stage)
    }
}

/// What is done when a blob is written.
const WRITE: &str = "write a blob";

fn unwritten(source: io::Error) -> BlobError {
    let action = WRITE;
    BlobError::Store { action, source }
}

#[async_trait]
impl BlobStore for DirBlobStore {
    async fn put(&self, id: &BlobId, mut bytes: BlobStream) -> Result<u64, BlobError> {
        let mut batch = Batch::gather(&mut bytes).await.map_err(BlobError::Source)?;
        let mut stage = Stage::new(id.clone());
        while !batch.is_last() {
            let writing = self.append(stage, batch);
            // The next bytes are fetched while these are written. Both are awaited before either
            // is judged, so that after a failure nothing goes on behind the caller's back.
            let (written, next) = future::join(writing, Batch::gather(&mut bytes)).await;
            stage = written?;
            batch = next.map_err(BlobError::Source)?;
        }
        stage.flushed().await.map_err(unwritten)?;
        self.blocking(WRITE, move |folders| {
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
        let id = id.clone();
        self.blocking("delete a blob", move |folders| {
            let shard = match folders.shard_for_reading(&id) {
                Err(Errno::NOENT) => return Ok(()),
                shard => shard?,
            };
            match rustix::fs::unlinkat(&*shard, id.as_str(), AtFlags::empty()) {
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

/// The folder of a blob: its first two digits, so that no folder grows too long to scan.
fn shard_of(id: &BlobId) -> &str {
    id.as_str().get(..2).unwrap_or_default()
}

/// Opens the folder `name` below `parent`, which must be a real directory and not a link.
fn open_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open_blob(folders: &Folders, id: &BlobId) -> rustix::io::Result<OwnedFd> {
    let shard = folders.shard_for_reading(id)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&*shard, id.as_str(), flags, Mode::empty())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    // A relative root with one step has the empty path as its parent.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    std::fs::File::open(path)?.sync_all()
}

fn open_folders(root: &OwnedFd, tmp: &str) -> rustix::io::Result<Folders> {
    for name in ["blobs", tmp] {
        make_folder(root, name)?;
    }
    let folders = Folders {
        blobs: open_folder(root, "blobs")?,
        tmp: open_folder(root, tmp)?,
        shards: Mutex::default(),
    };
    rustix::fs::fsync(root)?;
    // Makes durable the names of folders whose maker may have died before it did.
    rustix::fs::fsync(&folders.blobs)?;
    for name in names_in(&folders.tmp)? {
        rustix::fs::unlinkat(&folders.tmp, &name, AtFlags::empty())?;
    }
    Ok(folders)
}

/// Makes a folder unless it exists.
fn make_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<()> {
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
