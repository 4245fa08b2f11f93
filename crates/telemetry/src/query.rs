//! Reading logs by position and by time, as CloudWatch Logs' readers expect.
//!
//! A token is a position in the stream and nothing else: reading on from it gives the same lines
//! whatever times the request names, and at the end of the stream it comes back unchanged, by
//! which log tailers know that they have caught up.

use sightline_meta::{Reader, Row, Value, params};
use sightline_types::{Page, Timestamp};

use crate::Error;
use crate::store::{self, LogEvent, LogStream};

/// Lines on one page, as AWS limits them.
pub const EVENTS_MAX: u32 = 10_000;

/// Bytes of lines on one page, as AWS limits them.
const PAGE_BYTES_MAX: usize = 1_048_576;

/// What AWS counts for a line beside its text.
const EVENT_OVERHEAD_BYTES: usize = 26;

/// Lines read from the store at once: each may have 256 KiB.
const GROUP_LENGTH: u32 = 50;

/// Streams on one page when the prefix names one job: clients that ask for fewer loop for ever
/// on a token, and no job has more instances.
const STREAMS_OF_PREFIX_MAX: u32 = 1_000;

/// How streams are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOrder {
    /// By name.
    Name,
    /// By the time of the last line.
    LastEvent,
}

/// Which streams to list.
#[derive(Clone, Debug)]
pub struct StreamsQuery {
    /// The group to look in.
    pub group: String,
    /// Only names that begin with this.
    pub prefix: String,
    /// What to order by.
    pub order: StreamOrder,
    /// Whether to begin with the largest.
    pub descending: bool,
    /// Streams on a page; not applied to prefixes that end with `/`.
    pub limit: u32,
    /// The token of the page before.
    pub token: Option<String>,
}

/// From which end a first page is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The oldest lines first.
    FromHead,
    /// The newest lines, still given in the order they were printed.
    FromTail,
}

/// Where a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At an end of the stream.
    End(Direction),
    /// At a token of an earlier page.
    Token(String),
}

/// Which lines to read.
#[derive(Clone, Debug)]
pub struct EventsQuery {
    /// The group.
    pub group: String,
    /// The stream in it.
    pub stream: String,
    /// Where the page starts.
    pub start: Start,
    /// Only lines printed at or after this time.
    pub from: Option<Timestamp>,
    /// Only lines printed before this time.
    pub until: Option<Timestamp>,
    /// Lines on the page, up to [`EVENTS_MAX`].
    pub limit: u32,
}

/// A page of lines and the positions beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// The lines in the order they were printed.
    pub events: Vec<LogEvent>,
    /// Reads on after the last line.
    pub forward_token: String,
    /// Reads back before the first line.
    pub backward_token: String,
}

/// A page goes on from a position, or ends before one.
#[derive(Clone, Copy)]
enum Cursor {
    Forward(i64),
    Backward(i64),
}

impl Cursor {
    fn parse(token: &str) -> Result<Self, Error> {
        let (side, digits) = token.split_once('/').ok_or(Error::InvalidToken)?;
        let position: i64 = digits.parse().map_err(|_| Error::InvalidToken)?;
        match side {
            "f" if 0 <= position => Ok(Self::Forward(position)),
            "b" if 0 <= position => Ok(Self::Backward(position)),
            _ => Err(Error::InvalidToken),
        }
    }
}

const EVENTS_FORWARD: &str = "SELECT seq, at, ingested_at, message FROM log_events
    WHERE stream_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq LIMIT $4";
const EVENTS_BACKWARD: &str = "SELECT seq, at, ingested_at, message FROM log_events
    WHERE stream_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq DESC LIMIT $4";
const FIRST_AT_OR_AFTER: &str = "SELECT seq FROM log_events WHERE stream_id = $1 AND at >= $2
    ORDER BY at, seq LIMIT 1";

pub(crate) fn events(reader: &Reader<'_>, wanted: &EventsQuery) -> Result<EventsPage, Error> {
    let stream = stream_of(reader, wanted)?;
    let position_at = |time: Timestamp| -> Result<i64, Error> {
        let found = reader.query_one(FIRST_AT_OR_AFTER, params![stream.id, time], |row| {
            row.get(0)
        })?;
        Ok(found.unwrap_or(stream.next_seq))
    };
    let lowest = wanted.from.map(position_at).transpose()?.unwrap_or(0);
    let highest = wanted
        .until
        .map(position_at)
        .transpose()?
        .unwrap_or(stream.next_seq);
    let cursor = match &wanted.start {
        Start::Token(token) => Cursor::parse(token)?,
        Start::End(Direction::FromHead) => Cursor::Forward(lowest),
        Start::End(Direction::FromTail) => Cursor::Backward(highest),
    };
    let limit = wanted.limit.min(EVENTS_MAX);
    let (sql, from, until) = match cursor {
        Cursor::Forward(position) => (EVENTS_FORWARD, position.max(lowest), highest),
        Cursor::Backward(position) => (EVENTS_BACKWARD, lowest, position.min(highest)),
    };
    let mut events = read_page(reader, sql, stream.id, (from, until), limit)?;
    if matches!(cursor, Cursor::Backward(_)) {
        events.reverse();
    }
    let here = match cursor {
        Cursor::Forward(position) | Cursor::Backward(position) => position,
    };
    let after = events.last().map_or(here, |event| event.seq + 1);
    let before = events.first().map_or(here, |event| event.seq);
    Ok(EventsPage {
        events,
        forward_token: format!("f/{after:056}"),
        backward_token: format!("b/{before:056}"),
    })
}

