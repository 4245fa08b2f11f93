//! S3's codes, statuses and texts for what can go wrong.

use http::StatusCode;
use http::header::{ALLOW, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED};
use sightline_api::{BodyFault, Fault};
use sightline_objects::{Algorithm, Error, InvalidName, PayloadError};
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

/// A document that is not what its operation takes.
pub(crate) fn malformed() -> Fault {
    Fault::new("MalformedXML", BAD, MALFORMED)
}

/// A bucket can be told to keep versions or to suspend that, and nothing else.
pub(crate) fn illegal_versioning() -> Fault {
    let text = "The Versioning element must be specified";
    Fault::new("IllegalVersioningConfigurationException", BAD, text)
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
    match &error {
        Error::Source(source) => {
            let found = BodyFault::find(source).cloned();
            found.unwrap_or_else(|| Fault::new("IncompleteBody", BAD, INCOMPLETE))
        }
        Error::WrongLocation { asked, .. } => wrong_location(asked),
        Error::Payload(PayloadError::Checksum(algorithm)) => {
            let name = algorithm.name();
            let text = format!("The {name} you specified did not match the calculated checksum.");
            Fault::new("BadDigest", BAD, text)
        }
        Error::ChecksumType { expected, found } => checksum_type(*expected, *found),
        Error::ChecksumCoverage(_) => invalid_request(error.to_string()),
        Error::InvalidTag { name, why } => {
            Fault::new("InvalidTag", BAD, *why).with("TagKey", name.as_str())
        }
        Error::TooManyTags { max } => {
            let text = format!("Object tags cannot be greater than {max}");
            Fault::new("BadRequest", BAD, text)
        }
        Error::CopyTooLarge { max } => invalid_request(format!("{COPY_TOO_LARGE}{max}")),
        Error::CopyRange { size } => {
            let text = format!("Range specified is not valid for source object of size: {size}");
            Fault::new("InvalidArgument", BAD, text)
        }
        Error::Name(InvalidName::Key | InvalidName::Uri(_))
        | Error::SourceTagged(_)
        | Error::Blob(_)
        | Error::Meta(_) => Fault::of(table, error.kind(), &error),
        Error::Name(
            InvalidName::Bucket(_) | InvalidName::KeyTooLong(_) | InvalidName::Version(_),
        )
        | Error::VersionNotFound { .. }
        | Error::DeleteMarker { .. }
        | Error::CopyOntoItself(_)
        | Error::SourceChanged(_)
        | Error::BucketNotFound(_)
        | Error::BucketExists(_)
        | Error::BucketNotEmpty(_)
        | Error::KeyNotFound(_)
        | Error::NotModified(_)
        | Error::PreconditionFailed { .. }
        | Error::RangeNotSatisfiable { .. }
        | Error::PartNotFound { .. }
        | Error::Payload(_)
        | Error::UploadNotFound(_)
        | Error::PartNumber
        | Error::InvalidPart { .. }
        | Error::PartOrder
        | Error::NoParts
        | Error::PartTooSmall { .. } => detailed(&error),
    }
}

