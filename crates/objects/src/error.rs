//! Why the object store refuses or fails.

use std::io;

use sightline_meta::MetaError;
use sightline_ports::BlobError;
use sightline_types::{ErrorKind, Timestamp};

use crate::checksum::Algorithm;
use crate::{BucketName, InvalidName, Object, ObjectKey, VersionId};

/// A failure of an operation on buckets or objects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name breaks its rules.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// No bucket has this name.
    #[error("the bucket {0} does not exist")]
    BucketNotFound(BucketName),
    /// The caller has a bucket of this name already.
    #[error("the bucket {0} exists and is yours already")]
    BucketExists(BucketName),
    /// The bucket still holds objects.
    #[error("the bucket {0} is not empty")]
    BucketNotEmpty(BucketName),
    /// The bucket is asked for in a region that this server is not in.
    #[error("the location constraint {asked:?} is not that of the region {region}")]
    WrongLocation {
        /// The constraint of the request, empty if there was none.
        asked: String,
        /// The server's region.
        region: String,
    },
    /// No object has this key.
    #[error("the key {0} does not exist")]
    KeyNotFound(ObjectKey),
    /// The key has no version of this name.
    #[error("the key {key} has no version {version}")]
    VersionNotFound {
        /// The key.
        key: ObjectKey,
        /// The version asked for.
        version: VersionId,
    },
    /// What is asked for is a delete marker.
    #[error("the version {version} of the key {key} is a delete marker")]
    DeleteMarker {
        /// The key.
        key: ObjectKey,
        /// The delete marker.
        version: VersionId,
        /// When it was written.
        modified_at: Timestamp,
        /// Whether just this version was asked for, and not the newest.
        named: bool,
    },
    /// A tag breaks the rules.
    #[error("the tag {name:?} is refused: {why}")]
    InvalidTag {
        /// Its name.
        name: String,
        /// The rule.
        why: &'static str,
    },
    /// There are more tags than there may be.
    #[error("there may be no more than {max} tags")]
    TooManyTags {
        /// The limit.
        max: usize,
    },
    /// An object would be copied onto itself without any change.
    #[error("the object {0} would be copied onto itself unchanged")]
    CopyOntoItself(ObjectKey),
    /// The object to be copied has tags, which the caller may not copy.
    #[error("the object {0} has tags that may not be copied")]
    SourceTagged(ObjectKey),
    /// The object to be copied is too large for one request.
    #[error("the object to be copied exceeds {max} bytes")]
    CopyTooLarge {
        /// The limit.
        max: u64,
    },
    /// The range to be copied lies beyond the object's end.
    #[error("the range to be copied is not within an object of {size} bytes")]
    CopyRange {
        /// The object's size.
        size: u64,
    },
    /// The object to be copied was replaced while it was being copied.
    #[error("the object {0} was replaced while it was being copied")]
    SourceChanged(ObjectKey),
    /// The object is the one that the caller has already.
    #[error("the object has not changed")]
    NotModified(Box<Object>),
    /// A condition of the request does not hold.
    #[error("the condition {condition} does not hold")]
    PreconditionFailed {
        /// The header that states it, such as `If-Match`.
        condition: &'static str,
    },
    /// The range lies beyond the object's end.
    #[error("the object has only {size} bytes")]
    RangeNotSatisfiable {
        /// The object's size.
        size: u64,
    },
    /// The object has no part of this number.
    #[error("the object has no part {number}")]
    PartNotFound {
        /// The number asked for.
        number: u32,
    },
    /// The bytes sent are not what the request says they are.
    #[error("the content is refused")]
    Payload(#[from] PayloadError),
    /// The bytes could not be read to their end.
    #[error("the content ended early")]
    Source(#[source] io::Error),
    /// No multipart upload has this id, bucket and key.
    #[error("the multipart upload {0} does not exist")]
    UploadNotFound(String),
    /// A part's number is outside of 1 to 10,000.
    #[error("a part number is between 1 and 10000")]
    PartNumber,
    /// A part to be joined does not exist or has another ETag or checksum.
    #[error("part {number} does not exist as the request describes it")]
    InvalidPart {
        /// Its number.
        number: u32,
    },
    /// The parts to be joined are not in ascending order.
    #[error("the parts are not in ascending order")]
    PartOrder,
    /// No parts are given to be joined.
    #[error("an object is joined of at least one part")]
    NoParts,
    /// A part other than the last is too small.
    #[error("part {number} has {size} bytes, fewer than 5 MiB, and is not the last")]
    PartTooSmall {
        /// Its number.
        number: u32,
        /// Its size in bytes.
        size: u64,
        /// Its ETag.
        etag: String,
    },
    /// A part's checksum is of another algorithm than its upload's.
    #[error("a checksum is of type {found:?} where the upload has type {expected:?}")]
    ChecksumType {
        /// The upload's algorithm.
        expected: Option<Algorithm>,
        /// The part's algorithm.
        found: Option<Algorithm>,
    },
    /// This algorithm's values cannot be taken over what is asked.
    #[error("the algorithm {} does not support this type of checksum", .0.name())]
    ChecksumCoverage(Algorithm),
    /// The blob store failed.
    #[error("the object's bytes could not be kept or read")]
    Blob(#[source] BlobError),
    /// The metadata store failed.
    #[error("could not reach the metadata store")]
    Meta(#[from] MetaError),
}

/// How bytes differ from what their request says of them. Nothing of them is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The MD5 differs from the declared one.
    #[error("the MD5 of the content is not the declared one")]
    Md5,
    /// The checksum differs from the declared one.
    #[error("the {} of the content is not the declared one", .0.name())]
    Checksum(Algorithm),
    /// The checksum that was announced to follow the bytes did not, or is unreadable.
    #[error("the announced {} did not follow the content", .0.name())]
    ChecksumMissing(Algorithm),
    /// There are more bytes than one request may store.
    #[error("the content exceeds {max} bytes")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// There are fewer or more bytes than declared.
    #[error("the content is not {declared} bytes long as declared")]
    Length {
        /// The length declared.
        declared: u64,
    },
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BucketNotFound(_)
            | Self::KeyNotFound(_)
            | Self::VersionNotFound { .. }
            | Self::DeleteMarker { .. }
            | Self::UploadNotFound(_)
            | Self::PartNotFound { .. } => ErrorKind::NotFound,
            Self::SourceTagged(_) => ErrorKind::Denied,
            Self::BucketExists(_) => ErrorKind::AlreadyExists,
            Self::BucketNotEmpty(_) | Self::SourceChanged(_) => ErrorKind::Conflict,
            Self::NotModified(_) | Self::PreconditionFailed { .. } => ErrorKind::PreconditionFailed,
            Self::Name(_)
            | Self::WrongLocation { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::Payload(_)
            | Self::Source(_)
            | Self::PartNumber
            | Self::InvalidPart { .. }
            | Self::PartOrder
            | Self::NoParts
            | Self::PartTooSmall { .. }
            | Self::ChecksumType { .. }
            | Self::ChecksumCoverage(_)
            | Self::InvalidTag { .. }
            | Self::TooManyTags { .. }
            | Self::CopyOntoItself(_)
            | Self::CopyTooLarge { .. }
            | Self::CopyRange { .. } => ErrorKind::Invalid,
            Self::Blob(_) => ErrorKind::Internal,
            Self::Meta(source) => source.kind(),
        }
    }
}

impl From<BlobError> for Error {
    /// Tells a refused or broken source of bytes from a failing store.
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Source(source) => {
                let refusal = source.get_ref().and_then(|inner| inner.downcast_ref());
                match refusal {
                    Some(refusal) => Self::Payload(PayloadError::clone(refusal)),
                    None => Self::Source(source),
                }
            }
            failure @ (BlobError::NotFound(_) | BlobError::Store { .. }) => Self::Blob(failure),
        }
    }
}
