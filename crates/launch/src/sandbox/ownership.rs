//! Hands a job's writable directories to the job's user.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

/// A tree deeper than this was not made for a job.
const DEPTH_MAX: usize = 128;

/// Prepares everything at and below `root`, which no process of a job may be using yet.
///
/// With `uid` all of it changes owner and group. A file with several names is copied first, so
/// that neither its new owner nor what the job writes reaches the other names, which may lie
/// in a cache or a store.
pub(super) fn hand_over(root: &Path, uid: Option<u32>) -> io::Result<()> {
    let mut waiting = vec![(root.to_path_buf(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_file() && 1 < metadata.nlink() {
            separate(&path)?;
        }
        if let Some(uid) = uid {
            lchown(&path, Some(uid), Some(uid))?;
        }
        if metadata.is_dir() {
            if DEPTH_MAX <= depth {
                return Err(io::Error::other(format!("{} is too deep", path.display())));
            }
            for entry in fs::read_dir(&path)? {
                waiting.push((entry?.path(), depth + 1));
            }
        }
    }
    Ok(())
}

/// Lets only the job's user connect to `socket`.
pub(super) fn hand_over_socket(socket: &Path, uid: Option<u32>) -> io::Result<()> {
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    match uid {
        Some(uid) => lchown(socket, Some(uid), Some(uid)),
        None => Ok(()),
    }
}

/// Gives `path` an inode of its own.
fn separate(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".sightline-copy");
    let copy = path.with_file_name(name);
    fs::copy(path, &copy)?;
    fs::rename(&copy, path)
}

/// The first directory on the way to `path` that the user `uid` cannot pass, or `path` itself
/// if it is missing.
pub(super) fn obstacle(path: &Path, uid: u32) -> Option<PathBuf> {
    let above = path.ancestors().skip(1).collect::<Vec<_>>();
    for directory in above.into_iter().rev() {
        let Ok(metadata) = fs::metadata(directory) else {
            return Some(directory.to_path_buf());
        };
        let mode = metadata.permissions().mode();
        let passable = if metadata.uid() == uid {
            mode & 0o100
        } else {
            mode & 0o001
        };
        if passable == 0 {
            return Some(directory.to_path_buf());
        }
    }
    (!path.exists()).then(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_with_several_names_is_copied_first() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, tree) = (dir.path().join("outside"), dir.path().join("tree"));
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(&outside, "kept").unwrap();
        fs::hard_link(&outside, tree.join("sub/linked")).unwrap();
        hand_over(&tree, None).unwrap();
        fs::write(tree.join("sub/linked"), "changed").unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
        assert_eq!(fs::read_dir(tree.join("sub")).unwrap().count(), 1);
    }

    #[test]
    fn the_tree_changes_owner_and_what_links_point_to_does_not() {
        if !rustix::process::getuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (outside, tree) = (dir.path().join("outside"), dir.path().join("tree"));
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(&outside, "").unwrap();
        symlink(&outside, tree.join("sub/link")).unwrap();
        hand_over(&tree, Some(212_345)).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(owner(&tree.join("sub/link")), 212_345);
        assert_eq!(owner(&tree.join("sub")), 212_345);
        assert_eq!(owner(&outside), 0);
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir_all(closed.join("inner")).unwrap();
        for (path, mode) in [(dir.path(), 0o755), (&closed, 0o700)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let stranger = 4_000_000;
        assert_eq!(
            obstacle(&closed.join("inner"), stranger),
            Some(closed.clone())
        );
        assert_eq!(obstacle(&closed, stranger), None);
        let own = rustix::process::getuid().as_raw();
        assert_eq!(obstacle(&closed.join("inner"), own), None);
        let missing = dir.path().join("missing");
        assert_eq!(obstacle(&missing, stranger), Some(missing));
    }
}
