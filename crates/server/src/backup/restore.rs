//! Making a data directory from a backup.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use sightline_blob::DirBlobStore;
use sightline_ports::{BlobId, BlobStore as _};

use super::files::{copy_tree, make_folder, sha256_of, sync_folder};
use super::{BLOB_LIST, BackupError, FORMAT, Line, MANIFEST, METADATA, Manifest};
use super::{archive, failed, place_of};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// Secret files that the backup does not hold and the server may need.
    pub missing: Vec<String>,
}

/// Makes the new data directory `data_dir` of a backup. It appears when it is whole.
pub async fn restore(from: &Path, data_dir: &Path) -> Result<Restored, BackupError> {
    let occupied = fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || data_dir.is_file() {
        return Err(BackupError::Occupied(data_dir.to_owned()));
    }
    let fresh = beside(data_dir, "restoring");
    remove_if_there(&fresh)?;
    let restored = if from.is_file() {
        let unpacked = beside(data_dir, "unpacking");
        remove_if_there(&unpacked)?;
        archive::unpack(from, &unpacked)?;
        let restored = from_folder(&unpacked, &fresh).await;
        remove_if_there(&unpacked)?;
        restored?
    } else {
        from_folder(from, &fresh).await?
    };
    fs::rename(&fresh, data_dir).map_err(failed("create", data_dir))?;
    if let Some(parent) = data_dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        sync_folder(parent)?;
    }
    Ok(restored)
}

/// Reads which snapshot is the present one.
pub(super) fn read_manifest(from: &Path) -> Result<Manifest, BackupError> {
    let none = || BackupError::NoBackup(from.to_owned());
    let text = fs::read(from.join(MANIFEST)).map_err(|_| none())?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| none())?;
    if manifest.format != FORMAT {
        let found = manifest.format;
        return Err(BackupError::FromTheFuture { found });
    }
    // A name with a path in it would lead elsewhere.
    if manifest.snapshot.contains(['/', '\0']) || manifest.snapshot.starts_with('.') {
        return Err(none());
    }
    Ok(manifest)
}

async fn from_folder(from: &Path, to: &Path) -> Result<Restored, BackupError> {
    let manifest = read_manifest(from)?;
    let folder = from.join("snapshots").join(&manifest.snapshot);
    let (metadata, list) = (folder.join(METADATA), folder.join(BLOB_LIST));
    for (path, said) in [
        (&metadata, &manifest.metadata_sha256),
        (&list, &manifest.blob_list_sha256),
    ] {
        if sha256_of(path)? != *said {
            return Err(BackupError::DamagedFile(path.clone()));
        }
    }
    make_folder(to)?;
    let blobs = DirBlobStore::open(&to.join("blobs"))?;
    let file = File::open(&list).map_err(failed("read", &list))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed("read", &list))?;
        let damaged = || BackupError::DamagedFile(list.clone());
        let line: Line = serde_json::from_str(&line).map_err(|_| damaged())?;
        let id = BlobId::parse(&line.id).ok_or_else(damaged)?;
        let path = from.join("blobs").join(place_of(&id));
        restore_blob(&blobs, &id, &line, &path).await?;
    }
    copy_tree(&folder.join("files"), to)?;
    copy_tree(&metadata, &to.join(METADATA))?;
    sync_folder(to)?;
    Ok(Restored {
        missing: manifest.left_out.clone(),
        manifest,
    })
}

async fn restore_blob(
    blobs: &DirBlobStore,
    id: &BlobId,
    line: &Line,
    path: &Path,
) -> Result<(), BackupError> {
    let damaged = |reason: &str| BackupError::Damaged {
        id: id.clone(),
        reason: reason.to_owned(),
    };
    if !path.is_file() {
        return Err(damaged("the backup does not hold it"));
    }
    if sha256_of(path)? != line.sha256 {
        return Err(damaged("its SHA-256 is not the one that was noted"));
    }
    let file = File::open(path).map_err(failed("read", path))?;
    let pieces = stream::iter(Pieces(file));
    let size = blobs.put(id, Box::pin(pieces)).await?;
    if size != line.size {
        return Err(damaged("its size is not the one that was noted"));
    }
    Ok(())
}

/// A file in pieces. This is a program of its own, so it may wait for the disk.
struct Pieces(File);

impl Iterator for Pieces {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = vec![0; PIECE_BYTES];
        match self.0.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some(Ok(piece.into()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}
