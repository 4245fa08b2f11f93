//! The SQL of buckets, objects, uploads and parts.

mod named;
mod versions;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sightline_meta::{MetaError, Reader, Row, Tx, Value, params};
use sightline_ports::BlobId;
use sightline_types::Timestamp;

use crate::checksum::{Algorithm, Checksum, Coverage};
use crate::list::Place;
use crate::version::{Rank, Versioning};
use crate::{Bucket, BucketName, Object, ObjectKey, Part, Tags, Upload, UploadRef, VersionId};

pub use named::{NamedBlob, each_named_blob};
pub(crate) use versions::*;

const INSERT_BUCKET: &str =
    "INSERT INTO buckets (name, owner, region, created_at) VALUES ($1, $2, $3, $4)";
const BUCKET: &str = "SELECT name, owner, region, created_at, versioning, tags FROM buckets
    WHERE name = $1";
const BUCKETS: &str = "SELECT name, owner, region, created_at, versioning, tags FROM buckets
    ORDER BY name";
const SET_VERSIONING: &str = "UPDATE buckets SET versioning = $2 WHERE name = $1";
const SET_BUCKET_TAGS: &str = "UPDATE buckets SET tags = $2 WHERE name = $1";
const DELETE_BUCKET: &str = "DELETE FROM buckets WHERE name = $1";
const HOLDS_OBJECT: &str = "SELECT 1 FROM objects WHERE bucket = $1 LIMIT 1";

const OBJECT: &str = "SELECT object_key, content_id, part_count, size, etag, checksum, modified_at,
    attributes, version_id, version_rank FROM objects WHERE bucket = $1 AND object_key = $2";
const PUT_OBJECT: &str = "INSERT INTO objects (bucket, object_key, content_id, part_count, size,
    etag, checksum, modified_at, attributes, version_id, version_rank)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (bucket, object_key) DO UPDATE SET content_id = excluded.content_id,
    part_count = excluded.part_count, size = excluded.size, etag = excluded.etag,
    checksum = excluded.checksum, modified_at = excluded.modified_at,
    attributes = excluded.attributes, version_id = excluded.version_id,
    version_rank = excluded.version_rank";
const DELETE_OBJECT: &str = "DELETE FROM objects WHERE bucket = $1 AND object_key = $2";
/// The upper bound is a parameter of its own statement so that both use the primary key's range.
pub(crate) const SCAN_TO: &str = "SELECT object_key, content_id, part_count, size, etag, checksum,
    modified_at, '{}', version_id, version_rank FROM objects
    WHERE bucket = $1 AND object_key >= $2 AND object_key < $4 ORDER BY object_key LIMIT $3";
pub(crate) const SCAN: &str = "SELECT object_key, content_id, part_count, size, etag, checksum,
    modified_at, '{}', version_id, version_rank FROM objects
    WHERE bucket = $1 AND object_key >= $2 ORDER BY object_key LIMIT $3";

const INSERT_UPLOAD: &str = "INSERT INTO uploads (id, bucket, object_key, initiated_at, checksum,
    attributes) VALUES ($1, $2, $3, $4, $5, $6)";
const UPLOAD: &str = "SELECT id, object_key, initiated_at, checksum, attributes FROM uploads
    WHERE id = $1 AND bucket = $2 AND object_key = $3";
pub(crate) const UPLOADS: &str =
    "SELECT id, object_key, initiated_at, checksum, attributes FROM uploads
    WHERE bucket = $1 AND (object_key, id) >= ($2, $3) ORDER BY object_key, id LIMIT $4";
const OLD_UPLOADS: &str = "SELECT bucket, object_key, id FROM uploads
    WHERE initiated_at < $1 ORDER BY initiated_at, id LIMIT $2";
const UPLOADS_OF_BUCKET: &str = "SELECT bucket, object_key, id FROM uploads
    WHERE bucket = $1 ORDER BY object_key, id LIMIT $2";