/// A failure with the words and the details that S3 gives it.
fn detailed(error: &Error) -> Fault {
    let (code, status, text) = words(error);
    let fault = Fault::new(code, status, text);
    match error {
        Error::Name(InvalidName::Bucket(name)) => fault.with("BucketName", name.as_str()),
        Error::Name(InvalidName::KeyTooLong(size)) => {
            fault.with("Size", *size).with("MaxSizeAllowed", 1024)
        }
        Error::BucketNotFound(name) | Error::BucketExists(name) | Error::BucketNotEmpty(name) => {
            fault.with("BucketName", name.as_str())
        }
        Error::KeyNotFound(key) => fault.with("Key", key.as_str()),
        Error::Name(InvalidName::Version(text)) => fault
            .with("ArgumentName", "versionId")
            .with("ArgumentValue", text.as_str()),
        Error::VersionNotFound { key, version } => fault
            .with("Key", key.as_str())
            .with("VersionId", version.as_str()),
        Error::DeleteMarker { .. } => delete_marker(fault, error),
        Error::NotModified(object) => fault
            .with_header(ETAG, &format!("\"{}\"", object.etag))
            .with_header(LAST_MODIFIED, &object.modified_at.http_date()),
        Error::PreconditionFailed { condition } => fault.with("Condition", *condition),
        Error::RangeNotSatisfiable { size } => fault
            .with("ActualObjectSize", *size)
            .with_header(CONTENT_RANGE, &format!("bytes */{size}")),
        Error::PartNotFound { number } => fault.with("PartNumberRequested", *number),
        Error::Payload(PayloadError::TooLarge { max }) => fault.with("MaxSizeAllowed", *max),
        Error::UploadNotFound(id) => fault.with("UploadId", id.as_str()),
        Error::PartNumber => fault.with("ArgumentName", "partNumber"),
        Error::InvalidPart { number } => fault.with("PartNumber", *number),
        Error::PartTooSmall { number, size, etag } => fault
            .with("ProposedSize", *size)
            .with("MinSizeAllowed", 5 << 20)
            .with("PartNumber", *number)
            .with("ETag", etag.as_str()),
        Error::Name(InvalidName::Key | InvalidName::Uri(_))
        | Error::WrongLocation { .. }
        | Error::Payload(_)
        | Error::Source(_)
        | Error::CopyOntoItself(_)
        | Error::SourceChanged(_)
        | Error::SourceTagged(_)
        | Error::InvalidTag { .. }
        | Error::TooManyTags { .. }
        | Error::CopyTooLarge { .. }
        | Error::CopyRange { .. }
        | Error::PartOrder
        | Error::NoParts
        | Error::ChecksumType { .. }
        | Error::ChecksumCoverage(_)
        | Error::Blob(_)
        | Error::Meta(_) => fault,
    }
}

/// Code, status and text of each failure, as S3 words it.
fn words(error: &Error) -> (&'static str, StatusCode, &'static str) {
    const MISSING: StatusCode = StatusCode::NOT_FOUND;
    const UNSATISFIABLE: StatusCode = StatusCode::RANGE_NOT_SATISFIABLE;
    match error {
        Error::Name(InvalidName::Bucket(_)) => ("InvalidBucketName", BAD, INVALID_BUCKET),
        Error::Name(InvalidName::KeyTooLong(_)) => ("KeyTooLongError", BAD, KEY_TOO_LONG),
        Error::BucketNotFound(_) => ("NoSuchBucket", MISSING, NO_BUCKET),
        Error::BucketExists(_) => ("BucketAlreadyOwnedByYou", StatusCode::CONFLICT, YOUR_BUCKET),
        Error::BucketNotEmpty(_) => ("BucketNotEmpty", StatusCode::CONFLICT, NOT_EMPTY),
        Error::KeyNotFound(_) | Error::DeleteMarker { named: false, .. } => {
            ("NoSuchKey", MISSING, NO_KEY)
        }
        Error::DeleteMarker { named: true, .. } => (
            "MethodNotAllowed",
            StatusCode::METHOD_NOT_ALLOWED,
            NOT_ALLOWED,
        ),
        Error::Name(InvalidName::Version(_)) => ("InvalidArgument", BAD, INVALID_VERSION),
        Error::VersionNotFound { .. } => ("NoSuchVersion", MISSING, NO_VERSION),
        Error::CopyOntoItself(_) => ("InvalidRequest", BAD, COPY_ONTO_ITSELF),
        Error::SourceChanged(_) => ("OperationAborted", StatusCode::CONFLICT, CONFLICTING),
        Error::NotModified(_) => ("NotModified", StatusCode::NOT_MODIFIED, "Not Modified"),
        Error::PreconditionFailed { .. } => (
            "PreconditionFailed",
            StatusCode::PRECONDITION_FAILED,
            CONDITION,
        ),
        Error::RangeNotSatisfiable { .. } => ("InvalidRange", UNSATISFIABLE, RANGE),
        Error::PartNotFound { .. } => ("InvalidPartNumber", UNSATISFIABLE, NO_PART),
        Error::Payload(PayloadError::Md5) => ("BadDigest", BAD, WRONG_MD5),
        Error::Payload(PayloadError::ChecksumMissing(_)) => {
            ("MalformedTrailerError", BAD, WRONG_TRAILER)
        }
        Error::Payload(PayloadError::TooLarge { .. }) => ("EntityTooLarge", BAD, TOO_LARGE),
        Error::Payload(PayloadError::Length { .. }) | Error::Source(_) => {
            ("IncompleteBody", BAD, INCOMPLETE)
        }
        Error::UploadNotFound(_) => ("NoSuchUpload", MISSING, NO_UPLOAD),
        Error::PartNumber => ("InvalidArgument", BAD, PART_NUMBER),
        Error::InvalidPart { .. } => ("InvalidPart", BAD, INVALID_PART),
        Error::PartOrder => ("InvalidPartOrder", BAD, PART_ORDER),
        Error::NoParts => ("MalformedXML", BAD, MALFORMED),
        Error::PartTooSmall { .. } => ("EntityTooSmall", BAD, TOO_SMALL),
        Error::Name(InvalidName::Key | InvalidName::Uri(_))
        | Error::WrongLocation { .. }
        | Error::Payload(PayloadError::Checksum(_))
        | Error::InvalidTag { .. }
        | Error::TooManyTags { .. }
        | Error::CopyTooLarge { .. }
        | Error::CopyRange { .. }
        | Error::SourceTagged(_)
        | Error::ChecksumType { .. }
        | Error::ChecksumCoverage(_)
        | Error::Blob(_)
        | Error::Meta(_) => {
            let (code, status) = table(error.kind());
            (code, status, code)
        }
    }
}

