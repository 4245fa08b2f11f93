//! Facts about this installation that are fixed at first start, by name.

use crate::{MetaError, Reader, Tx, params};

const GET: &str = "SELECT value FROM settings WHERE name = $1";
const PUT: &str = "INSERT INTO settings (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// The value stored under `name`.
pub fn get(reader: &Reader<'_>, name: &str) -> Result<Option<String>, MetaError> {
    reader.query_one(GET, params![name], |row| row.get(0))
}

/// Stores `value` under `name`, replacing what was there.
pub fn put(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<(), MetaError> {
    tx.execute(PUT, params![name, value])?;
    Ok(())
}
