//! The data directory: one server at a time, and what its owner's tools read from it.
//!
//! ```text
//! lock               held by the running server
//! meta.sqlite        resources, events, logs, unless a database has them
//! server.id          what the server is called among those that share its database
//! blobs/             the bytes of objects
//! server.json        where the running server listens
//! secret.key         seals the secrets of access keys
//! credentials        the root key, in the form of ~/.aws/credentials
//! tls/               the server's own certificate authority, if it has one
//! client/            what `sightline env` points programs to
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sightline_types::RequestId;

/// Where distributions keep the certificates that a host trusts.
const HOST_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// How often a lock that is held is asked for: a second in all, far longer than a process needs
/// between its fork and its program.
const LOCK_ATTEMPTS: u32 = 20;

/// The pause between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A data directory that is held by this process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Where a running server listens and what a client needs beside the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerFile {
    /// The server's address, such as `http://127.0.0.1:7070`.
    pub endpoint: String,
    /// The server's process.
    pub pid: u32,
    /// The region that requests are signed for.
    pub region: String,
    /// The account that resources belong to.
    pub account: String,
    /// The bucket that the SDK uses by default.
    pub default_bucket: String,
    /// What clients must trust when the address begins with `https`.
    #[serde(default)]
    pub authority: Option<PathBuf>,
}

/// The key that a data directory's owner uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another server holds it.
    #[error("another server uses the data directory {}; stop it, or give --data-dir", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("could not {action} {}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file in it is not what a server writes.
    #[error("{} is not readable as what a server writes there", .0.display())]
    Unreadable(PathBuf),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io {
        action,
        path,
        source,
    }
}

/// A process that a killed server was just starting holds the lock until its own program begins,
/// so the lock is asked for more than once.
fn take(lock: &File) -> bool {
    for _ in 0..LOCK_ATTEMPTS {
        if flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    false
}

impl DataDir {
    /// Takes hold of a data directory, making it if absent. Only its owner may look into it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("create", path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(failed("protect", path))?;
        let path = path.canonicalize().map_err(failed("find", path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        if !take(&lock) {
            return Err(DataDirError::InUse(path));
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the server on this directory is called among those that share its database. Drawn at
    /// first use and kept, so that a server that starts again knows what was its own.
    pub fn server_name(&self) -> Result<String, DataDirError> {
        let path = self.path.join("server.id");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let name = text.trim();
                let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
                if plain {
                    Ok(name.to_owned())
                } else {
                    Err(DataDirError::Unreadable(path))
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = RequestId::random().as_str().replace('-', "");
                replace(&path, &name)?;
                Ok(name)
            }
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes what its owner's tools read.
    pub fn publish(
        &self,
        server: &ServerFile,
        credentials: &Credentials,
        shim: &str,
    ) -> Result<(), DataDirError> {
        let client = self.path.join("client");
        fs::create_dir_all(client.join("python")).map_err(failed("create", &client))?;
        let config = format!(
            "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      \
             TelemetryOptOut: true\n      Session:\n        DefaultS3Bucket: {}\n",
            server.default_bucket
        );
        if let Some(authority) = &server.authority {
            let bundle = bundle_with(authority)?;
            replace(&trust_bundle(&self.path), &bundle)?;
        }
        let server = serde_json::to_string_pretty(server)
            .map_err(|_| DataDirError::Unreadable(self.path.join("server.json")))?;
        replace(&sdk_config(&self.path), &config)?;
        replace(&client_shim(&self.path).join("sitecustomize.py"), shim)?;
        write_credentials(&self.path, credentials)?;
        replace(&self.path.join("server.json"), &server)
    }

    /// Says that no server listens any more.
    pub fn retract(&self) {
        if let Err(error) = fs::remove_file(self.path.join("server.json")) {
            tracing::warn!(%error, "server.json could not be removed");
        }
    }
}

/// The configuration that `SAGEMAKER_USER_CONFIG_OVERRIDE` names.
#[must_use]
pub fn sdk_config(data_dir: &Path) -> PathBuf {
    data_dir.join("client/sagemaker-config.yaml")
}

/// The certificates that programs shall trust: those of this host and the server's authority.
#[must_use]
pub fn trust_bundle(data_dir: &Path) -> PathBuf {
    data_dir.join("client/ca-bundle.pem")
}

/// A program that trusts the server must not cease to trust everybody else.
fn bundle_with(authority: &Path) -> Result<String, DataDirError> {
    let own = fs::read_to_string(authority).map_err(failed("read", authority))?;
    let of_host = HOST_BUNDLES
        .iter()
        .find_map(|path| fs::read_to_string(path).ok());
    Ok(format!("{}\n{own}", of_host.unwrap_or_default()))
}

/// The directory to put on `PYTHONPATH`.
#[must_use]
pub fn client_shim(data_dir: &Path) -> PathBuf {
    data_dir.join("client/python")
}

/// What the running server of a data directory says of itself.
pub fn read_server(data_dir: &Path) -> Result<ServerFile, DataDirError> {
    let path = data_dir.join("server.json");
    let text = fs::read(&path).map_err(failed("read", &path))?;
    serde_json::from_slice(&text).map_err(|_| DataDirError::Unreadable(path))
}

/// The key of a data directory.
pub fn read_credentials(data_dir: &Path) -> Result<Credentials, DataDirError> {
    let path = data_dir.join("credentials");
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start().strip_prefix('=')?.trim().to_owned())
    };
    let found = value("aws_access_key_id").zip(value("aws_secret_access_key"));
    let (access_key_id, secret_access_key) = found.ok_or(DataDirError::Unreadable(path))?;
    Ok(Credentials {
        access_key_id,
        secret_access_key,
    })
}

/// Makes a key the one that the owner of a data directory uses.
pub fn write_credentials(data_dir: &Path, key: &Credentials) -> Result<(), DataDirError> {
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.access_key_id, key.secret_access_key
    );
    replace(&data_dir.join("credentials"), &text)
}

/// Writes a file that only its owner reads, in one step: readers see the old one or the new.
fn replace(path: &Path, content: &str) -> Result<(), DataDirError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_back_and_only_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("data")).unwrap();
        let server = ServerFile {
            endpoint: "http://127.0.0.1:7070".to_owned(),
            pid: 7,
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            default_bucket: "bucket".to_owned(),
            authority: None,
        };
        let key = Credentials {
            access_key_id: "AKIAEXAMPLE".to_owned(),
            secret_access_key: "a/b+c=".to_owned(),
        };
        data.publish(&server, &key, "shim").unwrap();
        assert_eq!(read_server(data.path()).unwrap().endpoint, server.endpoint);
        assert_eq!(read_credentials(data.path()).unwrap(), key);
        for path in [data.path().to_owned(), data.path().join("credentials")] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        data.retract();
        assert!(read_server(data.path()).is_err());
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        assert!(matches!(
            DataDir::open(dir.path()),
            Err(DataDirError::InUse(_))
        ));
        drop(first);
        assert!(DataDir::open(dir.path()).is_ok());
    }
}
