//! Believing a signature: the clock, the coverage, then the comparison.

use http::request::Parts;
use sightline_types::Timestamp;

use super::canonical::Canonical;
use super::error::{Mismatch, SigV4Error, clip};
use super::{
    ALGORITHM, Credential, PayloadHash, Presented, SKEW_MAX, SecretKey, Sha256Digest, Signature,
    SigningKey, sha256,
};

/// Proof that a request was signed with the key it names.
///
/// The body is proven too if its hash was given to [`Presented::verify`]; otherwise
/// [`payload`](Self::payload) says what remains to be checked while it is read.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who signed, and for what.
    pub credential: Credential,
    /// What the signature says about the body.
    pub payload: PayloadHash,
    pub(crate) key: SigningKey,
    pub(crate) date: String,
    pub(crate) signature: Signature,
}

impl Presented {
    /// Verifies the signature with the secret of its access key, at the time `now`.
    ///
    /// `body` is the hash of the body as received. S3 requests, and others that declare a hash,
    /// may leave it out and check the body while it is read.
    pub fn verify(
        &self,
        parts: &Parts,
        body: Option<&Sha256Digest>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<Verified, SigV4Error> {
        // The clock first: an attacker's old request must not cost a key derivation.
        self.check_time(now)?;
        self.verify_with(parts, body, &SigningKey::of(secret, &self.credential), now)
    }

    /// Verifies with a signing key that the caller has derived, and may have cached.
    pub fn verify_with(
        &self,
        parts: &Parts,
        body: Option<&Sha256Digest>,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<Verified, SigV4Error> {
        self.check_time(now)?;
        self.check_coverage(parts)?;
        let payload = self.payload_to_sign(body)?;
        let canonical = Canonical {
            parts,
            s3: self.credential.is_s3(),
            place: self.place,
            signed_headers: &self.signed_headers,
            payload,
        }
        .build();
        let text = string_to_sign(&self.date, &self.credential, &canonical);
        let signature = key.sign(text.as_bytes());
        if !signature.matches(self.signature.as_bytes()) {
            return Err(SigV4Error::SignatureMismatch(Box::new(Mismatch {
                access_key_id: self.credential.access_key_id.to_string(),
                signature: clip(&self.signature),
                string_to_sign: text,
                canonical_request: String::from_utf8_lossy(&canonical).into_owned(),
            })));
        }
        Ok(Verified {
            credential: self.credential.clone(),
            payload,
            key: key.clone(),
            date: self.date.clone(),
            signature,
        })
    }

    /// A presigned URL lives as long as its signer said; any other signature is good around now.
    fn check_time(&self, now: Timestamp) -> Result<(), SigV4Error> {
        let signed_at = self.signed_at;
        let early = signed_at.since(now) > SKEW_MAX;
        let Some(expires) = self.expires else {
            if early || now.since(signed_at) > SKEW_MAX {
                return Err(SigV4Error::Skewed { signed_at, now });
            }
            return Ok(());
        };
        if early {
            return Err(SigV4Error::NotYetValid { signed_at, now });
        }
        let expired_at = signed_at.plus(expires);
        if now > expired_at {
            let expires_seconds = expires.as_secs();
            return Err(SigV4Error::Expired {
                expires_seconds,
                expired_at,
                now,
            });
        }
        Ok(())
    }

    /// Checks that nothing that steers the request was left out of the signature.
    fn check_coverage(&self, parts: &Parts) -> Result<(), SigV4Error> {
        if !self.signs("host") {
            return Err(SigV4Error::HostNotSigned);
        }
        let names = parts.headers.keys().map(http::HeaderName::as_str);
        let names: Vec<String> = names
            .filter(|name| name.starts_with("x-amz-") && !self.signs(name))
            .map(str::to_owned)
            .collect();
        if !names.is_empty() {
            return Err(SigV4Error::HeadersNotSigned { names });
        }
        Ok(())
    }

    /// The payload hash that the signature covers.
    ///
    /// S3 takes the declared one; everyone else takes the body's own, whatever is declared.
    fn payload_to_sign(&self, body: Option<&Sha256Digest>) -> Result<PayloadHash, SigV4Error> {
        if let (Some(PayloadHash::Sha256(declared)), Some(computed)) = (self.payload, body)
            && declared != *computed
        {
            return Err(SigV4Error::PayloadHashMismatch {
                declared,
                computed: *computed,
            });
        }
        let hash = match (self.credential.is_s3(), self.payload, body) {
            (true, declared, _) => declared,
            (false, _, Some(computed)) => Some(PayloadHash::Sha256(*computed)),
            (false, declared, None) => {
                declared.filter(|hash| matches!(hash, PayloadHash::Sha256(_)))
            }
        };
        hash.ok_or(SigV4Error::PayloadHashAbsent)
    }
}

/// The text whose HMAC is the signature.
pub(super) fn string_to_sign(date: &str, credential: &Credential, canonical: &[u8]) -> String {
    format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        credential.scope(),
        sha256(canonical)
    )
}
