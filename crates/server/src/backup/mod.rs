//! Backups: a consistent copy of everything that must last, made while the server runs.
//!
//! ```text
//! backup.json                     which snapshot is the present one; replaced last
//! snapshots/<id>/meta.sqlite      the metadata of one moment
//! snapshots/<id>/blobs.jsonl      every blob that it names: name, size, SHA-256
//! snapshots/<id>/files/           configuration, and secrets if they were asked for
//! blobs/ab/ab12…                  the blobs, shared by snapshots
//! ```
//! A second backup to the same place copies only blobs that are not there yet. One that is broken
//! off leaves the one before as it was.

mod archive;
mod files;
mod hold;
mod make;
mod restore;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sightline_blob::DirBlobStore;
use sightline_config::{ObjectStore, Settings};
use sightline_ports::{BlobId, BlobStore};

pub(crate) use hold::{BlobCounts, HeldBlobs};
pub use make::{BackUp, back_up};
pub use restore::{Restored, restore};

/// The form of backups that this release writes and reads.
const FORMAT: u32 = 1;

const MANIFEST: &str = "backup.json";
const METADATA: &str = "meta.sqlite";
const BLOB_LIST: &str = "blobs.jsonl";

/// Which snapshot of a backup is the present one, and what it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u32,
    /// The release that made it.
    pub release: String,
    /// When it was made.
    pub made_at: String,
    /// The snapshot's folder.
    snapshot: String,
    /// The SHA-256 of its metadata.
    metadata_sha256: String,
    /// The SHA-256 of its list of blobs.
    blob_list_sha256: String,
    /// Blobs that it names.
    pub blobs: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// Blobs that were copied, and not there already from a backup before.
    pub copied: u64,
    /// Files of the data directory that were left out because they are secret.
    pub left_out: Vec<String>,
    /// Where `objects.dir` led. A restored server that is told the same would use what lies there.
    pub objects_dir: Option<PathBuf>,
}

/// One line of the list of blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    id: String,
    size: u64,
    sha256: String,
}

/// Why a backup cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The metadata is not in a file of ours.
    #[error(
        "the metadata lies in PostgreSQL: back it up with pg_dump or the database's own tools, \
         and the objects by copying their directory afterwards"
    )]
    Postgres,
    /// The bytes of objects are not in a directory of ours.
    #[error("the objects lie in a bucket: back them up with that bucket's versions or replication")]
    Bucket,
    /// There is nothing to back up.
    #[error("{} holds no data of a server", .0.display())]
    NoData(PathBuf),
    /// Another backup runs.
    #[error("another backup of {} is being made", .0.display())]
    InProgress(PathBuf),
    /// The place of the new data directory is taken.
    #[error("{} exists and is not empty; restore into a new directory", .0.display())]
    Occupied(PathBuf),
    /// There is no complete backup.
    #[error("{} holds no complete backup", .0.display())]
    NoBackup(PathBuf),
    /// The backup was made by a later release.
    #[error("the backup has form {found}, this release knows {FORMAT}: use a newer release")]
    FromTheFuture {
        /// The form found.
        found: u32,
    },
    /// A blob is not what its row, or the backup's list, says.
    #[error("the blob {} is damaged: {reason}", id.as_str())]
    Damaged {
        /// The blob.
        id: BlobId,
        /// What does not fit.
        reason: String,
    },
    /// A file of the backup is not what its manifest says.
    #[error("{} is damaged", .0.display())]
    DamagedFile(PathBuf),
    /// The metadata cannot be read.
    #[error("could not copy the metadata")]
    Meta(#[from] sightline_meta::MetaError),
    /// A blob cannot be read or stored.
    #[error("could not copy a blob")]
    Blob(#[from] sightline_ports::BlobError),
    /// A file cannot be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File {
        action,
        path,
        source,
    }
}

/// The store of a data directory's blobs, to be read beside its server.
fn blobs_to_read(settings: &Settings, data_dir: &Path) -> Result<Arc<dyn BlobStore>, BackupError> {
    if settings.objects.store != ObjectStore::Dir {
        return Err(BackupError::Bucket);
    }
    let dir = settings.objects.dir.clone();
    let dir = dir.unwrap_or_else(|| data_dir.join("blobs"));
    Ok(Arc::new(DirBlobStore::open_to_read(&dir)?))
}

/// Where a blob lies below the folder of blobs.
fn place_of(id: &BlobId) -> PathBuf {
    let name = id.as_str();
    Path::new(name.get(..2).unwrap_or_default()).join(name)
}
