//! What can be wrong with a signature of version 2, and S3's answer to it.

use std::fmt;

use http::StatusCode;
use sightline_types::Timestamp;

use crate::sigv4::{Answer, clip, hex_bytes};

const ACCESS_DENIED: &str = "AccessDenied";
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

/// Why a URL signed in version 2 is not authentic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigV2Error {
    /// One of the three parameters is absent.
    #[error("the query lacks Signature, Expires or AWSAccessKeyId")]
    Incomplete,
    /// A parameter or header is unreadable or given twice.
    #[error("{name:?} is malformed or given twice")]
    Malformed {
        /// Its name, or its text where the name is unreadable.
        name: String,
    },
    /// `Expires` is not a number of seconds.
    #[error("the expiry {got:?} is not in seconds since the epoch")]
    ExpiresInvalid {
        /// The parameter's text.
        got: String,
    },
    /// The URL is past its life.
    #[error("the presigned URL expired at {expired_at}; it is {now}")]
    Expired {
        /// When its life ended.
        expired_at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// The query has parameters that this version does not sign, and that could steer the request.
    #[error("signature version 2 does not sign the parameters {}", names.join(", "))]
    NotSigned {
        /// Their names.
        names: Vec<String>,
    },
    /// The signature is not the one that this key gives for this request.
    #[error("the signature of access key {} does not match the request", .0.access_key_id)]
    SignatureMismatch(Box<Mismatch>),
}

/// Both sides of a failed comparison; `Debug` leaves out the text, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The key that the signature claims.
    pub access_key_id: String,
    /// The signature presented.
    pub signature: String,
    /// The string that should have been signed.
    pub string_to_sign: String,
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch")
            .field("access_key_id", &self.access_key_id)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

impl SigV2Error {
    pub(super) fn malformed(name: &str) -> Self {
        Self::Malformed { name: clip(name) }
    }

    pub(super) fn expires_invalid(text: &str) -> Self {
        Self::ExpiresInvalid { got: clip(text) }
    }

    /// S3's answer, which is the only one: no other service knows such URLs.
    pub(crate) fn s3(&self) -> Answer {
        let (code, status, message) = match self {
            Self::Incomplete => (ACCESS_DENIED, FORBIDDEN, INCOMPLETE.to_owned()),
            Self::Malformed { name } => {
                let text = format!("The parameter or header \"{name}\" is malformed or repeated.");
                ("InvalidArgument", StatusCode::BAD_REQUEST, text)
            }
            Self::ExpiresInvalid { got } => {
                let text = format!("Invalid date (should be seconds since epoch): {got}");
                (ACCESS_DENIED, FORBIDDEN, text)
            }
            Self::Expired { .. } => (ACCESS_DENIED, FORBIDDEN, "Request has expired".to_owned()),
            Self::NotSigned { .. } => (ACCESS_DENIED, FORBIDDEN, NOT_SIGNED.to_owned()),
            Self::SignatureMismatch(_) => ("SignatureDoesNotMatch", FORBIDDEN, MISMATCH.to_owned()),
        };
        let details = self.details();
        Answer {
            code,
            status,
            message,
            details,
        }
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Incomplete | Self::ExpiresInvalid { .. } => vec![],
            Self::Malformed { name } => vec![("ArgumentName", name.clone())],
            Self::Expired { expired_at, now } => vec![
                ("Expires", expired_at.iso8601()),
                ("ServerTime", now.iso8601()),
            ],
            Self::NotSigned { names } => vec![("ParametersNotSigned", clip(&names.join(", ")))],
            Self::SignatureMismatch(mismatch) => vec![
                ("AWSAccessKeyId", mismatch.access_key_id.clone()),
                ("StringToSign", mismatch.string_to_sign.clone()),
                ("SignatureProvided", mismatch.signature.clone()),
                ("StringToSignBytes", hex_bytes(&mismatch.string_to_sign)),
            ],
        }
    }
}

const INCOMPLETE: &str =
    "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
const NOT_SIGNED: &str = "There were query parameters present in the request which Signature \
     Version 2 does not sign. Please use AWS4-HMAC-SHA256 (signature_version \"s3v4\").";
const MISMATCH: &str = "The request signature we calculated does not match the signature you \
     provided. Check your key and signing method.";