const DELETE_UPLOAD: &str = "DELETE FROM uploads WHERE id = $1";

const PUT_PART: &str = "INSERT INTO object_parts (content_id, part_number, blob_id, size, etag,
    checksum, modified_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (content_id, part_number) DO UPDATE SET blob_id = excluded.blob_id,
    size = excluded.size, etag = excluded.etag, checksum = excluded.checksum,
    modified_at = excluded.modified_at";
const PARTS: &str = "SELECT part_number, blob_id, size, etag, checksum, modified_at
    FROM object_parts WHERE content_id = $1 AND part_number > $2 ORDER BY part_number LIMIT $3";
const DELETE_PART: &str = "DELETE FROM object_parts WHERE content_id = $1 AND part_number = $2";
const DELETE_PARTS: &str = "DELETE FROM object_parts WHERE content_id = $1";

const SET_ASIDE: &str = "INSERT INTO unnamed_blobs (blob_id, since) VALUES ($1, $2)
    ON CONFLICT (blob_id) DO NOTHING";
const ASIDE: &str = "SELECT blob_id FROM unnamed_blobs WHERE since < $1 AND blob_id > $2
    ORDER BY blob_id LIMIT $3";
const FORGET_ASIDE: &str = "DELETE FROM unnamed_blobs WHERE blob_id = $1";
const PUT_SMALL: &str = "INSERT INTO small_blobs (blob_id, bytes) VALUES ($1, $2)";
const SMALL: &str = "SELECT bytes FROM small_blobs WHERE blob_id = $1";
const DELETE_SMALL: &str = "DELETE FROM small_blobs WHERE blob_id = $1";

const NAMED_BY_OBJECT: &str = "SELECT 1 FROM objects WHERE content_id = $1 AND part_count = 0";
const NAMED_BY_VERSION: &str =
    "SELECT 1 FROM object_versions WHERE content_id = $1 AND part_count = 0";
const NAMED_BY_PART: &str = "SELECT 1 FROM object_parts WHERE blob_id = $1";

/// Part numbers end here, as S3 has it.
pub(crate) const PARTS_MAX: u32 = 10_000;

pub(crate) fn insert_bucket(tx: &mut Tx<'_>, bucket: &Bucket) -> Result<(), MetaError> {
    let Bucket {
        name,
        owner,
        region,
        created_at,
        ..
    } = bucket;
    tx.execute(
        INSERT_BUCKET,
        params![name.as_str(), owner, region, *created_at],
    )?;
    Ok(())
}

pub(crate) fn bucket(reader: &Reader<'_>, name: &BucketName) -> Result<Option<Bucket>, MetaError> {
    reader.query_one(BUCKET, params![name.as_str()], read_bucket)
}

pub(crate) fn buckets(reader: &Reader<'_>) -> Result<Vec<Bucket>, MetaError> {
    reader.query(BUCKETS, params![], read_bucket)
}

pub(crate) fn delete_bucket(tx: &mut Tx<'_>, name: &BucketName) -> Result<(), MetaError> {
    tx.execute(DELETE_BUCKET, params![name.as_str()])?;
    Ok(())
}

/// Says whether a bucket keeps versions.
pub(crate) fn set_versioning(
    tx: &mut Tx<'_>,
    name: &BucketName,
    versioning: Versioning,
) -> Result<(), MetaError> {
    tx.execute(SET_VERSIONING, params![name.as_str(), versioning.as_str()])?;
    Ok(())
}

pub(crate) fn set_bucket_tags(
    tx: &mut Tx<'_>,
    name: &BucketName,
    tags: &Tags,
) -> Result<(), MetaError> {
    tx.execute(SET_BUCKET_TAGS, params![name.as_str(), to_json(tags)?])?;
    Ok(())
}

