//! Buckets, objects and multipart uploads: the engine behind S3 and behind every job's files.
//!
//! Owns the tables `buckets`, `objects`, `object_versions`, `uploads`, `object_parts` and
//! `small_blobs`. The bytes of objects lie in a [`BlobStore`] under random names; keys are data and
//! never become paths. This crate must never know HTTP or XML. What makes a write safe is its
//! order: bytes are made durable first, then one transaction names them and records the event, and
//! only after its commit are the replaced bytes deleted. The bytes of small objects are rows of
//! that same transaction. A crash leaves at worst bytes that nobody names, which
//! [`Objects::collect_orphans`] removes.
//!
//! Start at [`Objects::put`] and [`Objects::get`]; listing is in [`Objects::list`].

mod abandoned;
mod bucket;
mod checksum;
mod condition;
mod copy;
mod delete;
mod error;
mod holds;
mod list;
mod multipart;
mod names;
mod object;
mod orphans;
mod payload;
mod range;
mod read;
mod shared;
mod small;
mod store;
mod tags;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sightline_identity::Permit;
use sightline_meta::Meta;
use sightline_ports::{BlobId, BlobStore, Clock};
use sightline_types::{Arn, Event, ResourceRef, Timestamp};

pub use checksum::{Algorithm, Checksum, Coverage, InvalidChecksum, parse_md5};
pub use condition::{Conditions, Etags, WriteCondition};
pub use copy::{Copied, Copy, CopySource, CopyTags};
pub use delete::{Deleted, Deletion};
pub use error::{Error, PayloadError};
pub use list::{Entry, ListQuery, Listing, Place, Position, Row};
pub use multipart::{CompletedPart, Completion, NewUpload, UploadRef};
pub use names::{BucketName, InvalidName, ObjectKey, S3Uri};
pub use object::NewObject;
pub use payload::{Declared, PAYLOAD_BYTES_MAX, Payload, Trailer, verify};
pub use range::RangeSpec;
pub use read::{Found, PartsWanted, Selected, Wanted};
pub use small::SMALL_BYTES_MAX;
pub use store::{NamedBlob, each_named_blob};
pub use tags::{Tags, check_tags};
pub use version::{Version, VersionId, Versioning};

use holds::Holds;
use version::Rank;

/// How long a blob of a shared store that nothing names is kept unless somebody says otherwise: a
/// read that another server has begun may take so long.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// The object engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Objects {
    meta: Meta,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    holds: Holds,
    small_bytes_max: usize,
    grace: Duration,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// The account that it belongs to.
    pub owner: String,
    /// The region that it lies in.
    pub region: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Its tags.
    pub tags: Tags,
}

/// An object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag without quotes: the MD5 of its bytes, or of its parts' MD5s and their number.
    pub etag: String,
    /// When it was written.
    pub modified_at: Timestamp,
    /// The checksum that came with it.
    pub checksum: Option<Checksum>,
    /// What is said of its bytes. Empty in lists.
    pub attributes: Attributes,
    /// The number of parts that it was uploaded in; 0 if in one request.
    pub part_count: u32,
    /// Its version; `None` in a bucket that has never kept versions.
    pub version: Option<VersionId>,
    /// Its place among the versions of its key.
    pub(crate) rank: Rank,
    /// The name under which the store keeps its bytes.
    pub(crate) content_id: BlobId,
}

impl Object {
    /// Whether its bytes can be a small blob, which lies with the metadata.
    fn may_be_small(&self) -> bool {
        self.part_count == 0 && self.size <= SMALL_BYTES_MAX as u64
    }

    /// The same as readers of its bucket see it: without a version if there are none.
    fn seen_in(mut self, bucket: &Bucket) -> Self {
        if bucket.versioning == Versioning::Off {
            self.version = None;
        }
        self
    }

    fn version_text(&self) -> &str {
        self.version.as_ref().map_or("null", VersionId::as_str)
    }
}

/// What the writer of an object says of its bytes, given back with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Cache-Control`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-meta-…`, by the names behind that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    /// The object's tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

/// A part of an upload or of the object made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1 to 10,000.
    pub number: u32,
    /// Its size in bytes.
    pub size: u64,
    /// The MD5 of its bytes.
    pub etag: String,
    /// The checksum of its bytes.
    pub checksum: Option<Checksum>,
    /// When it was written.
    pub modified_at: Timestamp,
    pub(crate) blob: BlobId,
}

/// A multipart upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key that its object will have.
    pub key: ObjectKey,
    /// When it was begun.
    pub initiated_at: Timestamp,
    /// The checksum that its object will have, and what that is taken over.
    pub checksum: Option<(Algorithm, Coverage)>,
    pub(crate) attributes: Attributes,
    pub(crate) id: BlobId,
}

impl Upload {
    /// The text by which clients know the upload.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Objects {
    /// An engine over these stores. Of a metadata store in a file it is the only one; servers that
    /// share a database must share the blobs too, see [`Objects::shares_blobs`].
    #[must_use]
    pub fn new(meta: Meta, blobs: Arc<dyn BlobStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            meta,
            blobs,
            clock,
            holds: Holds::default(),
            small_bytes_max: 0,
            grace: GRACE,
        }
    }

    /// The same engine, keeping the bytes of objects of up to `max` bytes with the metadata, where
    /// a new engine keeps none. More than [`SMALL_BYTES_MAX`] is taken for that.
    #[must_use]
    pub fn with_small_bytes_max(mut self, max: usize) -> Self {
        self.small_bytes_max = max.min(SMALL_BYTES_MAX);
        self
    }

    /// The same, keeping unnamed blobs of a store that several servers share for so long.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

/// The event of a permitted change of a bucket, or of the object `key` in it.
fn event(permit: &Permit, bucket: &BucketName, key: Option<&ObjectKey>) -> Event {
    let mut event = permit.event();
    let mut touched = |kind: &str, key| {
        let name = Arn::s3(bucket.as_str(), key).to_string();
        event.resources.push(ResourceRef {
            kind: kind.to_owned(),
            name,
        });
    };
    if let Some(key) = key {
        touched("AWS::S3::Object", Some(key.as_str()));
    }
    touched("AWS::S3::Bucket", None);
    event
}
