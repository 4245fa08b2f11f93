//! Makes the directories on which mounts inside other mounts will lie.

use std::fs;
use std::io;
use std::path::Path;

use sightline_ports::{LaunchError, Mount};

/// Makes a place for each of `mounts` that lies inside an earlier one.
///
/// bubblewrap would make them itself where it may write, but it would follow links on the way,
/// and the trees hold what users have packed. A link there is refused.
pub(super) fn make(mounts: &[Mount]) -> Result<(), LaunchError> {
    for (position, mount) in mounts.iter().enumerate() {
        let outer = mounts
            .get(..position)
            .unwrap_or_default()
            .iter()
            .rev()
            .find_map(|outer| {
                let rest = Path::new(&mount.inside).strip_prefix(&outer.inside).ok()?;
                Some((outer, rest))
            });
        let Some((outer, rest)) = outer else { continue };
        if rest.as_os_str().is_empty() {
            continue;
        }
        make_one(&outer.host, rest, mount.host.is_dir()).map_err(|source| {
            if source.kind() != io::ErrorKind::NotADirectory {
                return LaunchError::System {
                    action: "make a mount point",
                    source,
                };
            }
            LaunchError::Refused(format!(
                "path {:?} cannot be mounted: a link or file is in its way",
                mount.inside
            ))
        })?;
    }
    Ok(())
}

fn make_one(root: &Path, rest: &Path, directory: bool) -> io::Result<()> {
    let mut at = root.to_path_buf();
    let mut parts = rest.components().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        let wants_directory = directory || parts.peek().is_some();
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() == wants_directory && !found.is_symlink() => {}
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if wants_directory => fs::create_dir(&at)?,
            Err(_) => drop(fs::File::create_new(&at)?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mount(host: &Path, inside: &str) -> Mount {
        Mount {
            host: host.to_path_buf(),
            inside: inside.into(),
            writable: false,
        }
    }

    #[test]
    fn places_for_directories_and_files_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, data, file) = (
            dir.path().join("tree"),
            dir.path().join("data"),
            dir.path().join("file"),
        );
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(&data).unwrap();
        fs::write(&file, "x").unwrap();
        let mounts = [
            mount(&tree, "/opt/ml"),
            mount(&data, "/opt/ml/input/data/train"),
            mount(&file, "/opt/ml/input/config/a.json"),
            mount(&data, "/opt/ml/input/data/train"),
        ];
        make(&mounts).unwrap();
        make(&mounts).unwrap();
        assert!(tree.join("input/data/train").is_dir());
        assert!(tree.join("input/config/a.json").is_file());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_way_is_refused_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(&outside).unwrap();
        symlink(&outside, tree.join("input")).unwrap();
        let mounts = [
            mount(&tree, "/opt/ml"),
            mount(&outside, "/opt/ml/input/data"),
        ];
        let error = make(&mounts).unwrap_err();
        assert!(matches!(error, LaunchError::Refused(_)), "{error}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
