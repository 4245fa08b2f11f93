//! AWS's codes and texts for each fact: one table for the JSON and Query services, one for S3.
//!
//! | fact | JSON, REST-JSON | Query | S3 |
//! | --- | --- | --- | --- |
//! | not signed | `MissingAuthenticationTokenException` | `MissingAuthenticationToken` | `AccessDenied` |
//! | unreadable or incomplete | `IncompleteSignatureException` | `IncompleteSignature` | `AuthorizationHeaderMalformed`, `AuthorizationQueryParametersError`, `InvalidArgument` |
//! | wrong scope, coverage or signature | `InvalidSignatureException` | `SignatureDoesNotMatch` | as above; `AccessDenied`; `SignatureDoesNotMatch` |
//! | skewed clock | `InvalidSignatureException` | `SignatureDoesNotMatch` | `RequestTimeTooSkewed` |
//! | presigned URL expired | `InvalidSignatureException` | `SignatureDoesNotMatch` | `AccessDenied` |
//! | unknown key | `UnrecognizedClientException` | `InvalidClientTokenId` | `InvalidAccessKeyId` |
//! | session over | `ExpiredTokenException` | `ExpiredToken` | `ExpiredToken` |
//! | wrong session token | `UnrecognizedClientException` | `InvalidClientTokenId` | `InvalidToken` |
//!
//! JSON services answer 400, REST-JSON and Query services 403 (400 for what is unreadable in
//! Query). No answer outside S3 is `AccessDenied…`: SDK waiters poll through that for minutes.

use http::StatusCode;
use sightline_types::Timestamp;

use super::error::{Mismatch, Place, ScopeFault, SigV4Error};
use super::{SKEW_MAX, TERMINATOR};

/// The protocols of the services other than S3, which spell the same errors differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// JSON 1.0 and 1.1, routed by `X-Amz-Target`.
    Json,
    /// JSON routed by method and path.
    RestJson,
    /// Forms with an `Action`, answered in XML.
    Query,
}

/// An error as a client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code that SDKs act on.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The text for people.
    pub message: String,
    /// S3 only: further elements of the error document, in order.
    pub details: Vec<(&'static str, String)>,
}

/// The groups into which the services other than S3 sort their answers.
#[derive(Clone, Copy)]
enum Kind {
    Missing,
    Incomplete,
    Invalid,
    UnknownClient,
    Expired,
}

impl Kind {
    fn code(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Missing, Family::Query) => "MissingAuthenticationToken",
            (Self::Missing, _) => "MissingAuthenticationTokenException",
            (Self::Incomplete, Family::Query) => "IncompleteSignature",
            (Self::Incomplete, _) => "IncompleteSignatureException",
            (Self::Invalid, Family::Query) => "SignatureDoesNotMatch",
            (Self::Invalid, _) => "InvalidSignatureException",
            (Self::UnknownClient, Family::Query) => "InvalidClientTokenId",
            (Self::UnknownClient, _) => "UnrecognizedClientException",
            (Self::Expired, Family::Query) => "ExpiredToken",
            (Self::Expired, _) => "ExpiredTokenException",
        }
    }

    fn status(self, family: Family) -> StatusCode {
        match (self, family) {
            (_, Family::Json) | (Self::Incomplete, Family::Query) => StatusCode::BAD_REQUEST,
            (_, Family::RestJson | Family::Query) => StatusCode::FORBIDDEN,
        }
    }
}

impl SigV4Error {
    /// The answer of every service but S3.
    #[must_use]
    pub fn aws(&self, family: Family) -> Answer {
        let (kind, message) = match (self, family) {
            (Self::Missing, Family::Query) => (
                Kind::Missing,
                "Request is missing Authentication Token".to_owned(),
            ),
            _ => self.aws_kind_and_text(),
        };
        let (code, status) = (kind.code(family), kind.status(family));
        Answer {
            code,
            status,
            message,
            details: Vec::new(),
        }
    }

