//! The tables of the trail.

use sightline_meta::outbox::Head;
use sightline_meta::{MetaError, Reader, Row, Tx, params};
use sightline_types::Timestamp;

use crate::keys::PublicKey;

/// Log files that one digest lists at most; further ones go into the next.
const FILES_OF_A_DIGEST_MAX: u32 = 10_000;

const OPEN: &str = "INSERT INTO trail
    (created_at, delivered_seq, delivered_chain, delivered_at, digested_until)
    VALUES ($1, 0, $2, NULL, $3)";
const STATE: &str = "SELECT created_at, delivered_seq, delivered_chain, delivered_at,
    digested_until FROM trail";
const DELIVER: &str = "UPDATE trail SET delivered_seq = $1, delivered_chain = $2,
    delivered_at = $3 WHERE delivered_seq = $4";
const INSERT_FILE: &str = "INSERT INTO trail_files
    (first_seq, last_seq, object_key, hash, chain, oldest, newest)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FILE_COLUMNS: &str = "SELECT first_seq, last_seq, object_key, hash, object_hash, chain,
    oldest, newest FROM trail_files";
const FILE_STORED: &str = "UPDATE trail_files SET object_hash = $2 WHERE first_seq = $1";
const FILE_DIGESTED: &str = "UPDATE trail_files SET digest_end = $2
    WHERE first_seq = $1 AND digest_end IS NULL";
const DIGESTED: &str = "UPDATE trail SET digested_until = $1 WHERE digested_until = $2";
const INSERT_DIGEST: &str = "INSERT INTO trail_digests
    (end_at, start_at, object_key, hash, signature, body) VALUES ($1, $2, $3, $4, $5, $6)";
const DIGEST_COLUMNS: &str = "SELECT end_at, start_at, object_key, hash, object_hash, signature,
    body FROM trail_digests";
const DIGEST_STORED: &str =
    "UPDATE trail_digests SET object_hash = $2, body = NULL WHERE end_at = $1";
const FIRST_UNDIGESTED: &str = "SELECT min(first_seq) FROM trail_files WHERE digest_end IS NULL";
const FIRST_UNSIGNED: &str = "SELECT min(first_seq) FROM trail_files WHERE digest_end IN
    (SELECT end_at FROM trail_digests WHERE object_hash IS NULL)";
const KEYS: &str = "SELECT fingerprint, public_key, valid_from, valid_until FROM trail_keys
    ORDER BY valid_from DESC, fingerprint";
const INSERT_KEY: &str = "INSERT INTO trail_keys
    (fingerprint, public_key, valid_from, valid_until) VALUES ($1, $2, $3, NULL)";
const END_KEY: &str = "UPDATE trail_keys SET valid_until = $2 WHERE fingerprint = $1";

/// How far the trail is.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) created_at: Timestamp,
    /// The last event that is in a log file, or on its way into one.
    pub(crate) delivered: Head,
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) digested_until: Timestamp,
}

/// A log file.
#[derive(Clone, Debug)]
pub(crate) struct FileRow {
    pub(crate) first_seq: i64,
    pub(crate) last_seq: i64,
    pub(crate) object_key: String,
    pub(crate) hash: String,
    /// There once the file is in the bucket.
    pub(crate) object_hash: Option<String>,
    pub(crate) chain: String,
    pub(crate) oldest: String,
    pub(crate) newest: String,
}

/// A digest file.
#[derive(Clone, Debug)]
pub(crate) struct DigestRow {
    pub(crate) end_at: Timestamp,
    pub(crate) start_at: Timestamp,
    pub(crate) object_key: String,
    pub(crate) hash: String,
    /// There once the file is in the bucket.
    pub(crate) object_hash: Option<String>,
    pub(crate) signature: String,
    /// There until the file is in the bucket.
    pub(crate) body: Option<String>,
}