/// Whether a bucket holds an object or a version.
pub(crate) fn bucket_in_use(reader: &Reader<'_>, name: &BucketName) -> Result<bool, MetaError> {
    let object = reader.query_one(HOLDS_OBJECT, params![name.as_str()], |_| Ok(()))?;
    Ok(object.is_some() || keeps_versions(reader, name)?)
}

pub(crate) fn object(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Option<Object>, MetaError> {
    reader.query_one(OBJECT, params![bucket.as_str(), key.as_str()], read_object)
}

/// Writes an object's row, replacing the one that has its key.
pub(crate) fn put_object(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    object: &Object,
) -> Result<(), MetaError> {
    tx.execute(
        PUT_OBJECT,
        params![
            bucket.as_str(),
            object.key.as_str(),
            object.content_id.as_str(),
            object.part_count,
            integer(object.size),
            &object.etag,
            object.checksum.as_ref().map(Checksum::to_string),
            object.modified_at,
            to_json(&object.attributes)?,
            object.version_text(),
            object.rank.as_str(),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_object(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<(), MetaError> {
    tx.execute(DELETE_OBJECT, params![bucket.as_str(), key.as_str()])?;
    Ok(())
}

/// Lets go of an object's bytes: forgets its parts, and names the blobs to be deleted.
pub(crate) fn release(tx: &mut Tx<'_>, object: &Object) -> Result<Vec<BlobId>, MetaError> {
    let id = &object.content_id;
    if object.part_count != 0 {
        return release_parts(tx, id);
    }
    let small = object.may_be_small() && 0 < tx.execute(DELETE_SMALL, params![id.as_str()])?;
    Ok(if small { Vec::new() } else { vec![id.clone()] })
}

/// Stores the bytes of a small blob with the row that names it.
pub(crate) fn put_small(tx: &mut Tx<'_>, id: &BlobId, bytes: &[u8]) -> Result<(), MetaError> {
    tx.execute(PUT_SMALL, params![id.as_str(), bytes])?;
    Ok(())
}

/// The bytes of a small blob; `None` if the blob lies in the blob store.
pub(crate) fn small(reader: &Reader<'_>, id: &BlobId) -> Result<Option<Vec<u8>>, MetaError> {
    reader.query_one(SMALL, params![id.as_str()], |row| row.get(0))
}

/// Forgets every part of an upload or object, and names the blobs to be deleted.
pub(crate) fn release_parts(tx: &mut Tx<'_>, id: &BlobId) -> Result<Vec<BlobId>, MetaError> {
    let parts = parts(tx, id, 0, PARTS_MAX)?;
    tx.execute(DELETE_PARTS, params![id.as_str()])?;
    Ok(parts.into_iter().map(|part| part.blob).collect())
}

/// At most `limit` objects with keys from `from` on and before `before`, without attributes.
pub(crate) fn scan(
    reader: &Reader<'_>,
    bucket: &BucketName,
    from: &str,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Object>, MetaError> {
    match before {
        Some(before) => {
            let params = params![bucket.as_str(), from, limit, before];
            reader.query(SCAN_TO, params, read_object)
        }
        None => reader.query(SCAN, params![bucket.as_str(), from, limit], read_object),
    }
}

pub(crate) fn insert_upload(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    upload: &Upload,
) -> Result<(), MetaError> {
    let checksum = upload.checksum.map(|(algorithm, coverage)| {
        let coverage = match coverage {
            Coverage::FullObject => "FULL_OBJECT",
            Coverage::Composite => "COMPOSITE",
        };
        format!("{}:{coverage}", algorithm.name())
    });
    tx.execute(
        INSERT_UPLOAD,
        params![
            upload.id.as_str(),
            bucket.as_str(),
            upload.key.as_str(),
            upload.initiated_at,
            checksum,
            to_json(&upload.attributes)?,
        ],
    )?;
    Ok(())
}

pub(crate) fn upload(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    id: &BlobId,
) -> Result<Option<Upload>, MetaError> {
    let params = params![id.as_str(), bucket.as_str(), key.as_str()];
    reader.query_one(UPLOAD, params, read_upload)
}

/// At most `limit` uploads from `from` on in the order of key and id.
pub(crate) fn uploads(
    reader: &Reader<'_>,
    bucket: &BucketName,
    from: &Place,
    limit: u32,
) -> Result<Vec<Upload>, MetaError> {
    reader.query(
        UPLOADS,
        params![
            bucket.as_str(),
            from.key.as_str(),
            from.within.as_str(),
            limit
        ],
        read_upload,
    )
}

/// The longest unfinished of the uploads that were begun before a time.
pub(crate) fn old_uploads(
    reader: &Reader<'_>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<UploadRef>, MetaError> {
    reader.query(OLD_UPLOADS, params![before, limit], read_upload_ref)
}

/// Unfinished uploads to a bucket.
pub(crate) fn uploads_of_bucket(
    reader: &Reader<'_>,
    bucket: &BucketName,
    limit: u32,
) -> Result<Vec<UploadRef>, MetaError> {
    let params = params![bucket.as_str(), limit];
    reader.query(UPLOADS_OF_BUCKET, params, read_upload_ref)
}

pub(crate) fn delete_upload(tx: &mut Tx<'_>, id: &BlobId) -> Result<(), MetaError> {
    tx.execute(DELETE_UPLOAD, params![id.as_str()])?;
    Ok(())
}

pub(crate) fn put_part(tx: &mut Tx<'_>, upload: &BlobId, part: &Part) -> Result<(), MetaError> {
    tx.execute(
        PUT_PART,
        params![
            upload.as_str(),
            part.number,
            part.blob.as_str(),
            integer(part.size),
            &part.etag,
            part.checksum.as_ref().map(Checksum::to_string),
            part.modified_at,
        ],
    )?;
    Ok(())
}

/// At most `limit` parts of an upload or object, in order, with numbers above `after`.
pub(crate) fn parts(
    reader: &Reader<'_>,
    content: &BlobId,
    after: u32,
    limit: u32,
) -> Result<Vec<Part>, MetaError> {
    reader.query(PARTS, params![content.as_str(), after, limit], read_part)
}

pub(crate) fn delete_part(tx: &mut Tx<'_>, content: &BlobId, number: u32) -> Result<(), MetaError> {
    tx.execute(DELETE_PART, params![content.as_str(), number])?;
    Ok(())
}

/// Whether a row names the blob.
pub(crate) fn is_named(reader: &Reader<'_>, blob: &BlobId) -> Result<bool, MetaError> {
    for sql in [NAMED_BY_OBJECT, NAMED_BY_PART, NAMED_BY_VERSION] {
        if reader
            .query_one(sql, params![blob.as_str()], |_| Ok(()))?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes a blob that no row names.
pub(crate) fn set_aside(tx: &mut Tx<'_>, blob: &BlobId, now: Timestamp) -> Result<(), MetaError> {
    tx.execute(SET_ASIDE, params![blob.as_str(), now])?;
    Ok(())
}

/// Blobs noted before a time, in order from the name after `after`, and whether a row names each
/// after all.
pub(crate) fn set_aside_before(
    reader: &Reader<'_>,
    time: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<(BlobId, bool)>, MetaError> {
    let noted = reader.query(ASIDE, params![time, after, limit], |row| {
        blob_id(&row.get::<String>(0)?)
    })?;
    let mut found = Vec::with_capacity(noted.len());
    for blob in noted {
        let named = is_named(reader, &blob)?;
        found.push((blob, named));
    }
    Ok(found)
}

/// Removes the note of a blob.
pub(crate) fn forget_aside(tx: &mut Tx<'_>, blob: &BlobId) -> Result<(), MetaError> {
    tx.execute(FORGET_ASIDE, params![blob.as_str()])?;
    Ok(())
}

fn read_bucket(row: &Row<'_>) -> Result<Bucket, MetaError> {
    Ok(Bucket {
        name: parsed("bucket name", &row.get::<String>(0)?)?,
        owner: row.get(1)?,
        region: row.get(2)?,
        created_at: row.get(3)?,
        versioning: Versioning::parse(&row.get::<String>(4)?)
            .ok_or_else(|| unreadable("versioning", &"it is none of its states"))?,
        tags: from_json::<BTreeMap<_, _>>(&row.get::<String>(5)?)?,
    })
}

fn read_object(row: &Row<'_>) -> Result<Object, MetaError> {
    Ok(Object {
        key: parsed("object key", &row.get::<String>(0)?)?,
        content_id: blob_id(&row.get::<String>(1)?)?,
        part_count: row.get(2)?,
        size: row.get(3)?,
        etag: row.get(4)?,
        checksum: read_checksum(row.get(5)?)?,
        modified_at: row.get::<Timestamp>(6)?,
        attributes: from_json(&row.get::<String>(7)?)?,
        version: Some(parsed::<VersionId>("version", &row.get::<String>(8)?)?),
        rank: Rank::from(row.get::<String>(9)?),
    })
}

fn read_upload(row: &Row<'_>) -> Result<Upload, MetaError> {
    let checksum: Option<String> = row.get(3)?;
    Ok(Upload {
        id: blob_id(&row.get::<String>(0)?)?,
        key: parsed("object key", &row.get::<String>(1)?)?,
        initiated_at: row.get(2)?,
        checksum: checksum.as_deref().map(read_upload_checksum).transpose()?,
        attributes: from_json(&row.get::<String>(4)?)?,
    })
}

fn read_upload_ref(row: &Row<'_>) -> Result<UploadRef, MetaError> {
    Ok(UploadRef {
        bucket: parsed("bucket", &row.get::<String>(0)?)?,
        key: parsed("key", &row.get::<String>(1)?)?,
        upload_id: row.get(2)?,
    })
}

fn read_upload_checksum(text: &str) -> Result<(Algorithm, Coverage), MetaError> {
    let (algorithm, coverage) = text.split_once(':').unwrap_or((text, ""));
    let coverage = match coverage {
        "COMPOSITE" => Coverage::Composite,
        _ => Coverage::FullObject,
    };
    Ok((parsed("checksum algorithm", algorithm)?, coverage))
}

fn read_part(row: &Row<'_>) -> Result<Part, MetaError> {
    Ok(Part {
        number: row.get(0)?,
        blob: blob_id(&row.get::<String>(1)?)?,
        size: row.get(2)?,
        etag: row.get(3)?,
        checksum: read_checksum(row.get(4)?)?,
        modified_at: row.get(5)?,
    })
}

fn read_checksum(text: Option<String>) -> Result<Option<Checksum>, MetaError> {
    text.map(|text| parsed("checksum", &text)).transpose()
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
    what: &'static str,
    text: &str,
) -> Result<T, MetaError> {
    text.parse()
        .map_err(|error: T::Err| unreadable(what, &error))
}

fn blob_id(text: &str) -> Result<BlobId, MetaError> {
    BlobId::parse(text).ok_or_else(|| unreadable("blob name", &text))
}

fn to_json(attributes: &impl Serialize) -> Result<String, MetaError> {
    serde_json::to_string(attributes).map_err(|error| unreadable("attributes", &error))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, MetaError> {
    serde_json::from_str(text).map_err(|error| unreadable("attributes", &error))
}

fn unreadable(what: &'static str, reason: &dyn std::fmt::Display) -> MetaError {
    MetaError::Stored {
        what,
        reason: reason.to_string(),
    }
}

/// A size as the store's whole number; none of ours comes near the bound.
fn integer(size: u64) -> Value {
    Value::from(i64::try_from(size).unwrap_or(i64::MAX))
}
