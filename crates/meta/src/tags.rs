//! Tags: up to fifty names with values on any resource.

use sightline_types::Arn;

use crate::{MetaError, Reader, Tx, params};

/// Tags that one resource can carry, as AWS limits them.
pub const TAGS_MAX: usize = 50;

const PUT: &str = "INSERT INTO tags (arn, tag_key, tag_value) VALUES ($1, $2, $3)
    ON CONFLICT (arn, tag_key) DO UPDATE SET tag_value = excluded.tag_value";
const DELETE: &str = "DELETE FROM tags WHERE arn = $1 AND tag_key = $2";
const COUNT: &str = "SELECT count(*) FROM tags WHERE arn = $1";
const LIST: &str = "SELECT tag_key, tag_value FROM tags WHERE arn = $1 AND tag_key > $2
    ORDER BY tag_key LIMIT $3";

/// Why tags could not be put.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// The resource would carry more than [`TAGS_MAX`] tags.
    #[error("a resource carries at most {TAGS_MAX} tags, this one would have {0}")]
    TooMany(i64),
    /// The store failed.
    #[error("could not store tags")]
    Meta(#[from] MetaError),
}

/// Adds `tags` to the resource, replacing the values of those it has already.
pub fn put(tx: &mut Tx<'_>, arn: &Arn, tags: &[(String, String)]) -> Result<(), TagError> {
    for (key, value) in tags {
        tx.execute(PUT, params![arn.as_str(), key, value])?;
    }
    let count: Option<i64> = tx.query_one(COUNT, params![arn.as_str()], |row| row.get(0))?;
    match count {
        Some(count) if count > TAGS_MAX as i64 => Err(TagError::TooMany(count)),
        _ => Ok(()),
    }
}

/// Removes the tags with these keys; absent ones are not missed.
pub fn delete(tx: &mut Tx<'_>, arn: &Arn, keys: &[String]) -> Result<(), MetaError> {
    for key in keys {
        tx.execute(DELETE, params![arn.as_str(), key])?;
    }
    Ok(())
}

/// Up to `limit` tags of the resource in the order of their keys, from the key after `after`.
pub fn list(
    reader: &Reader<'_>,
    arn: &Arn,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, String)>, MetaError> {
    reader.query(LIST, params![arn.as_str(), after, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}
