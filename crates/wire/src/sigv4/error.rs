//! What can be wrong with a signature, as facts.

use std::fmt;

use sightline_types::Timestamp;

use super::payload::Sha256Digest;
use crate::sigv2::SigV2Error;

/// Where a signature was presented; AWS words its answers accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the `Authorization` header.
    Header,
    /// In the query, as a presigned URL.
    Query,
}

/// Why a credential scope is not one that this server accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeFault {
    /// The day is not eight digits.
    #[error("the date {got:?} is not YYYYMMDD")]
    DateFormat {
        /// What the scope holds.
        got: String,
    },
    /// The day is not that of the request.
    #[error("the date {scope:?} is not that of the request, {request:?}")]
    DateMismatch {
        /// The day in the scope.
        scope: String,
        /// The request's date.
        request: String,
    },
    /// The scope does not end in `aws4_request`.
    #[error("the terminator {got:?} is not \"aws4_request\"")]
    Terminator {
        /// What the scope holds.
        got: String,
    },
    /// Signed for another region.
    #[error("the region {got:?} is not {expected:?}")]
    Region {
        /// The region in the scope.
        got: String,
        /// This server's region.
        expected: String,
    },
    /// Signed for another service.
    #[error("the service {got:?} is not {expected:?}")]
    Service {
        /// The service in the scope.
        got: String,
        /// The service addressed.
        expected: String,
    },
}

/// Both sides of a failed comparison, from which a client's author finds the difference.
///
/// S3 and most other services answer with these texts. `Debug` leaves them out, since a
/// canonical request may hold a session token.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The key that the signature claims.
    pub access_key_id: String,
    /// The signature presented.
    pub signature: String,
    /// The string that should have been signed.
    pub string_to_sign: String,
    /// The canonical request, whose hash ends the string to sign.
    pub canonical_request: String,
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch")
            .field("access_key_id", &self.access_key_id)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// Why a request is not authentic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// Nothing was presented where a signature is required.
    #[error("the request is not signed")]
    Missing,
    /// Signed in a way that is not served; `scheme` is the word before the first space.
    #[error("the signature's scheme {scheme:?} is not AWS4-HMAC-SHA256")]
    UnsupportedScheme {
        /// Where it was presented.
        place: Place,
        /// The scheme's name.
        scheme: String,
    },
    /// Signed in header and query at once.
    #[error("the request is signed in both its header and its query")]
    TwoMechanisms,
    /// Required parts are absent.
    #[error("the signature lacks {}", names.join(", "))]
    Incomplete {
        /// Where it was presented.
        place: Place,
        /// The parts that are absent.
        names: Vec<&'static str>,
    },
    /// A part is unreadable or given twice.
    #[error("the signature's {name} is malformed")]
    Malformed {
        /// Where it was presented.
        place: Place,
        /// The part.
        name: &'static str,
    },
    /// The credential does not have five parts.
    #[error("the credential {got:?} does not have five parts")]
    MalformedCredential {
        /// Where it was presented.
        place: Place,
        /// What was presented.
        got: String,
    },
    /// The credential's scope is not acceptable.
    #[error("the credential's scope is wrong: {fault}")]
    Scope {
        /// Where it was presented.
        place: Place,
        /// What is wrong with it.
        fault: ScopeFault,
    },
    /// Neither `X-Amz-Date` nor `Date` is present.
    #[error("the request has no date")]
    DateAbsent,
    /// The date is unreadable.
    #[error("the request's date {got:?} is malformed")]
    DateMalformed {
        /// Where the signature was presented.
        place: Place,
        /// The date's text.
        got: String,
    },
    /// `X-Amz-Expires` is not a number from 1 to a week's seconds.
    #[error("the expiry {got:?} is not 1 to 604800 seconds")]
    ExpiresInvalid {
        /// The parameter's text.
        got: String,
    },
    /// The date lies too far from the server's clock.
    #[error("the request was signed at {signed_at}, too far from the server's {now}")]
    Skewed {
        /// When the client signed, by its clock.
        signed_at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// A presigned URL is dated in the future.
    #[error("the presigned URL is valid only from {signed_at}; it is {now}")]
    NotYetValid {
        /// When the client signed, by its clock.
        signed_at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// A presigned URL is past its life.
    #[error("the presigned URL expired at {expired_at}; it is {now}")]
    Expired {
        /// The life that the signer gave it.
        expires_seconds: u64,
        /// When it ended.
        expired_at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// `host` is not among the signed headers.
    #[error("the host header is not signed")]
    HostNotSigned,
    /// Headers that must be signed are not.
    #[error("the headers {} are not signed", names.join(", "))]
    HeadersNotSigned {
        /// Their names.
        names: Vec<String>,
    },
    /// S3 only: `x-amz-content-sha256` is absent; or no hash of the body is known.
    #[error("the request does not declare its payload hash")]
    PayloadHashAbsent,
    /// `x-amz-content-sha256` is neither a hash nor one of the known words.
    #[error("the declared payload hash {got:?} is not one")]
    PayloadHashInvalid {
        /// The declaration's text.
        got: String,
    },
    /// The body is not the one declared.
    #[error("the payload's hash is not the one declared")]
    PayloadHashMismatch {
        /// The hash that the request declares and signs.
        declared: Sha256Digest,
        /// The hash of the body received.
        computed: Sha256Digest,
    },
    /// The signature is not the one that this key gives for this request.
    #[error("the signature of access key {} does not match the request", .0.access_key_id)]
    SignatureMismatch(Box<Mismatch>),
    /// A presigned URL of version 2 is not authentic.
    #[error(transparent)]
    Version2(#[from] SigV2Error),
    /// No such access key. Never raised here; the caller that looks up keys shares the answers.
    #[error("access key {access_key_id:?} does not exist")]
    UnknownAccessKey {
        /// The key's public half.
        access_key_id: String,
    },
    /// The session has ended. Raised by the caller.
    #[error("the session token has expired")]
    TokenExpired,
    /// The session token is absent, or not the key's. Raised by the caller.
    #[error("the session token is invalid")]
    TokenInvalid,
}

/// Shortens a text of the client's before it is repeated in an answer or a log.
pub(crate) fn clip(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.chars().take(CHARS_MAX).collect()
}
