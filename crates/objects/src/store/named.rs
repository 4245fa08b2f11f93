//! Which blobs a store names, for copies of it.

use sightline_meta::{MetaError, Reader, params};
use sightline_ports::BlobId;

/// Rows read in one step.
const STEP_ROWS: i64 = 1_000;

const BY_OBJECTS: &str = "SELECT content_id, size, etag FROM objects
    WHERE content_id > $1 AND part_count = 0 ORDER BY content_id LIMIT $2";
const BY_VERSIONS: &str = "SELECT content_id, size, etag FROM object_versions
    WHERE content_id > $1 AND part_count = 0 ORDER BY content_id LIMIT $2";
const BY_PARTS: &str = "SELECT blob_id, size, etag FROM object_parts
    WHERE blob_id > $1 ORDER BY blob_id LIMIT $2";

/// Asked of copies only, which are always SQLite's.
const HAS_SMALL: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'small_blobs'";
const IS_SMALL: &str = "SELECT 1 FROM small_blobs WHERE blob_id = $1";

/// A blob that a row names, and what the row says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// The blob.
    pub id: BlobId,
    /// Its number of bytes.
    pub size: u64,
    /// The MD5 of its bytes in hexadecimal, where the row says it.
    pub md5: Option<String>,
}

/// Tells `tell` every blob of the blob store that a row of a copy names; some more than once.
/// Small ones lie in the copy itself; a store of an earlier release has none.
pub fn each_named_blob<E: From<MetaError>>(
    reader: &Reader<'_>,
    mut tell: impl FnMut(NamedBlob) -> Result<(), E>,
) -> Result<(), E> {
    let one = |row: &sightline_meta::Row<'_>| row.get::<i64>(0);
    let has_small = reader.query_one(HAS_SMALL, params![], one)?.is_some();
    for sql in [BY_OBJECTS, BY_VERSIONS, BY_PARTS] {
        let mut after = String::new();
        loop {
            let rows = reader.query(sql, params![after.as_str(), STEP_ROWS], |row| {
                Ok((
                    row.get::<String>(0)?,
                    row.get::<i64>(1)?,
                    row.get::<String>(2)?,
                ))
            })?;
            let Some((last, ..)) = rows.last() else { break };
            after.clone_from(last);
            for (id, size, etag) in rows {
                let small = has_small && reader.query_one(IS_SMALL, params![&id], one)?.is_some();
                if !small {
                    tell(named(&id, size, &etag)?)?;
                }
            }
        }
    }
    Ok(())
}

fn named(id: &str, size: i64, etag: &str) -> Result<NamedBlob, MetaError> {
    let wrong = |what: &str| MetaError::Stored {
        what: "blob",
        reason: format!("{id:?} has no {what}"),
    };
    let digest = etag.trim_matches('"');
    let is_md5 = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(NamedBlob {
        id: BlobId::parse(id).ok_or_else(|| wrong("readable name"))?,
        size: u64::try_from(size).map_err(|_| wrong("readable size"))?,
        md5: is_md5.then(|| digest.to_ascii_lowercase()),
    })
}