pub(crate) fn state(reader: &Reader<'_>) -> Result<Option<State>, MetaError> {
    let found = reader.query_one(STATE, params![], |row| {
        let (seq, chain): (i64, String) = (row.get(1)?, row.get(2)?);
        Ok(State {
            created_at: row.get(0)?,
            delivered: Head::stored(seq, &chain)?,
            delivered_at: row.get(3)?,
            digested_until: row.get(4)?,
        })
    })?;
    Ok(found)
}

/// Begins the trail, unless it has begun.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    now: Timestamp,
    digests_from: Timestamp,
) -> Result<(), MetaError> {
    if state(tx)?.is_none() {
        let genesis = hex::encode(Head::GENESIS.hash);
        tx.execute(OPEN, params![now, genesis, digests_from])?;
    }
    Ok(())
}

/// Notes a log file that takes up after `before`; says no if another server was faster.
pub(crate) fn begin_file(
    tx: &mut Tx<'_>,
    file: &FileRow,
    before: i64,
    now: Timestamp,
) -> Result<bool, MetaError> {
    let advance = params![file.last_seq, &file.chain, now, before];
    if tx.execute(DELIVER, advance)? == 0 {
        return Ok(false);
    }
    tx.execute(
        INSERT_FILE,
        params![
            file.first_seq,
            file.last_seq,
            &file.object_key,
            &file.hash,
            &file.chain,
            &file.oldest,
            &file.newest,
        ],
    )?;
    Ok(true)
}

/// Notes that a log file is in the bucket with these compressed bytes.
pub(crate) fn end_file(
    tx: &mut Tx<'_>,
    first_seq: i64,
    object_hash: &str,
) -> Result<(), MetaError> {
    tx.execute(FILE_STORED, params![first_seq, object_hash])?;
    Ok(())
}

/// Notes a digest over `files`; says no if another server was faster.
pub(crate) fn begin_digest(
    tx: &mut Tx<'_>,
    digest: &DigestRow,
    files: &[i64],
) -> Result<bool, MetaError> {
    if tx.execute(DIGESTED, params![digest.end_at, digest.start_at])? == 0 {
        return Ok(false);
    }
    for first_seq in files {
        tx.execute(FILE_DIGESTED, params![*first_seq, digest.end_at])?;
    }
    tx.execute(
        INSERT_DIGEST,
        params![
            digest.end_at,
            digest.start_at,
            &digest.object_key,
            &digest.hash,
            &digest.signature,
            digest.body.as_deref(),
        ],
    )?;
    Ok(true)
}

/// Notes that a digest is in the bucket with these compressed bytes.
pub(crate) fn end_digest(
    tx: &mut Tx<'_>,
    end: Timestamp,
    object_hash: &str,
) -> Result<(), MetaError> {
    tx.execute(DIGEST_STORED, params![end, object_hash])?;
    Ok(())
}

/// Log files that are not in the bucket for certain.
pub(crate) fn unfinished_files(reader: &Reader<'_>) -> Result<Vec<FileRow>, MetaError> {
    let sql = format!("{FILE_COLUMNS} WHERE object_hash IS NULL ORDER BY first_seq");
    reader.query(&sql, params![], read_file)
}

/// Log files in the bucket that no digest lists.
pub(crate) fn undigested_files(reader: &Reader<'_>) -> Result<Vec<FileRow>, MetaError> {
    let sql = format!(
        "{FILE_COLUMNS} WHERE digest_end IS NULL AND object_hash IS NOT NULL
         ORDER BY first_seq LIMIT $1"
    );
    reader.query(&sql, params![FILES_OF_A_DIGEST_MAX], read_file)
}

/// The log files that a digest lists.
pub(crate) fn files_of_digest(
    reader: &Reader<'_>,
    end: Timestamp,
) -> Result<Vec<FileRow>, MetaError> {
    let sql = format!("{FILE_COLUMNS} WHERE digest_end = $1 ORDER BY first_seq");
    reader.query(&sql, params![end], read_file)
}

