//! The SQL of versions that are not their keys' objects.

use sightline_meta::{MetaError, Reader, Row, Tx, params};

use super::{integer, parsed, read_object, to_json};
use crate::checksum::Checksum;
use crate::list::Place;
use crate::version::{Rank, Version};
use crate::{BucketName, Object, ObjectKey, VersionId};

const BY_ID: &str = "SELECT object_key, content_id, part_count, size, etag, checksum, modified_at,
    attributes, version_id, version_rank FROM object_versions
    WHERE bucket = $1 AND object_key = $2 AND version_id = $3";
const NEWEST: &str = "SELECT object_key, content_id, part_count, size, etag, checksum, modified_at,
    attributes, version_id, version_rank FROM object_versions
    WHERE bucket = $1 AND object_key = $2 ORDER BY version_rank LIMIT 1";
const BY_CONTENT: &str = "SELECT object_key, content_id, part_count, size, etag, checksum,
    modified_at, attributes, version_id, version_rank FROM object_versions
    WHERE content_id = $1 LIMIT 1";
const INSERT: &str = "INSERT INTO object_versions (bucket, object_key, version_rank, version_id,
    content_id, part_count, size, etag, checksum, modified_at, attributes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const DELETE: &str = "DELETE FROM object_versions
    WHERE bucket = $1 AND object_key = $2 AND version_rank = $3";
const SET_ATTRIBUTES: &str = "UPDATE object_versions SET attributes = $4
    WHERE bucket = $1 AND object_key = $2 AND version_rank = $3";
const HOLDS_VERSION: &str = "SELECT 1 FROM object_versions WHERE bucket = $1 LIMIT 1";
/// Both seek in a primary key; the versions of a page are merged from them.
pub(crate) const SCAN_KEPT: &str =
    "SELECT object_key, content_id, part_count, size, etag, checksum,
    modified_at, '{}', version_id, version_rank FROM object_versions
    WHERE bucket = $1 AND (object_key, version_rank) >= ($2, $3)
    ORDER BY object_key, version_rank LIMIT $4";
pub(crate) const SCAN_CURRENT: &str = "SELECT object_key, content_id, part_count, size, etag,
    checksum, modified_at, '{}', version_id, version_rank FROM objects
    WHERE bucket = $1 AND (object_key, version_rank) >= ($2, $3)
    ORDER BY object_key LIMIT $4";

/// The version of this name among those that are not their key's object.
pub(crate) fn kept_version(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    id: &VersionId,
) -> Result<Option<Version>, MetaError> {
    let params = params![bucket.as_str(), key.as_str(), id.as_str()];
    reader.query_one(BY_ID, params, read_version)
}

/// The newest of a key's versions but its object.
pub(crate) fn newest_kept(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Option<Version>, MetaError> {
    reader.query_one(NEWEST, params![bucket.as_str(), key.as_str()], read_version)
}

/// The kept version with this content.
pub(crate) fn kept_with_content(
    reader: &Reader<'_>,
    content: &str,
) -> Result<Option<Version>, MetaError> {
    reader.query_one(BY_CONTENT, params![content], read_version)
}

/// Keeps an object that is its key's no longer.
pub(crate) fn keep_version(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    object: &Object,
) -> Result<(), MetaError> {
    tx.execute(
        INSERT,
        params![
            bucket.as_str(),
            object.key.as_str(),
            object.rank.as_str(),
            object.version_text(),
            object.content_id.as_str(),
            object.part_count,
            integer(object.size),
            &object.etag,
            object.checksum.as_ref().map(Checksum::to_string),
            object.modified_at,
            to_json(&object.attributes)?,
        ],
    )?;
    Ok(())
}

/// Writes a delete marker.
pub(crate) fn put_marker(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    marker: &Version,
) -> Result<(), MetaError> {
    tx.execute(
        INSERT,
        params![
            bucket.as_str(),
            marker.key.as_str(),
            marker.rank.as_str(),
            marker.id.as_str(),
            "",
            0_u32,
            integer(0),
            "",
            None::<String>,
            marker.modified_at,
            "{}",
        ],
    )?;
    Ok(())
}

/// Forgets a version that is not its key's object.
pub(crate) fn delete_kept(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    rank: &Rank,
) -> Result<(), MetaError> {
    tx.execute(
        DELETE,
        params![bucket.as_str(), key.as_str(), rank.as_str()],
    )?;
    Ok(())
}

/// Changes what is said of a version that is not its key's object.
pub(crate) fn set_kept_attributes(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    object: &Object,
) -> Result<(), MetaError> {
    let attributes = to_json(&object.attributes)?;
    let (key, rank) = (object.key.as_str(), object.rank.as_str());
    tx.execute(
        SET_ATTRIBUTES,
        params![bucket.as_str(), key, rank, attributes],
    )?;
    Ok(())
}

/// Whether a bucket keeps anything beside its keys' objects.
pub(crate) fn keeps_versions(reader: &Reader<'_>, bucket: &BucketName) -> Result<bool, MetaError> {
    let found = reader.query_one(HOLDS_VERSION, params![bucket.as_str()], |_| Ok(()))?;
    Ok(found.is_some())
}

/// At most `limit` versions from `from` on in the order of key and rank, without attributes.
pub(crate) fn scan_versions(
    reader: &Reader<'_>,
    bucket: &BucketName,
    from: &Place,
    limit: u32,
) -> Result<Vec<Version>, MetaError> {
    let scan = |sql| {
        let params = params![
            bucket.as_str(),
            from.key.as_str(),
            from.within.as_str(),
            limit
        ];
        reader.query(sql, params, read_version)
    };
    let mut rows: Vec<Version> = scan(SCAN_CURRENT)?;
    rows.extend(scan(SCAN_KEPT)?);
    rows.sort_by(|a, b| (&a.key, &a.rank).cmp(&(&b.key, &b.rank)));
    rows.truncate(limit as usize);
    Ok(rows)
}

fn read_version(row: &Row<'_>) -> Result<Version, MetaError> {
    let is_marker = row.get::<String>(1)?.is_empty();
    Ok(Version {
        key: parsed("object key", &row.get::<String>(0)?)?,
        id: parsed("version", &row.get::<String>(8)?)?,
        modified_at: row.get(6)?,
        latest: false,
        object: match is_marker {
            true => None,
            false => Some(Box::new(read_object(row)?)),
        },
        rank: Rank::from(row.get::<String>(9)?),
    })
}
