//! Secrets and the keys derived from them.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Credential, TERMINATOR};

/// The block of SHA-256: HMAC hashes longer keys and pads shorter ones.
const BLOCK_BYTES: usize = 64;

/// A secret access key, which `Debug` does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Box<str>);

impl SecretKey {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The secret, for writing it to its owner's own file or environment.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The token that accompanies temporary keys, which `Debug` does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Box<str>);

impl SessionToken {
    /// Wraps a token.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The token, for looking up the session or sending it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with the token that a session was given, in constant time.
    #[must_use]
    pub fn matches(&self, issued: &str) -> bool {
        self.0.as_bytes().ct_eq(issued.as_bytes()).into()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A key derived from a secret for one day, region and service; callers may cache it per scope.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives the key of a scope; `date` is its eight digits.
    #[must_use]
    pub fn derive(secret: &SecretKey, date: &str, region: &str, service: &str) -> Self {
        let mut first = Vec::with_capacity(4 + secret.0.len());
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.0.as_bytes());
        let mut mac = keyed(&first);
        for part in [date, region, service, TERMINATOR] {
            mac.update(part.as_bytes());
            mac = keyed(&mac.finalize().into_bytes());
        }
        Self(mac)
    }

    /// Derives the key of a credential's scope.
    #[must_use]
    pub fn of(secret: &SecretKey, credential: &Credential) -> Self {
        Self::derive(
            secret,
            &credential.date,
            &credential.region,
            &credential.service,
        )
    }

    /// Signs a string to sign.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Signature {
        Signature::of(&self.0.clone().chain_update(text).finalize().into_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A signature: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    fn of(digest: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
            pair.copy_from_slice(&[
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Compares with a presented text in constant time; upper-case digits are another text.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_slice().ct_eq(presented).into()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Starts an HMAC. Padding the key here makes it infallible, which `new_from_slice` is not.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    if key.len() > BLOCK_BYTES {
        let digest = Sha256::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    <Hmac<Sha256> as Mac>::new(&block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        // RFC 4231, test cases 2 (short key) and 6 (key longer than a block).
        let short = keyed(b"Jefe").chain_update(b"what do ya want for nothing?");
        let long = keyed(&[0xaa; 131])
            .chain_update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        for (mac, expected) in [
            (
                short,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                long,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(
                Signature::of(&mac.finalize().into_bytes()).as_str(),
                expected
            );
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = SecretKey::new("wJalrXUtnFEMI");
        let key = SigningKey::derive(&secret, "20130524", "us-east-1", "s3");
        let text = format!("{secret:?} {:?} {key:?}", SessionToken::new("token"));
        assert_eq!(text, "*** *** ***");
    }
}
