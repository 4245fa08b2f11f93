//! Looking at what a program has written, without being led outside its own directory.
//!
//! A program may leave symbolic links, devices, sockets or endless trees. Every step from the
//! directory's handle on is taken by `openat2` with links and mount crossings forbidden, and only
//! regular files are seen; all else is named as left out.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};

/// Files that one output may hold.
const FILES_MAX: usize = 1_000_000;

/// Directories within directories.
const DEPTH_MAX: usize = 64;

/// What was found below a directory, and what was not taken.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Paths of regular files in order of name.
    pub(crate) files: Vec<String>,
    /// Entries that are neither files nor directories, or whose names are not UTF-8.
    pub(crate) left_out: Vec<String>,
}

/// A directory that a program could write to.
#[derive(Debug)]
pub(crate) struct Written(OwnedFd);

impl Written {
    /// Opens the directory at `inside` below `root`, where `root` itself is the platform's.
    pub(crate) fn open(root: &Path, inside: &str) -> io::Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        match beneath(root.as_fd(), inside.trim_matches('/'), flags) {
            Ok(directory) => Ok(Some(Self(directory))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Every regular file below, to the limits of number and depth.
    pub(crate) fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut waiting = vec![(String::new(), 0)];
        while let Some((directory, depth)) = waiting.pop() {
            for (name, kind) in self.entries(&directory)? {
                let Ok(name) = name.to_str() else {
                    listing
                        .left_out
                        .push(format!("{directory}{}", name.to_string_lossy()));
                    continue;
                };
                let path = format!("{directory}{name}");
                if kind == FileType::RegularFile {
                    listing.files.push(path);
                } else if kind == FileType::Directory && depth < DEPTH_MAX {
                    waiting.push((format!("{path}/"), depth + 1));
                } else {
                    listing.left_out.push(path);
                }
            }
            if FILES_MAX < listing.files.len() {
                return Err(io::Error::other(format!(
                    "there are more than {FILES_MAX} files"
                )));
            }
        }
        listing.files.sort();
        Ok(listing)
    }

    fn entries(&self, directory: &str) -> io::Result<Vec<(CString, FileType)>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let handle = if directory.is_empty() {
            beneath(self.0.as_fd(), ".", flags)?
        } else {
            beneath(self.0.as_fd(), directory.trim_end_matches('/'), flags)?
        };
        let mut entries = Vec::new();
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            let name: &CStr = entry.file_name();
            if name != c"." && name != c".." {
                entries.push((name.to_owned(), kind_of(&handle, name, entry.file_type())));
            }
        }
        Ok(entries)
    }

    /// Opens a file that [`list`](Self::list) gave; `None` if it is no regular file any more.
    pub(crate) fn file(&self, path: &str) -> io::Result<Option<File>> {
        // Without NONBLOCK, opening a named pipe put there meanwhile would wait for ever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let handle = match beneath(self.0.as_fd(), path, flags) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let file = File::from(handle);
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// The first `max` bytes of a file, if there is such a file.
    pub(crate) fn read_start(&self, path: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// File systems that do not say what an entry is are asked about it.
fn kind_of(directory: &OwnedFd, name: &CStr, said: FileType) -> FileType {
    if said != FileType::Unknown {
        return said;
    }
    rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| {
            FileType::from_raw_mode(stat.st_mode)
        })
}

fn beneath(
    directory: std::os::fd::BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { "." } else { path };
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("ml/out");
        std::fs::create_dir_all(out.join("sub")).unwrap();
        std::fs::write(out.join("b.txt"), "b").unwrap();
        std::fs::write(out.join("sub/a.txt"), "a").unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        dir
    }

    #[test]
    fn regular_files_are_listed_and_read() {
        let dir = tree();
        let written = Written::open(&dir.path().join("ml"), "/out/")
            .unwrap()
            .unwrap();
        assert_eq!(written.list().unwrap().files, ["b.txt", "sub/a.txt"]);
        assert_eq!(written.read_start("sub/a.txt", 10).unwrap().unwrap(), b"a");
        assert!(written.file("absent").unwrap().is_none());
        assert!(Written::open(dir.path(), "absent").unwrap().is_none());
    }

    #[test]
    fn links_sockets_and_pipes_are_left_out_by_name() {
        let dir = tree();
        let out = dir.path().join("ml/out");
        symlink("../../secret", out.join("link")).unwrap();
        symlink("/etc", out.join("etc")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            out.join("pipe"),
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(out.join("socket")).unwrap();
        let written = Written::open(&dir.path().join("ml"), "out")
            .unwrap()
            .unwrap();
        let mut listing = written.list().unwrap();
        listing.left_out.sort();
        assert_eq!(listing.files, ["b.txt", "sub/a.txt"]);
        assert_eq!(listing.left_out, ["etc", "link", "pipe", "socket"]);
        assert!(written.file("link").unwrap().is_none());
        assert!(written.file("pipe").unwrap().is_none());
    }

    #[test]
    fn no_path_leads_outside() {
        let dir = tree();
        let written = Written::open(&dir.path().join("ml"), "out")
            .unwrap()
            .unwrap();
        for path in ["../../secret", "/etc/passwd", "sub/../../../secret"] {
            assert!(written.file(path).is_err(), "{path}");
        }
        symlink(dir.path().join("ml/out"), dir.path().join("ml/alias")).unwrap();
        assert!(Written::open(&dir.path().join("ml"), "alias").is_err());
    }
}