/// The last event that is in the bucket together with the signed digest of its log file.
pub(crate) fn proved_seq(reader: &Reader<'_>) -> Result<i64, MetaError> {
    let Some(state) = state(reader)? else {
        return Ok(0);
    };
    let first = |sql| -> Result<Option<i64>, MetaError> {
        let found: Option<Option<i64>> = reader.query_one(sql, params![], |row| row.get(0))?;
        Ok(found.flatten())
    };
    let unproved = [first(FIRST_UNDIGESTED)?, first(FIRST_UNSIGNED)?];
    let first = unproved.into_iter().flatten().min();
    Ok(first.map_or(state.delivered.seq, |seq| seq.saturating_sub(1)))
}

/// Log files from the one that holds `seq` or comes after it.
pub(crate) fn files_from(
    reader: &Reader<'_>,
    seq: i64,
    limit: u32,
) -> Result<Vec<FileRow>, MetaError> {
    let sql = format!("{FILE_COLUMNS} WHERE last_seq >= $1 ORDER BY first_seq LIMIT $2");
    reader.query(&sql, params![seq, limit], read_file)
}

/// Digests that are not in the bucket for certain.
pub(crate) fn unfinished_digests(reader: &Reader<'_>) -> Result<Vec<DigestRow>, MetaError> {
    let sql = format!("{DIGEST_COLUMNS} WHERE object_hash IS NULL ORDER BY end_at");
    reader.query(&sql, params![], read_digest)
}

/// Digests whose periods end after `after`, the oldest first.
pub(crate) fn digests_after(
    reader: &Reader<'_>,
    after: Timestamp,
    limit: u32,
) -> Result<Vec<DigestRow>, MetaError> {
    let sql = format!("{DIGEST_COLUMNS} WHERE end_at > $1 ORDER BY end_at LIMIT $2");
    reader.query(&sql, params![after, limit], read_digest)
}

/// The digest before which there will be no other.
pub(crate) fn last_digest(reader: &Reader<'_>) -> Result<Option<DigestRow>, MetaError> {
    let sql = format!("{DIGEST_COLUMNS} ORDER BY end_at DESC LIMIT 1");
    reader.query_one(&sql, params![], read_digest)
}

fn read_file(row: &Row<'_>) -> Result<FileRow, MetaError> {
    Ok(FileRow {
        first_seq: row.get(0)?,
        last_seq: row.get(1)?,
        object_key: row.get(2)?,
        hash: row.get(3)?,
        object_hash: row.get(4)?,
        chain: row.get(5)?,
        oldest: row.get(6)?,
        newest: row.get(7)?,
    })
}

fn read_digest(row: &Row<'_>) -> Result<DigestRow, MetaError> {
    Ok(DigestRow {
        end_at: row.get(0)?,
        start_at: row.get(1)?,
        object_key: row.get(2)?,
        hash: row.get(3)?,
        object_hash: row.get(4)?,
        signature: row.get(5)?,
        body: row.get(6)?,
    })
}

/// Every key, the newest first.
pub(crate) fn keys(reader: &Reader<'_>) -> Result<Vec<PublicKey>, MetaError> {
    reader.query(KEYS, params![], |row| {
        Ok(PublicKey {
            fingerprint: row.get(0)?,
            base64: row.get(1)?,
            valid_from: row.get(2)?,
            valid_until: row.get(3)?,
        })
    })
}

/// Adds a key that signs from now on, instead of `before` if there is one.
pub(crate) fn add_key(
    tx: &mut Tx<'_>,
    key: &PublicKey,
    before: Option<&str>,
) -> Result<(), MetaError> {
    if let Some(fingerprint) = before {
        tx.execute(END_KEY, params![fingerprint, key.valid_from])?;
    }
    let values = params![&key.fingerprint, &key.base64, key.valid_from];
    tx.execute(INSERT_KEY, values)?;
    Ok(())
}
