//! Taking the oldest events away, in steps that each leave a chain that holds from its anchor on.

use sightline_types::Timestamp;

use super::chain::{Head, pruned};
use super::index;
use crate::{MetaError, Reader, Tx, params};

/// Blocks that one step removes, so that no caller waits for long behind it.
const STEP_BLOCKS_MAX: u32 = 512;

/// Bytes of records that one step removes: what one flush to disk takes about a tenth of a second
/// for.
const STEP_BYTES_MAX: i64 = 16 << 20;

const OLDEST: &str = "SELECT last_seq, at_max, CAST(octet_length(records) AS BIGINT), chain
    FROM event_blocks
    WHERE last_seq <= $1 ORDER BY last_seq LIMIT $2";
const FIRST: &str = "SELECT first_seq, at_min, at_max FROM event_blocks ORDER BY last_seq LIMIT 1";
const SIZE: &str =
    "SELECT max(last_seq), CAST(sum(octet_length(records)) AS BIGINT) FROM event_blocks
    WHERE last_seq > $1";
const ANCHOR: &str = "UPDATE event_head SET pruned_seq = $1, pruned_chain = $2";
const DELETE: &str = "DELETE FROM event_blocks WHERE last_seq <= $1";

/// Which events may be taken away.
#[derive(Clone, Copy, Debug)]
pub struct Prunable {
    /// The anchor as it was when this was decided; of several servers, one moves it on.
    pub after_seq: i64,
    /// Only blocks that end with this event, or before.
    pub until_seq: i64,
    /// Only blocks all of whose events were before this time, or else only as many as make room.
    pub before: Option<Timestamp>,
    /// Bytes of records to make room for, however old they are.
    pub bytes: i64,
}

/// What a step took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The last event that was removed, where the chain takes up.
    pub anchor: Head,
    /// Events that were removed.
    pub events: i64,
    /// Bytes of their records.
    pub bytes: i64,
}

/// The first block that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// The number of its first event.
    pub first_seq: i64,
    /// When the first of its events was asked for.
    pub at_min: Timestamp,
    /// When the last of them was.
    pub at_max: Timestamp,
}

/// The first block that is there, if there are any.
pub fn oldest(reader: &Reader<'_>) -> Result<Option<Oldest>, MetaError> {
    reader.query_one(FIRST, params![], |row| {
        Ok(Oldest {
            first_seq: row.get(0)?,
            at_min: row.get(1)?,
            at_max: row.get(2)?,
        })
    })
}

/// Bytes of the records after the event `seq`, and the last event that they were counted up to.
pub fn bytes_after(reader: &Reader<'_>, seq: i64) -> Result<(i64, i64), MetaError> {
    let found: Option<(Option<i64>, Option<i64>)> =
        reader.query_one(SIZE, params![seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (last, bytes) = found.unwrap_or_default();
    Ok((bytes.unwrap_or_default(), last.unwrap_or(seq)))
}

/// Removes the oldest blocks of which `wanted` lets go, as many as one step takes; `None` if
/// there are none. What indexes only them goes with them.
pub fn prune(tx: &mut Tx<'_>, wanted: Prunable) -> Result<Option<Pruned>, MetaError> {
    if pruned(tx)?.seq != wanted.after_seq {
        return Ok(None);
    }
    let Some(step) = step(tx, wanted)? else {
        return Ok(None);
    };
    let Head { seq, hash } = &step.anchor;
    tx.execute(ANCHOR, params![*seq, hex::encode(hash)])?;
    tx.execute(DELETE, params![*seq])?;
    index::prune(tx, *seq)?;
    Ok(Some(step))
}

fn step(reader: &Reader<'_>, wanted: Prunable) -> Result<Option<Pruned>, MetaError> {
    type Found = (i64, Timestamp, i64, String);
    let blocks: Vec<Found> =
        reader.query(OLDEST, params![wanted.until_seq, STEP_BLOCKS_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let (mut bytes, mut last) = (0_i64, None);
    for (seq, at_max, size, chain) in blocks {
        let aged = wanted.before.is_some_and(|before| at_max < before);
        if STEP_BYTES_MAX <= bytes || !(aged || bytes < wanted.bytes) {
            break;
        }
        bytes = bytes.saturating_add(size);
        last = Some((seq, chain));
    }
    let Some((seq, chain)) = last else {
        return Ok(None);
    };
    Ok(Some(Pruned {
        anchor: Head::stored(seq, &chain)?,
        events: seq.saturating_sub(wanted.after_seq),
        bytes,
    }))
}
