//! Packing what a training program has written into `model.tar.gz` and `output.tar.gz`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::collect::Written;

/// What went into an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Number of files.
    pub(crate) files: usize,
    /// Entries that were not taken, with the reason.
    pub(crate) left_out: Vec<String>,
}

/// Packs the files of all `directories` at the root of one archive.
///
/// Of files with the same name that of the first directory is taken. Modes are made plain, so no
/// set-user-id bit leaves the sandbox; owners are zero.
pub(crate) fn pack(directories: &[Written], archive: &Path) -> io::Result<Packed> {
    let encoder = GzEncoder::new(File::create(archive)?, Compression::fast());
    let mut builder = Builder::new(io::BufWriter::new(encoder));
    let mut packed = Packed::default();
    let mut taken = BTreeSet::new();
    for directory in directories {
        let listing = directory.list()?;
        let not_a_file = |path: String| format!("{path}: neither a file nor a directory");
        packed
            .left_out
            .extend(listing.left_out.into_iter().map(not_a_file));
        for path in listing.files {
            if taken.contains(&path) {
                packed
                    .left_out
                    .push(format!("{path}: another instance has written it too"));
                continue;
            }
            if append(&mut builder, directory, &path)? {
                packed.files += 1;
                taken.insert(path);
            }
        }
    }
    let encoder = builder
        .into_inner()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    encoder.finish()?.flush()?;
    Ok(packed)
}

fn append(
    builder: &mut Builder<impl io::Write>,
    directory: &Written,
    path: &str,
) -> io::Result<bool> {
    let Some(file) = directory.file(path)? else {
        return Ok(false);
    };
    let metadata = file.metadata()?;
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100;
    let modified = metadata
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(if executable == 0 { 0o644 } else { 0o755 });
    header.set_mtime(modified.as_secs());
    header.set_size(metadata.len());
    // The size stands in the header already, so the file is read to it and no further.
    let content = io::Read::take(file, metadata.len());
    builder.append_data(&mut header, path, content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn unpack(archive: &Path) -> BTreeMap<String, (u32, String)> {
        let decoder = flate2::read::GzDecoder::new(File::open(archive).unwrap());
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(decoder).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mode = entry.header().mode().unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(path, (mode, text));
        }
        found
    }

    #[test]
    fn files_of_all_instances_stand_at_the_root_and_the_first_wins() {
        let dir = tempfile::tempdir().unwrap();
        for (host, text) in [("algo-1", "one"), ("algo-2", "two")] {
            let model = dir.path().join(host).join("model");
            std::fs::create_dir_all(model.join("sub")).unwrap();
            std::fs::write(model.join("model.joblib"), text).unwrap();
            std::fs::write(model.join("sub").join(host), text).unwrap();
        }
        let suid = dir.path().join("algo-1/model/sub/algo-1");
        std::fs::set_permissions(suid, std::fs::Permissions::from_mode(0o4755)).unwrap();
        let open = |host: &str| {
            Written::open(&dir.path().join(host), "model")
                .unwrap()
                .unwrap()
        };
        let archive = dir.path().join("model.tar.gz");
        let packed = pack(&[open("algo-1"), open("algo-2")], &archive).unwrap();
        assert_eq!(packed.files, 3);
        assert_eq!(
            packed.left_out,
            ["model.joblib: another instance has written it too"]
        );
        let expected = [
            ("model.joblib", 0o644, "one"),
            ("sub/algo-1", 0o755, "one"),
            ("sub/algo-2", 0o644, "two"),
        ];
        let expected: BTreeMap<String, (u32, String)> = expected
            .map(|(path, mode, text)| (path.to_owned(), (mode, text.to_owned())))
            .into();
        assert_eq!(unpack(&archive), expected);
    }

    #[test]
    fn an_empty_model_is_an_archive_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("model.tar.gz");
        assert_eq!(pack(&[], &archive).unwrap(), Packed::default());
        assert!(unpack(&archive).is_empty());
    }
}