fn stream_of(reader: &Reader<'_>, wanted: &EventsQuery) -> Result<LogStream, Error> {
    if let Some(stream) = store::stream(reader, &wanted.group, &wanted.stream)? {
        return Ok(stream);
    }
    if !store::group_exists(reader, &wanted.group)? {
        return Err(Error::GroupNotFound(wanted.group.clone()));
    }
    Err(Error::StreamNotFound {
        group: wanted.group.clone(),
        stream: wanted.stream.clone(),
    })
}

/// Lines while they fit the page, read in small groups; the first always fits.
fn read_page(
    reader: &Reader<'_>,
    sql: &str,
    stream: i64,
    (mut from, mut until): (i64, i64),
    limit: u32,
) -> Result<Vec<LogEvent>, Error> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    let mut left = limit;
    while 0 < left {
        let wanted = left.min(GROUP_LENGTH);
        let group = reader.query(sql, params![stream, from, until, wanted], read_event)?;
        let whole = group.len() == wanted as usize;
        for event in group {
            bytes += event.message.len() + EVENT_OVERHEAD_BYTES;
            if PAGE_BYTES_MAX < bytes && !events.is_empty() {
                return Ok(events);
            }
            if sql == EVENTS_FORWARD {
                from = event.seq + 1;
            } else {
                until = event.seq;
            }
            events.push(event);
        }
        if !whole {
            break;
        }
        left -= wanted;
    }
    Ok(events)
}

fn read_event(row: &Row<'_>) -> Result<LogEvent, sightline_meta::MetaError> {
    Ok(LogEvent {
        seq: row.get(0)?,
        at: row.get(1)?,
        ingested_at: row.get(2)?,
        message: row.get(3)?,
    })
}

pub(crate) fn streams(
    reader: &Reader<'_>,
    wanted: &StreamsQuery,
) -> Result<Page<LogStream>, Error> {
    if !store::group_exists(reader, &wanted.group)? {
        return Err(Error::GroupNotFound(wanted.group.clone()));
    }
    let limit = if wanted.prefix.ends_with('/') {
        STREAMS_OF_PREFIX_MAX.max(wanted.limit)
    } else {
        wanted.limit
    };
    let column = match wanted.order {
        StreamOrder::Name => "name",
        StreamOrder::LastEvent => "coalesce(last_event_at, 0)",
    };
    let (compare, direction) = if wanted.descending {
        ("<", "DESC")
    } else {
        (">", "ASC")
    };
    let mut sql = String::from(
        "SELECT id, name, created_at, first_event_at, last_event_at, last_ingested_at, next_seq,
         stored_bytes FROM log_streams
         WHERE group_name = $1 AND substr(name, 1, length($2)) = $2",
    );
    let mut params: Vec<Value> = vec![(&wanted.group).into(), (&wanted.prefix).into()];
    if let Some(token) = &wanted.token {
        let (key, name) = parse_streams_token(token, wanted.order)?;
        params.extend([key, name.into()]);
        sql.push_str(&format!(
            " AND ({column} {compare} $3 OR ({column} = $3 AND name {compare} $4))"
        ));
    }
    params.push((i64::from(limit) + 1).into());
    let last = params.len();
    sql.push_str(&format!(
        " ORDER BY {column} {direction}, name {direction} LIMIT ${last}"
    ));
    let mut items = reader.query(&sql, &params, store::read_stream)?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_token = items.last().filter(|_| more).map(streams_token);
    Ok(Page { items, next_token })
}

/// `{time of the last line}@{name}`: enough for either order.
fn streams_token(last: &LogStream) -> String {
    format!(
        "{}@{}",
        last.last_event_at.unwrap_or_default().millis(),
        last.name
    )
}

fn parse_streams_token(token: &str, order: StreamOrder) -> Result<(Value, String), Error> {
    let (millis, name) = token.split_once('@').ok_or(Error::InvalidToken)?;
    let millis: i64 = millis.parse().map_err(|_| Error::InvalidToken)?;
    let key = match order {
        StreamOrder::Name => name.into(),
        StreamOrder::LastEvent => millis.into(),
    };
    Ok((key, name.to_owned()))
}
