//! The parts of the host's system that every instance sees, read-only.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories at the root that hold programs and libraries. On most systems they are links
/// into `/usr`.
const ROOT_DIRECTORIES: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Files that programs expect below `/etc` and that hold nothing of this host's own: where
/// libraries and alternatives lie, which certificate authorities to trust, the time zone.
const SHARED_ETC: [&str; 11] = [
    "/etc/alternatives",
    "/etc/ca-certificates.conf",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// What of the host's system an instance sees beside `/usr`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SystemView {
    /// Links at the root: path and target.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Files and directories shown under their own path.
    pub(super) shared: Vec<PathBuf>,
}

impl SystemView {
    /// Looks at this host.
    pub(super) fn of_this_host() -> Self {
        let mut view = Self::default();
        for path in ROOT_DIRECTORIES.map(PathBuf::from) {
            match fs::read_link(&path) {
                Ok(target) => view.links.push((path, target)),
                Err(_) if path.is_dir() => view.shared.push(path),
                Err(_) => {}
            }
        }
        let present = SHARED_ETC
            .iter()
            .map(Path::new)
            .filter(|path| path.exists());
        view.shared.extend(present.map(Path::to_path_buf));
        view
    }
}
