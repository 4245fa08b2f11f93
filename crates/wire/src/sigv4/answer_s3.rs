//! S3's answers, which have codes of their own and carry further elements.

use http::StatusCode;

use super::answer::{
    Answer, EXPIRES_INVALID, PAYLOAD_HASH_ABSENT, PAYLOAD_HASH_INVALID, PAYLOAD_HASH_MISMATCH,
};
use super::error::{Mismatch, Place, ScopeFault, SigV4Error};
use super::{SKEW_MAX, TERMINATOR};

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

const ACCESS_DENIED: &str = "AccessDenied";
const ARGUMENT: &str = "InvalidArgument";
const COMPONENTS_WANTED: &str = "the authorization header requires three components: Credential, \
     SignedHeaders, and Signature.";
const CREDENTIAL_WANTED: &str = "the Credential is mal-formed; expecting \
     \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
const DATE_WANTED: &str = "AWS authentication requires a valid Date or x-amz-date header";
const MECHANISM: &str = "The authorization mechanism you have provided is not supported. \
     Please use AWS4-HMAC-SHA256.";
const NOT_SIGNED: &str = "There were headers present in the request which were not signed";
const QUERY_ERROR: &str = "AuthorizationQueryParametersError";
const QUERY_WANTED: &str = "Query-string authentication version 4 requires the X-Amz-Algorithm, \
     X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires \
     parameters.";
const SIGNATURE: &str = "The request signature we calculated does not match the signature you \
     provided. Check your key and signing method.";
const SKEWED: &str = "The difference between the request time and the current time is too large.";
const TWO_MECHANISMS: &str = "Only one auth mechanism allowed; only the X-Amz-Algorithm query \
     parameter, Signature query string parameter or the Authorization header should be specified";
const UNKNOWN_KEY: &str = "The AWS Access Key Id you provided does not exist in our records.";

impl SigV4Error {
    /// S3's answer.
    #[must_use]
    pub fn s3(&self) -> Answer {
        let (code, status, text) = match self {
            Self::Missing => (ACCESS_DENIED, FORBIDDEN, "Access Denied"),
            Self::UnsupportedScheme { place, scheme } => unsupported(*place, scheme),
            Self::TwoMechanisms => (ARGUMENT, BAD, TWO_MECHANISMS),
            Self::Incomplete {
                place: Place::Query,
                ..
            } => (QUERY_ERROR, BAD, QUERY_WANTED),
            Self::Incomplete { place, .. } => return self.malformed(*place, COMPONENTS_WANTED),
            Self::Malformed { place, name } => {
                return self.malformed(*place, &format!("the component \"{name}\" is malformed."));
            }
            Self::MalformedCredential { place, .. } => {
                return self.malformed(*place, CREDENTIAL_WANTED);
            }
            Self::Scope { place, fault } => return self.malformed(*place, &scope_text(fault)),
            Self::DateAbsent
            | Self::DateMalformed {
                place: Place::Header,
                ..
            } => (ACCESS_DENIED, FORBIDDEN, DATE_WANTED),
            Self::DateMalformed {
                place: Place::Query,
                ..
            } => {
                let text = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"";
                (QUERY_ERROR, BAD, text)
            }
            Self::ExpiresInvalid { .. } => (QUERY_ERROR, BAD, EXPIRES_INVALID),
            Self::Skewed { .. } => ("RequestTimeTooSkewed", FORBIDDEN, SKEWED),
            Self::NotYetValid { .. } => (ACCESS_DENIED, FORBIDDEN, "Request is not valid yet"),
            Self::Expired { .. } => (ACCESS_DENIED, FORBIDDEN, "Request has expired"),
            Self::HostNotSigned | Self::HeadersNotSigned { .. } => {
                (ACCESS_DENIED, FORBIDDEN, NOT_SIGNED)
            }
            Self::PayloadHashAbsent => ("InvalidRequest", BAD, PAYLOAD_HASH_ABSENT),
            Self::PayloadHashInvalid { .. } => (ARGUMENT, BAD, PAYLOAD_HASH_INVALID),
            Self::PayloadHashMismatch { .. } => {
                ("XAmzContentSHA256Mismatch", BAD, PAYLOAD_HASH_MISMATCH)
            }
            Self::SignatureMismatch(_) => ("SignatureDoesNotMatch", FORBIDDEN, SIGNATURE),
            Self::Version2(error) => return error.s3(),
            Self::UnknownAccessKey { .. } => ("InvalidAccessKeyId", FORBIDDEN, UNKNOWN_KEY),
            Self::TokenExpired => ("ExpiredToken", BAD, "The provided token has expired."),
            Self::TokenInvalid => (
                "InvalidToken",
                BAD,
                "The provided token is malformed or otherwise invalid.",
            ),
        };
        Answer {
            code,
            status,
            message: text.to_owned(),
            details: self.s3_details(),
        }
    }

