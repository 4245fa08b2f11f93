//! Finds bubblewrap and says what to do when it cannot be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first version with `--disable-userns`.
const VERSION_MIN: (u32, u32) = (0, 8);

/// A usable bubblewrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bubblewrap {
    pub(super) path: PathBuf,
    /// As it gives it, such as `0.8.0`.
    pub(super) version: String,
}

impl Bubblewrap {
    /// Takes the first of `candidates` that exists; says why if it cannot be used.
    pub(super) fn find(candidates: &[PathBuf]) -> Result<Self, String> {
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            return Err(format!(
                "bubblewrap (`bwrap`) is not installed; install it with \
                 `apt-get install bubblewrap`, `dnf install bubblewrap` or \
                 `apk add bubblewrap` (version {}.{} or later)",
                VERSION_MIN.0, VERSION_MIN.1
            ));
        };
        let shown = path.display();
        let output = Command::new(path)
            .arg("--version")
            .env_clear()
            .output()
            .map_err(|error| format!("{shown} cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.trim().strip_prefix("bubblewrap ").unwrap_or_default();
        match parse_version(version) {
            Some(found) if VERSION_MIN <= found => Ok(Self {
                path: path.clone(),
                version: version.to_owned(),
            }),
            Some(_) => Err(format!(
                "{shown} has version {version}, but {}.{} or later is needed",
                VERSION_MIN.0, VERSION_MIN.1
            )),
            None => Err(format!(
                "{shown} does not tell its version; is it bubblewrap?"
            )),
        }
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Adds to bubblewrap's own complaint what this host's settings say about the cause.
pub(super) fn advice(complaint: &str) -> String {
    let setting = |path: &str| fs::read_to_string(Path::new("/proc/sys").join(path));
    let is = |path: &str, value: &str| setting(path).is_ok_and(|text| text.trim() == value);
    let cause = if is("user/max_user_namespaces", "0") {
        "user namespaces are switched off; set `sysctl user.max_user_namespaces=15000`"
    } else if is("kernel/unprivileged_userns_clone", "0") {
        "unprivileged user namespaces are switched off; set \
         `sysctl kernel.unprivileged_userns_clone=1`"
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts user namespaces; give bwrap a profile with `userns,` \
         (package apparmor-profiles has one) or set \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else {
        "if the server runs in a container, that container must allow user namespaces and \
         mounts, for example with `--security-opt seccomp=unconfined`"
    };
    format!("{complaint}; {cause}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn program(dir: &Path, says: &str) -> PathBuf {
        let path = dir.join("bwrap");
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn only_a_recent_bubblewrap_is_taken() {
        let rows = [
            ("bubblewrap 0.8.0", Ok("0.8.0")),
            ("bubblewrap 0.11.0", Ok("0.11.0")),
            ("bubblewrap 1.0", Ok("1.0")),
            ("bubblewrap 0.7.9", Err("0.8 or later is needed")),
            ("hello", Err("is it bubblewrap?")),
        ];
        for (says, expected) in rows {
            let dir = tempfile::tempdir().unwrap();
            let path = program(dir.path(), says);
            let found = Bubblewrap::find(&[dir.path().join("absent"), path]);
            match (found, expected) {
                (Ok(found), Ok(version)) => assert_eq!(found.version, version),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, expected) => panic!("{says}: {found:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_missing_bubblewrap_says_how_to_get_it() {
        let reason = Bubblewrap::find(&["/nonexistent/bwrap".into()]).unwrap_err();
        assert!(reason.contains("apt-get install bubblewrap"), "{reason}");
    }
}