/// What is told of a delete marker beside the error that it is one.
fn delete_marker(fault: Fault, error: &Error) -> Fault {
    let Error::DeleteMarker {
        key,
        version,
        modified_at,
        named,
    } = error
    else {
        return fault;
    };
    let fault = fault
        .with("Key", key.as_str())
        .with_header(HeaderName::from_static("x-amz-delete-marker"), "true")
        .with_header(
            HeaderName::from_static("x-amz-version-id"),
            version.as_str(),
        );
    match named {
        false => fault,
        true => fault
            .with("ResourceType", "DeleteMarker")
            .with_header(ALLOW, "DELETE")
            .with_header(LAST_MODIFIED, &modified_at.http_date()),
    }
}

fn wrong_location(asked: &str) -> Fault {
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

fn checksum_type(expected: Option<Algorithm>, found: Option<Algorithm>) -> Fault {
    let name = |algorithm: Option<Algorithm>| {
        algorithm.map_or("null".to_owned(), |known| known.name().to_ascii_lowercase())
    };
    let (expected, found) = (name(expected), name(found));
    invalid_request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum \
         Type: {found}"
    ))
}

const INVALID_BUCKET: &str = "The specified bucket is not valid.";
const KEY_TOO_LONG: &str = "Your key is too long";
const NO_BUCKET: &str = "The specified bucket does not exist";
const YOUR_BUCKET: &str =
    "Your previous request to create the named bucket succeeded and you already own it.";
const NOT_EMPTY: &str = "The bucket you tried to delete is not empty";
const NO_KEY: &str = "The specified key does not exist.";
const NOT_ALLOWED: &str = "The specified method is not allowed against this resource.";
const INVALID_VERSION: &str = "Invalid version id specified";
const NO_VERSION: &str = "The specified version does not exist.";
const COPY_ONTO_ITSELF: &str = "This copy request is illegal because it is trying to copy an object to itself without \
     changing the object's metadata, storage class, website redirect location or encryption \
     attributes.";
const COPY_TOO_LARGE: &str =
    "The specified copy source is larger than the maximum allowable size for a copy source: ";
const CONFLICTING: &str = "A conflicting conditional operation is currently in progress against \
                           this resource. Please try again.";
const CONDITION: &str = "At least one of the pre-conditions you specified did not hold";
const RANGE: &str = "The requested range is not satisfiable";
const NO_PART: &str = "The requested partnumber is not satisfiable";
const WRONG_MD5: &str = "The Content-MD5 you specified did not match what we received.";
const WRONG_TRAILER: &str = "The request contained trailing data that was not well-formed or did \
                             not conform to our published schema.";
const TOO_LARGE: &str = "Your proposed upload exceeds the maximum allowed size";
const TOO_SMALL: &str = "Your proposed upload is smaller than the minimum allowed size";
const INCOMPLETE: &str =
    "You did not provide the number of bytes specified by the Content-Length HTTP header";
const NO_UPLOAD: &str = "The specified upload does not exist. The upload ID may be invalid, or \
                         the upload may have been aborted or completed.";
const PART_NUMBER: &str = "Part number must be an integer between 1 and 10000, inclusive";
const INVALID_PART: &str = "One or more of the specified parts could not be found.  The part may \
                            not have been uploaded, or the specified entity tag may not match \
                            the part's entity tag.";
const PART_ORDER: &str = "The list of parts was not in ascending order. Parts must be ordered by \
                          part number.";
const MALFORMED: &str =
    "The XML you provided was not well-formed or did not validate against our published schema";
