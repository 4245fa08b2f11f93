//! A backup as one tar file.

use std::fs::{self, File};
use std::path::Path;

use super::files::{create, make_folder, sync_folder};
use super::{BackupError, failed};

/// Packs a backup's folder; the file appears when it is whole.
pub(super) fn pack(folder: &Path, to: &Path) -> Result<(), BackupError> {
    let beside = to.with_extension("tar.new");
    let mut archive = tar::Builder::new(create(&beside)?);
    archive.follow_symlinks(false);
    let packed = archive
        .append_dir_all(".", folder)
        .and_then(|()| archive.into_inner())
        .and_then(|file| file.sync_all());
    packed.map_err(failed("write", &beside))?;
    fs::rename(&beside, to).map_err(failed("write", to))?;
    match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Unpacks a backup. Entries that would lie elsewhere are passed over by the library, and what
/// they were to be is missed afterwards.
pub(super) fn unpack(from: &Path, to: &Path) -> Result<(), BackupError> {
    make_folder(to)?;
    let file = File::open(from).map_err(failed("read", from))?;
    let mut archive = tar::Archive::new(file);
    archive.set_preserve_ownerships(false);
    archive.unpack(to).map_err(failed("unpack", from))
}
