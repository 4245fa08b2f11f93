//! Secrets at rest: sealed with a key that lies in a file of its own.
//!
//! The key file has mode 0600 and 32 random bytes in hexadecimal. Each secret is sealed with
//! XChaCha20-Poly1305 under a nonce of its own, bound to the id of the key that it belongs to, so
//! that a sealed secret moved to another row does not open. Who has the database and not the file
//! has no secrets; who loses the file has lost the secrets, and the server says so instead of
//! making another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// What sealed texts begin with: no secret or token in the clear has a colon.
const SEALED: &str = "v1:";

/// Bytes of a nonce: long enough to be drawn at random for every secret.
const NONCE_BYTES: usize = 24;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// A key file holds the key in hexadecimal and a line end; more is something else.
const FILE_BYTES_MAX: u64 = 1_024;

/// Why secrets cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store's secrets are sealed and the key file is not there.
    #[error(
        "the secrets of access keys are sealed with the key file {}, which is not there: put it \
         back from a backup, or name its place; nothing was changed",
        .0.display()
    )]
    Missing(PathBuf),
    /// The key in the file is another than the one that sealed the store's secrets.
    #[error(
        "the key file {} is not the one that sealed the secrets of this data directory: put that \
         one back, or name its place; nothing was changed",
        .0.display()
    )]
    Wrong(PathBuf),
    /// The file is not a key file.
    #[error("{} is not a key file: it must hold 64 hexadecimal digits", .0.display())]
    NotAKey(PathBuf),
    /// Others may read the file.
    #[error("the key file {} can be read by others: make it private with chmod 600", .0.display())]
    Exposed(PathBuf),
    /// The system refused.
    #[error("could not {action} the key file {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A sealed secret does not open.
    #[error("the sealed secret of {0} does not open")]
    Broken(String),
    /// The system gave no randomness.
    #[error("could not draw a random nonce")]
    Random,
}

/// The key that seals secrets. Its debug form shows nothing of it.
#[derive(Clone)]
pub(crate) struct SealingKey(XChaCha20Poly1305);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl SealingKey {
    /// Reads the key file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, SealError> {
        let failed = |source| SealError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SealError::Exposed(path.to_owned()));
        }
        let mut text = String::new();
        let mut bounded = file.take(FILE_BYTES_MAX);
        bounded.read_to_string(&mut text).map_err(failed)?;
        let not_a_key = || SealError::NotAKey(path.to_owned());
        let bytes = hex::decode(text.trim()).map_err(|_| not_a_key())?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| not_a_key())?;
        Ok(Some(Self(cipher)))
    }

    /// Draws a key and makes its file; on return the file is on disk under its name.
    pub(crate) fn create(path: &Path) -> Result<Self, SealError> {
        let failed = |action| {
            move |source| SealError::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let mut bytes = [0_u8; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
        let beside = path.with_extension("key.new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed("create"))?;
        let write = file.write_all(format!("{}\n", hex::encode(bytes)).as_bytes());
        write.map_err(failed("write"))?;
        file.sync_all().map_err(failed("flush"))?;
        // A link, unlike a renaming, never replaces a key that came in between.
        std::fs::hard_link(&beside, path).map_err(failed("name"))?;
        std::fs::remove_file(&beside).map_err(failed("clean up beside"))?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(failed("flush"))?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes);
        Ok(Self(
            cipher.map_err(|_| SealError::NotAKey(path.to_owned()))?,
        ))
    }

    /// Seals a text for the key with this id.
    pub(crate) fn seal(&self, id: &str, text: &str) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: id.as_bytes(),
        };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| SealError::Broken(id.to_owned()))?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{SEALED}{}", STANDARD.encode(bytes)))
    }

    /// Opens what was sealed for the key with this id.
    pub(crate) fn open(&self, id: &str, sealed: &str) -> Result<String, SealError> {
        let broken = || SealError::Broken(id.to_owned());
        let bytes = sealed.strip_prefix(SEALED).ok_or_else(broken)?;
        let bytes = STANDARD.decode(bytes).map_err(|_| broken())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(broken)?;
        let payload = Payload {
            msg: sealed,
            aad: id.as_bytes(),
        };
        let text = self.0.decrypt(XNonce::from_slice(nonce), payload);
        String::from_utf8(text.map_err(|_| broken())?).map_err(|_| broken())
    }
}

/// Whether a stored text is sealed; earlier releases stored secrets in the clear.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_own_key_id_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = SealingKey::create(&dir.path().join("secret.key")).unwrap();
        let sealed = key.seal("AKIA1", "secret").unwrap();
        assert!(is_sealed(&sealed) && !sealed.contains("secret"));
        assert_ne!(sealed, key.seal("AKIA1", "secret").unwrap());
        assert_eq!(key.open("AKIA1", &sealed).unwrap(), "secret");
        assert!(matches!(
            key.open("AKIA2", &sealed),
            Err(SealError::Broken(_))
        ));
        let cut = sealed.get(..20).unwrap();
        assert!(matches!(key.open("AKIA1", cut), Err(SealError::Broken(_))));
    }

    #[test]
    fn a_key_file_is_private_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        assert!(SealingKey::read(&path).unwrap().is_none());
        let made = SealingKey::create(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let sealed = made.seal("id", "text").unwrap();
        assert!(matches!(
            SealingKey::create(&path),
            Err(SealError::Io { action: "name", .. })
        ));
        let read = SealingKey::read(&path).unwrap().unwrap();
        assert_eq!(read.open("id", &sealed).unwrap(), "text");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            SealingKey::read(&path),
            Err(SealError::Exposed(_))
        ));
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        for text in ["", "abc", "zz", &"0".repeat(63)] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(
                matches!(SealingKey::read(&path), Err(SealError::NotAKey(_))),
                "{text}"
            );
        }
    }
}
