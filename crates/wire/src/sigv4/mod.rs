//! AWS Signature Version 4: who signed this request, and is it what they signed?
//!
//! Two steps, so that a front door can route and look up the key in between:
//!
//! 1. [`Presented::parse`] reads what a request claims (credential scope, date, signed headers,
//!    payload hash) from its `Authorization` header or, for presigned URLs, from its query.
//!    `None` means that nothing was claimed: an anonymous request.
//! 2. [`Presented::verify`] rebuilds the canonical request and compares signatures. It takes the
//!    time from its caller and reads no body: the body's hash is either given (services other
//!    than S3) or checked while the body is read, by [`PayloadHasher`] or by
//!    [`chunked::Decoder`](crate::chunked::Decoder).
//!
//! Where S3 and the other services differ, the service named in the credential scope decides: S3
//! encodes a path once and keeps its dot segments and double slashes, the others normalise and
//! encode again; S3 must declare its payload hash, the others always sign the body's real hash.
//!
//! Stricter than the signature itself, as AWS is: `host` must be signed, and so must every
//! `x-amz-*` header present. S3 documents the latter; here it holds for every service, since an
//! unsigned `x-amz-target` would let a relay choose the operation.
//!
//! [`SigV4Error`] states facts; [`SigV4Error::aws`] and [`SigV4Error::s3`] are the one place
//! that knows AWS's codes and texts for them.

mod answer;
mod answer_s3;
mod canonical;
mod credential;
mod error;
mod key;
mod payload;
mod presented;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Family};
pub(crate) use answer_s3::hex_bytes;
pub use credential::Credential;
pub(crate) use error::clip;
pub use error::{Mismatch, Place, ScopeFault, SigV4Error};
pub use key::{SecretKey, SessionToken, Signature, SigningKey};
pub use payload::{PayloadHash, PayloadHasher, Sha256Digest, sha256};
pub use presented::Presented;
pub use sign::{Signer, Unsignable};
pub use verify::Verified;

/// How far a signature's date may lie from the server's clock, either way.
pub const SKEW_MAX: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// The longest life of a presigned URL: a week, since a signing key is derived for a day and AWS
/// keeps seven of them.
pub const EXPIRES_SECONDS_MAX: u64 = 604_800;

/// The one algorithm served.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The last part of every credential scope.
const TERMINATOR: &str = "aws4_request";
