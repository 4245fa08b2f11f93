//! The keys that sign digests: RSA of 2,048 bits, the private half in a file of its own.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::pkcs1::{
    DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _,
    EncodeRsaPublicKey as _,
};
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::signature::{SignatureEncoding as _, Signer as _, Verifier as _};
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};
use sightline_types::Timestamp;

use crate::Error;

/// The length that CloudTrail's keys have.
const KEY_BITS: usize = 2048;

/// The public half of a key that signs or has signed digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The name by which digests refer to it.
    pub fingerprint: String,
    /// The key in PKCS #1's DER form as base64.
    pub base64: String,
    /// When it began to sign.
    pub valid_from: Timestamp,
    /// When it ceased to.
    pub valid_until: Option<Timestamp>,
}

impl PublicKey {
    /// Whether the hexadecimal `signature` is one of `text` by this key.
    pub(crate) fn verifies(&self, text: &str, signature: &str) -> bool {
        let verified = || {
            let der = BASE64.decode(&self.base64).ok()?;
            let key = RsaPublicKey::from_pkcs1_der(&der).ok()?;
            let signature = Signature::try_from(hex::decode(signature).ok()?.as_slice()).ok()?;
            let verifier = VerifyingKey::<Sha256>::new(key);
            verifier.verify(text.as_bytes(), &signature).ok()
        };
        verified().is_some()
    }
}

/// A key with its private half.
pub(crate) struct PrivateKey {
    pub(crate) fingerprint: String,
    key: RsaPrivateKey,
}

impl PrivateKey {
    /// Draws a key and lays its private half down in `dir`, readable by the owner alone.
    pub(crate) fn make(dir: &Path) -> Result<Self, Error> {
        let failed = |error: rsa::Error| Error::Key(error.to_string());
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).map_err(failed)?;
        let made = Self {
            fingerprint: fingerprint(&public_der(&key)?),
            key,
        };
        let der = made.key.to_pkcs1_der().map_err(unusable)?;
        lay_down(&path(dir, &made.fingerprint), der.as_bytes()).map_err(|source| Error::Io {
            what: "store the key that signs digests",
            source,
        })?;
        Ok(made)
    }

    /// Takes up the key with this fingerprint, if its private half is in `dir`.
    pub(crate) fn load(dir: &Path, fingerprint: &str) -> Result<Option<Self>, Error> {
        let der = match std::fs::read(path(dir, fingerprint)) {
            Ok(der) => der,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let what = "read the key that signs digests";
                return Err(Error::Io { what, source });
            }
        };
        Ok(Some(Self {
            fingerprint: fingerprint.to_owned(),
            key: RsaPrivateKey::from_pkcs1_der(&der).map_err(unusable)?,
        }))
    }

    /// Removes the private half of a key that is not to sign any more.
    pub(crate) fn forget(dir: &Path, fingerprint: &str) -> Result<(), Error> {
        match std::fs::remove_file(path(dir, fingerprint)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
                what: "remove a key that signed digests",
                source,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn public(&self, valid_from: Timestamp) -> Result<PublicKey, Error> {
        Ok(PublicKey {
            fingerprint: self.fingerprint.clone(),
            base64: BASE64.encode(public_der(&self.key)?),
            valid_from,
            valid_until: None,
        })
    }

    /// The signature of `text` in hexadecimal: SHA-256 with RSA, PKCS #1 version 1.5.
    pub(crate) fn sign(&self, text: &str) -> Result<String, Error> {
        let signer = SigningKey::<Sha256>::new(self.key.clone());
        let signature = signer
            .try_sign(text.as_bytes())
            .map_err(|error| Error::Key(error.to_string()))?;
        Ok(hex::encode(signature.to_bytes()))
    }
}

fn public_der(key: &RsaPrivateKey) -> Result<Vec<u8>, Error> {
    let der = key.to_public_key().to_pkcs1_der().map_err(unusable)?;
    Ok(der.as_bytes().to_vec())
}

fn unusable(error: rsa::pkcs1::Error) -> Error {
    Error::Key(error.to_string())
}

/// 32 hexadecimal digits, as many as CloudTrail's fingerprints have.
fn fingerprint(der: &[u8]) -> String {
    let mut text = hex::encode(Sha256::digest(der));
    text.truncate(32);
    text
}

fn path(dir: &Path, fingerprint: &str) -> PathBuf {
    dir.join(format!("digest-{fingerprint}.key"))
}

/// Writes a file that is there whole, and for its owner alone, or not at all.
fn lay_down(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).create(dir)?;
    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_signs_after_being_taken_up_again_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let made = PrivateKey::make(dir.path()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path(dir.path(), &made.fingerprint)), 0o600);
        let again = PrivateKey::load(dir.path(), &made.fingerprint)
            .unwrap()
            .unwrap();
        let signature = again.sign("text").unwrap();
        let public = made.public(Timestamp::EPOCH).unwrap();
        assert!(public.verifies("text", &signature));
        assert!(!public.verifies("test", &signature));
        assert!(!public.verifies("text", "00"));
        PrivateKey::forget(dir.path(), &made.fingerprint).unwrap();
        assert!(
            PrivateKey::load(dir.path(), &made.fingerprint)
                .unwrap()
                .is_none()
        );
    }
}
