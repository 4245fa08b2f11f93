//! Files of backups: written whole and durably, hashed, copied.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BackupError, failed};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What a data directory holds that is no part of a backup: it is copied in another way, or made
/// anew at each start.
const PASSED_OVER: [&str; 9] = [
    "lock",
    "backup.hold",
    "meta.sqlite",
    "meta.sqlite-wal",
    "meta.sqlite-shm",
    "server.json",
    "blobs",
    "jobs",
    "client",
];

/// What is copied always. Everything else may hold a secret.
const CONFIGURATION: &str = "sightline.toml";

/// Makes a folder that only its owner enters, and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("create", path))
}

/// Opens a new file that only its owner reads.
pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))
}

/// Makes a folder's entries durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(failed("make durable", path))
}

/// Writes a file in one step.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), BackupError> {
    let beside = path.with_extension("new");
    let mut file = create(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(failed("write", &beside))?;
    fs::rename(&beside, path).map_err(failed("write", path))
}

/// The SHA-256 of a file in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> Result<String, BackupError> {
    let hash = || -> io::Result<String> {
        let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = file.read(&mut piece)?;
            let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
                return Ok(hex::encode(hasher.finalize()));
            };
            hasher.update(read);
        }
    };
    hash().map_err(failed("read", path))
}

/// Copies a data directory's own files; gives the names of those that were left out.
pub(super) fn copy_own(from: &Path, to: &Path, secrets: bool) -> Result<Vec<String>, BackupError> {
    make_folder(to)?;
    let mut left_out = Vec::new();
    for entry in fs::read_dir(from).map_err(failed("read", from))? {
        let entry = entry.map_err(failed("read", from))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if PASSED_OVER.contains(&name.as_str()) || name.ends_with(".new") {
            continue;
        }
        if secrets || name == CONFIGURATION {
            copy_tree(&entry.path(), &to.join(&name))?;
        } else {
            left_out.push(name);
        }
    }
    left_out.sort();
    sync_folder(to)?;
    Ok(left_out)
}

/// Copies files and folders; links and sockets are no data of ours.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), BackupError> {
    let kind = fs::symlink_metadata(from)
        .map_err(failed("read", from))?
        .file_type();
    if kind.is_dir() {
        make_folder(to)?;
        for entry in fs::read_dir(from).map_err(failed("read", from))? {
            let entry = entry.map_err(failed("read", from))?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        return sync_folder(to);
    }
    if kind.is_file() {
        let mut source = File::open(from).map_err(failed("read", from))?;
        let mut target = create(to)?;
        let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
        copied.map_err(failed("copy", from))?;
    }
    Ok(())
}
