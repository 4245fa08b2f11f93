//! S3's codes, statuses and texts for what can go wrong.

use http::StatusCode;
use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use sightline_api::{BodyFault, Fault};
use sightline_objects::{Error, InvalidName, PayloadError};
use sightline_types::ErrorKind;

const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// The code and status of each kind of failure that has no more particular one.
pub(crate) fn table(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Invalid => ("InvalidArgument", BAD),
        ErrorKind::NotFound => ("NoSuchKey", StatusCode::NOT_FOUND),
        ErrorKind::AlreadyExists => ("BucketAlreadyExists", StatusCode::CONFLICT),
        ErrorKind::Conflict => ("OperationAborted", StatusCode::CONFLICT),
        ErrorKind::PreconditionFailed => ("PreconditionFailed", StatusCode::PRECONDITION_FAILED),
        ErrorKind::Denied => ("AccessDenied", StatusCode::FORBIDDEN),
        ErrorKind::LimitExceeded => ("SlowDown", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Throttled => ("SlowDown", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Unsupported => ("NotImplemented", StatusCode::NOT_IMPLEMENTED),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Internal => ("InternalError", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// A request that is wrong in a way that has no code of its own.
pub(crate) fn invalid_request(text: impl Into<String>) -> Fault {
    Fault::new("InvalidRequest", BAD, text)
}

/// A parameter that cannot be what it is.
pub(crate) fn invalid_argument(name: &str, value: &str, text: &str) -> Fault {
    let fault = Fault::new("InvalidArgument", BAD, text);
    fault
        .with("ArgumentName", name)
        .with("ArgumentValue", value)
}

/// The answer to a failure of the engine.
pub(crate) fn fault(error: Error) -> Fault {
    match error {
        Error::Name(name) => of_name(&name),
        Error::Payload(payload) => of_payload(&payload),
        Error::Source(source) => match BodyFault::find(&source) {
            Some(fault) => fault.clone(),
            None => Fault::new("IncompleteBody", BAD, INCOMPLETE),
        },
        Error::Blob(_) | Error::Meta(_) => Fault::of(table, error.kind(), &error),
        Error::BucketNotFound(_)
        | Error::BucketExists(_)
        | Error::BucketNotEmpty(_)
        | Error::WrongLocation { .. } => of_bucket(&error),
        Error::KeyNotFound(_)
        | Error::NotModified(_)
        | Error::PreconditionFailed { .. }
        | Error::RangeNotSatisfiable { .. }
        | Error::PartNotFound { .. } => of_object(&error),
        Error::UploadNotFound(_)
        | Error::PartNumber
        | Error::InvalidPart { .. }
        | Error::PartOrder
        | Error::NoParts
        | Error::PartTooSmall { .. }
        | Error::ChecksumType { .. }
        | Error::ChecksumCoverage(_) => of_upload(&error),
    }
}

const INCOMPLETE: &str =
    "You did not provide the number of bytes specified by the Content-Length HTTP header";

fn of_name(name: &InvalidName) -> Fault {
    match name {
        InvalidName::Bucket(bucket) => {
            let fault = Fault::new(
                "InvalidBucketName",
                BAD,
                "The specified bucket is not valid.",
            );
            fault.with("BucketName", bucket.as_str())
        }
        InvalidName::KeyTooLong(size) => {
            let fault = Fault::new("KeyTooLongError", BAD, "Your key is too long");
            fault.with("Size", *size).with("MaxSizeAllowed", 1024)
        }
        InvalidName::Key | InvalidName::Uri(_) => {
            Fault::new("InvalidArgument", BAD, name.to_string())
        }
    }
}

fn of_payload(payload: &PayloadError) -> Fault {
    match payload {
        PayloadError::Md5 => {
            let text = "The Content-MD5 you specified did not match what we received.";
            Fault::new("BadDigest", BAD, text)
        }
        PayloadError::Checksum(algorithm) => {
            let name = algorithm.name();
            let text = format!("The {name} you specified did not match the calculated checksum.");
            Fault::new("BadDigest", BAD, text)
        }
        PayloadError::ChecksumMissing(_) => {
            let text = "The request contained trailing data that was not well-formed or did not \
                        conform to our published schema.";
            Fault::new("MalformedTrailerError", BAD, text)
        }
        PayloadError::TooLarge { max } => {
            let text = "Your proposed upload exceeds the maximum allowed size";
            Fault::new("EntityTooLarge", BAD, text).with("MaxSizeAllowed", *max)
        }
        PayloadError::Length { .. } => Fault::new("IncompleteBody", BAD, INCOMPLETE),
    }
}

fn of_bucket(error: &Error) -> Fault {
    let (code, status, text) = match error {
        Error::BucketExists(_) => (
            "BucketAlreadyOwnedByYou",
            StatusCode::CONFLICT,
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        Error::BucketNotEmpty(_) => (
            "BucketNotEmpty",
            StatusCode::CONFLICT,
            "The bucket you tried to delete is not empty",
        ),
        Error::WrongLocation { asked, region } => return wrong_location(asked, region),
        _ => (
            "NoSuchBucket",
            StatusCode::NOT_FOUND,
            "The specified bucket does not exist",
        ),
    };
    let fault = Fault::new(code, status, text);
    match error {
        Error::BucketNotFound(name) | Error::BucketExists(name) | Error::BucketNotEmpty(name) => {
            fault.with("BucketName", name.as_str())
        }
        _ => fault,
    }
}

fn wrong_location(asked: &str, region: &str) -> Fault {
    if asked == region {
        // Only us-east-1 refuses its own name: S3 calls that region by no name at all.
        let text = "The specified location-constraint is not valid";
        let fault = Fault::new("InvalidLocationConstraint", BAD, text);
        return fault.with("LocationConstraint", asked);
    }
    let asked = if asked.is_empty() {
        "unspecified"
    } else {
        asked
    };
    let text = format!(
        "The {asked} location constraint is incompatible for the region specific endpoint this \
         request was sent to."
    );
    Fault::new("IllegalLocationConstraintException", BAD, text)
}

fn of_object(error: &Error) -> Fault {
    match error {
        Error::NotModified(object) => {
            let fault = Fault::new("NotModified", StatusCode::NOT_MODIFIED, "Not Modified");
            fault
                .with_header(ETAG, &format!("\"{}\"", object.etag))
                .with_header(LAST_MODIFIED, &object.modified_at.http_date())
        }
        Error::PreconditionFailed { condition } => {
            let text = "At least one of the pre-conditions you specified did not hold";
            let status = StatusCode::PRECONDITION_FAILED;
            Fault::new("PreconditionFailed", status, text).with("Condition", *condition)
        }
        Error::RangeNotSatisfiable { size } => {
            let text = "The requested range is not satisfiable";
            Fault::new("InvalidRange", StatusCode::RANGE_NOT_SATISFIABLE, text)
                .with("ActualObjectSize", *size)
                .with_header(CONTENT_RANGE, &format!("bytes */{size}"))
        }
        Error::PartNotFound { number } => {
            let text = "The requested partnumber is not satisfiable";
            Fault::new("InvalidPartNumber", StatusCode::RANGE_NOT_SATISFIABLE, text)
                .with("PartNumberRequested", *number)
        }
        Error::KeyNotFound(key) => {
            let text = "The specified key does not exist.";
            Fault::new("NoSuchKey", StatusCode::NOT_FOUND, text).with("Key", key.as_str())
        }
        other => Fault::of(table, other.kind(), other),
    }
}

fn of_upload(error: &Error) -> Fault {
    match error {
        Error::UploadNotFound(id) => {
            let text = "The specified upload does not exist. The upload ID may be invalid, or the \
                        upload may have been aborted or completed.";
            Fault::new("NoSuchUpload", StatusCode::NOT_FOUND, text).with("UploadId", id.as_str())
        }
        Error::PartNumber => {
            let text = "Part number must be an integer between 1 and 10000, inclusive";
            Fault::new("InvalidArgument", BAD, text).with("ArgumentName", "partNumber")
        }
        Error::InvalidPart { number } => {
            let text = "One or more of the specified parts could not be found.  The part may not \
                        have been uploaded, or the specified entity tag may not match the part's \
                        entity tag.";
            Fault::new("InvalidPart", BAD, text).with("PartNumber", *number)
        }
        Error::PartOrder => {
            let text = "The list of parts was not in ascending order. Parts must be ordered by \
                        part number.";
            Fault::new("InvalidPartOrder", BAD, text)
        }
        Error::NoParts => {
            let text = "The XML you provided was not well-formed or did not validate against our \
                        published schema";
            Fault::new("MalformedXML", BAD, text)
        }
        Error::PartTooSmall { number, size, etag } => {
            let text = "Your proposed upload is smaller than the minimum allowed size";
            Fault::new("EntityTooSmall", BAD, text)
                .with("ProposedSize", *size)
                .with("MinSizeAllowed", 5 << 20)
                .with("PartNumber", *number)
                .with("ETag", etag.as_str())
        }
        Error::ChecksumType { expected, found } => {
            let name = |algorithm: &Option<sightline_objects::Algorithm>| {
                algorithm.map_or("null".to_owned(), |known| known.name().to_ascii_lowercase())
            };
            let (expected, found) = (name(expected), name(found));
            invalid_request(format!(
                "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual \
                 checksum Type: {found}"
            ))
        }
        other => invalid_request(other.to_string()),
    }
}