    /// A signature that cannot be read, or is meant for elsewhere.
    fn malformed(&self, place: Place, fault: &str) -> Answer {
        let (code, message) = match place {
            Place::Header => (
                "AuthorizationHeaderMalformed",
                format!("The authorization header is malformed; {fault}"),
            ),
            Place::Query => (
                QUERY_ERROR,
                format!("Error parsing the X-Amz-Credential parameter; {fault}"),
            ),
        };
        Answer {
            code,
            status: BAD,
            message,
            details: self.s3_details(),
        }
    }

    fn s3_details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TwoMechanisms => vec![("ArgumentName", "Authorization".to_owned())],
            Self::Scope {
                fault: ScopeFault::Region { expected, .. },
                ..
            } => {
                vec![("Region", expected.clone())]
            }
            Self::Skewed { signed_at, now } => vec![
                ("RequestTime", signed_at.amz_date()),
                ("ServerTime", now.iso8601()),
                (
                    "MaxAllowedSkewMilliseconds",
                    SKEW_MAX.as_millis().to_string(),
                ),
            ],
            Self::Expired {
                expires_seconds,
                expired_at,
                now,
            } => vec![
                ("X-Amz-Expires", expires_seconds.to_string()),
                ("Expires", expired_at.iso8601()),
                ("ServerTime", now.iso8601()),
            ],
            Self::HostNotSigned => vec![("HeadersNotSigned", "host".to_owned())],
            Self::HeadersNotSigned { names } => vec![("HeadersNotSigned", names.join(", "))],
            Self::PayloadHashInvalid { got } => vec![
                ("ArgumentName", "x-amz-content-sha256".to_owned()),
                ("ArgumentValue", got.clone()),
            ],
            Self::PayloadHashMismatch { declared, computed } => vec![
                ("ClientComputedContentSHA256", declared.to_string()),
                ("S3ComputedContentSHA256", computed.to_string()),
            ],
            Self::SignatureMismatch(mismatch) => mismatch_details(mismatch),
            Self::UnknownAccessKey { access_key_id } => {
                vec![("AWSAccessKeyId", access_key_id.clone())]
            }
            Self::Missing
            | Self::UnsupportedScheme { .. }
            | Self::Incomplete { .. }
            | Self::Malformed { .. }
            | Self::MalformedCredential { .. }
            | Self::Scope { .. }
            | Self::DateAbsent
            | Self::DateMalformed { .. }
            | Self::ExpiresInvalid { .. }
            | Self::NotYetValid { .. }
            | Self::PayloadHashAbsent
            | Self::Version2(_)
            | Self::TokenExpired
            | Self::TokenInvalid => vec![],
        }
    }
}

/// Signature version 2 is named `AWS`; S3 says how to move on from it.
fn unsupported(place: Place, scheme: &str) -> (&'static str, StatusCode, &'static str) {
    match place {
        Place::Query if scheme != "AWS" => (
            QUERY_ERROR,
            BAD,
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
        ),
        Place::Header if scheme != "AWS" => (ARGUMENT, BAD, "Unsupported Authorization Type"),
        Place::Header | Place::Query => ("InvalidRequest", BAD, MECHANISM),
    }
}

fn scope_text(fault: &ScopeFault) -> String {
    match fault {
        ScopeFault::DateFormat { got } => format!(
            "incorrect date format \"{got}\". This date in the credential must be in the format \
             \"yyyyMMdd\"."
        ),
        ScopeFault::DateMismatch { scope, request } => format!(
            "Invalid credential date \"{scope}\". This date is not the same as X-Amz-Date: \
             \"{}\".",
            request.get(..8).unwrap_or(request)
        ),
        ScopeFault::Terminator { got } => {
            format!("incorrect terminal \"{got}\". This endpoint uses \"{TERMINATOR}\".")
        }
        ScopeFault::Region { got, expected } => {
            format!("the region '{got}' is wrong; expecting '{expected}'")
        }
        ScopeFault::Service { got, expected } => {
            format!("incorrect service \"{got}\". This endpoint belongs to \"{expected}\".")
        }
    }
}

/// The texts also as bytes in hexadecimal, in which invisible differences show.
fn mismatch_details(mismatch: &Mismatch) -> Vec<(&'static str, String)> {
    let Mismatch {
        access_key_id,
        signature,
        string_to_sign,
        canonical_request,
    } = mismatch;
    vec![
        ("AWSAccessKeyId", access_key_id.clone()),
        ("StringToSign", string_to_sign.clone()),
        ("SignatureProvided", signature.clone()),
        ("StringToSignBytes", hex_bytes(string_to_sign)),
        ("CanonicalRequest", canonical_request.clone()),
        ("CanonicalRequestBytes", hex_bytes(canonical_request)),
    ]
}

/// The bytes of a text as pairs of digits, as S3 spells them.
pub(crate) fn hex_bytes(text: &str) -> String {
    let pairs: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}
