//! The SQL of log groups, streams and lines.

use sightline_meta::{MetaError, Reader, Row, Tx, params};
use sightline_types::{Page, Timestamp};

use crate::writer::LogLine;

const INSERT_GROUP: &str = "INSERT INTO log_groups (name, created_at) VALUES ($1, $2)
    ON CONFLICT (name) DO NOTHING";
const NEXT_STREAM_ID: &str = "SELECT coalesce(max(id), 0) + 1 FROM log_streams";
const INSERT_STREAM: &str = "INSERT INTO log_streams
    (id, group_name, name, created_at, next_seq, stored_bytes) VALUES ($1, $2, $3, $4, 0, 0)";
const STREAM: &str = "SELECT id, name, created_at, first_event_at, last_event_at,
    last_ingested_at, next_seq, stored_bytes FROM log_streams WHERE group_name = $1 AND name = $2";
const STREAM_BY_ID: &str = "SELECT id, name, created_at, first_event_at, last_event_at,
    last_ingested_at, next_seq, stored_bytes FROM log_streams WHERE id = $1";
const INSERT_EVENT: &str = "INSERT INTO log_events (stream_id, seq, at, ingested_at, message)
    VALUES ($1, $2, $3, $4, $5)";
const ADVANCE_STREAM: &str = "UPDATE log_streams SET
    first_event_at = coalesce(first_event_at, $2), last_event_at = $3, last_ingested_at = $4,
    next_seq = $5, stored_bytes = $6 WHERE id = $1";
const GROUPS: &str = "SELECT g.name, g.created_at, coalesce((SELECT sum(s.stored_bytes)
    FROM log_streams s WHERE s.group_name = g.name), 0) FROM log_groups g
    WHERE g.name > $1 AND substr(g.name, 1, length($2)) = $2 ORDER BY g.name LIMIT $3";
const GROUP_EXISTS: &str = "SELECT 1 FROM log_groups WHERE name = $1";

/// A named collection of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name, such as `/aws/sagemaker/TrainingJobs`.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Bytes of all its lines.
    pub stored_bytes: u64,
}

/// The lines of one printing thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    pub(crate) id: i64,
    /// Its name within the group, such as `job/algo-1-1795460689`.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Time of the first line; `None` while there is none.
    pub first_event_at: Option<Timestamp>,
    /// Time of the last line.
    pub last_event_at: Option<Timestamp>,
    /// When the last line was stored.
    pub last_ingested_at: Option<Timestamp>,
    /// The position after the last line.
    pub(crate) next_seq: i64,
    /// Bytes of its lines.
    pub stored_bytes: u64,
}

/// One stored line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    pub(crate) seq: i64,
    /// When it was printed.
    pub at: Timestamp,
    /// When it was stored.
    pub ingested_at: Timestamp,
    /// The line, without its break.
    pub message: String,
}

pub(crate) fn open_stream(
    tx: &mut Tx<'_>,
    group: &str,
    stream: &str,
    now: Timestamp,
) -> Result<LogStream, MetaError> {
    if let Some(found) = self::stream(tx, group, stream)? {
        return Ok(found);
    }
    tx.execute(INSERT_GROUP, params![group, now])?;
    let id: i64 = tx
        .query_one(NEXT_STREAM_ID, params![], |row| row.get(0))?
        .unwrap_or(1);
    tx.execute(INSERT_STREAM, params![id, group, stream, now])?;
    Ok(LogStream {
        id,
        name: stream.to_owned(),
        created_at: now,
        first_event_at: None,
        last_event_at: None,
        last_ingested_at: None,
        next_seq: 0,
        stored_bytes: 0,
    })
}

/// Appends lines to a stream. A line's time is moved up to that of the line before it.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    stream_id: i64,
    lines: &[LogLine],
    now: Timestamp,
) -> Result<(), MetaError> {
    let stream = tx.query_one(STREAM_BY_ID, params![stream_id], read_stream)?;
    let (Some(stream), Some(first)) = (stream, lines.first()) else {
        return Ok(());
    };
    let mut at = stream.last_event_at.unwrap_or(first.at);
    let first_at = first.at.max(at);
    let (mut seq, mut bytes) = (stream.next_seq, stream.stored_bytes);
    for line in lines {
        at = at.max(line.at);
        tx.execute(INSERT_EVENT, params![stream_id, seq, at, now, &line.text])?;
        seq += 1;
        bytes += line.text.len() as u64;
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    tx.execute(
        ADVANCE_STREAM,
        params![stream_id, first_at, at, now, seq, bytes],
    )?;
    Ok(())
}

pub(crate) fn group_exists(reader: &Reader<'_>, group: &str) -> Result<bool, MetaError> {
    Ok(reader
        .query_one(GROUP_EXISTS, params![group], |_| Ok(()))?
        .is_some())
}

pub(crate) fn stream(
    reader: &Reader<'_>,
    group: &str,
    stream: &str,
) -> Result<Option<LogStream>, MetaError> {
    reader.query_one(STREAM, params![group, stream], read_stream)
}

pub(crate) fn groups(
    reader: &Reader<'_>,
    prefix: &str,
    after: &str,
    limit: u32,
) -> Result<Page<LogGroup>, MetaError> {
    let wanted = i64::from(limit) + 1;
    let mut items = reader.query(GROUPS, params![after, prefix, wanted], |row| {
        Ok(LogGroup {
            name: row.get(0)?,
            created_at: row.get(1)?,
            stored_bytes: row.get(2)?,
        })
    })?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_token = items
        .last()
        .filter(|_| more)
        .map(|group| group.name.clone());
    Ok(Page { items, next_token })
}

pub(crate) fn read_stream(row: &Row<'_>) -> Result<LogStream, MetaError> {
    Ok(LogStream {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        first_event_at: row.get(3)?,
        last_event_at: row.get(4)?,
        last_ingested_at: row.get(5)?,
        next_seq: row.get(6)?,
        stored_bytes: row.get(7)?,
    })
}