    fn aws_kind_and_text(&self) -> (Kind, String) {
        let incomplete = |text| (Kind::Incomplete, text);
        let invalid = |text| (Kind::Invalid, text);
        match self {
            Self::Missing => (Kind::Missing, "Missing Authentication Token".to_owned()),
            Self::UnsupportedScheme { scheme, .. } => {
                incomplete(format!("Unsupported AWS 'algorithm': '{scheme}'."))
            }
            Self::TwoMechanisms => incomplete(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as \
                 HTTP header."
                    .to_owned(),
            ),
            Self::Incomplete { place, names } => incomplete(incomplete_text(*place, names)),
            Self::Malformed { name, .. } => incomplete(format!("'{name}' is malformed.")),
            Self::MalformedCredential { got, .. } => incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{got}'"
            )),
            Self::DateAbsent => incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header."
                    .to_owned(),
            ),
            Self::DateMalformed { got, .. } => incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{got}'. See \
                 http://en.wikipedia.org/wiki/ISO_8601"
            )),
            Self::ExpiresInvalid { .. } => incomplete(EXPIRES_INVALID.to_owned()),
            Self::PayloadHashAbsent => incomplete(PAYLOAD_HASH_ABSENT.to_owned()),
            Self::PayloadHashInvalid { .. } => incomplete(PAYLOAD_HASH_INVALID.to_owned()),
            Self::Scope { fault, .. } => invalid(scope_text(fault)),
            Self::Skewed { signed_at, now } | Self::NotYetValid { signed_at, now } => {
                invalid(skew_text(*signed_at, *now))
            }
            Self::Expired {
                expired_at, now, ..
            } => invalid(format!(
                "Signature expired: {} is now earlier than {}",
                expired_at.amz_date(),
                now.amz_date()
            )),
            Self::HostNotSigned => invalid(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned(),
            ),
            Self::HeadersNotSigned { names } => invalid(not_signed_text(names)),
            Self::PayloadHashMismatch { .. } => invalid(PAYLOAD_HASH_MISMATCH.to_owned()),
            Self::SignatureMismatch(mismatch) => invalid(mismatch_text(mismatch)),
            Self::Version2(error) => incomplete(error.to_string()),
            Self::UnknownAccessKey { .. } | Self::TokenInvalid => (
                Kind::UnknownClient,
                "The security token included in the request is invalid.".to_owned(),
            ),
            Self::TokenExpired => {
                let text = "The security token included in the request is expired";
                (Kind::Expired, text.to_owned())
            }
        }
    }
}

pub(super) const PAYLOAD_HASH_ABSENT: &str =
    "Missing required header for this request: x-amz-content-sha256";
pub(super) const PAYLOAD_HASH_INVALID: &str = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, \
     STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
     STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.";
pub(super) const PAYLOAD_HASH_MISMATCH: &str =
    "The provided 'x-amz-content-sha256' header does not match what was computed.";

pub(super) const EXPIRES_INVALID: &str =
    "X-Amz-Expires must be a number of seconds from 1 to 604800";

fn incomplete_text(place: Place, names: &[&str]) -> String {
    match place {
        Place::Header => {
            let wanted = |name| format!("Authorization header requires '{name}' parameter.");
            names.iter().map(wanted).collect::<Vec<_>>().join(" ")
        }
        Place::Query => {
            let wanted = |name| format!("AWS query-string parameters must include '{name}'. ");
            let all: String = names.iter().map(wanted).collect();
            all + "Re-examine the query-string parameters."
        }
    }
}

fn scope_text(fault: &ScopeFault) -> String {
    match fault {
        ScopeFault::DateFormat { got } => {
            format!("Date in Credential scope must be in the format YYYYMMDD, got '{got}'.")
        }
        ScopeFault::DateMismatch { scope, request } => {
            let day = request.get(..8).unwrap_or(request);
            format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{scope}' != '{day}', from '{request}'."
            )
        }
        ScopeFault::Terminator { got } => format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{got}'."
        ),
        ScopeFault::Region { got, .. } => {
            format!("Credential should be scoped to a valid region, not '{got}'. ")
        }
        ScopeFault::Service { expected, .. } => {
            format!("Credential should be scoped to correct service: '{expected}'. ")
        }
    }
}

fn skew_text(signed_at: Timestamp, now: Timestamp) -> String {
    let minutes = SKEW_MAX.as_secs() / 60;
    let (signed, server) = (signed_at.amz_date(), now.amz_date());
    if signed_at > now {
        let latest = now.plus(SKEW_MAX).amz_date();
        return format!(
            "Signature not yet current: {signed} is still later than {latest} \
             ({server} + {minutes} min.)"
        );
    }
    let earliest = before(now).amz_date();
    format!(
        "Signature expired: {signed} is now earlier than {earliest} ({server} - {minutes} min.)"
    )
}

fn before(now: Timestamp) -> Timestamp {
    let skew = i64::try_from(SKEW_MAX.as_millis()).unwrap_or_default();
    Timestamp::from_millis(now.millis().saturating_sub(skew))
}

fn not_signed_text(names: &[String]) -> String {
    let wanted = |name| format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
    names.iter().map(wanted).collect::<Vec<_>>().join(" ")
}

fn mismatch_text(mismatch: &Mismatch) -> String {
    format!(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.\n\nThe Canonical String for this request should have been\n'{}'\n\nThe \
         String-to-Sign should have been\n'{}'\n",
        mismatch.canonical_request, mismatch.string_to_sign
    )
}
