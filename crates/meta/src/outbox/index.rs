//! What makes lookups quick: sorted runs of (term, event), made of the records afterwards.
//!
//! A term is the hash of an attribute and its value. The events since the last run are few enough
//! to look at one by one; every so many of them become a small run, and every so many small runs
//! one large run. A run lies in pages of one row each, so that writing it is sequential and a
//! lookup reads one page of each run that may know the term.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};
use sightline_types::Timestamp;

use super::chain::{BLOCK_EVENTS_MAX, blocks, head, pruned};
use super::lookup::{Attribute, Facts};
use crate::{Meta, MetaError, Reader, Tx, params};

/// Events of a small run.
pub(super) const SMALL_RUN_EVENTS: i64 = 4096;

/// Small runs that become a large one, of 65,536 events, which fits into memory while it is made.
const SMALL_RUNS_MAX: usize = 16;

/// Entries of a page: few enough to decode for one lookup.
const PAGE_ENTRIES: usize = 2048;

/// Blocks that are read at once.
const BLOCKS_AT_ONCE: u32 = 64;

/// Runs that are removed at once. One step of pruning frees fewer; what is left goes with the next.
const PRUNED_RUNS_MAX: u32 = 32;

const SMALL: i64 = 0;
const LARGE: i64 = 1;

const SPAN: &str = "SELECT min(first_seq), max(last_seq) FROM event_blocks
    WHERE last_seq >= $1 AND last_seq < $2 AND at_max >= $3 AND at_min <= $4";
const END: &str = "SELECT coalesce(max(last_seq), 0) FROM event_runs";
const RUNS: &str = "SELECT level, first_seq, last_seq, at_min, at_max FROM event_runs
    WHERE first_seq < $1 AND at_max >= $2 AND at_min <= $3 ORDER BY first_seq DESC";
const RUNS_OF_LEVEL: &str = "SELECT level, first_seq, last_seq, at_min, at_max FROM event_runs
    WHERE level = $1 ORDER BY first_seq";
const RUNS_UNTIL: &str = "SELECT level, first_seq, last_seq, at_min, at_max FROM event_runs
    WHERE last_seq <= $1 ORDER BY first_seq LIMIT $2";
const INSERT_RUN: &str = "INSERT INTO event_runs (level, first_seq, last_seq, at_min, at_max)
    VALUES ($1, $2, $3, $4, $5)";
const DELETE_RUN: &str = "DELETE FROM event_runs WHERE level = $1 AND first_seq = $2";
const INSERT_PAGE: &str = "INSERT INTO event_run_pages
    (level, run_first, first_term, first_seq, entries) VALUES ($1, $2, $3, $4, $5)";
const PAGES: &str = "SELECT entries FROM event_run_pages WHERE level = $1 AND run_first = $2
    ORDER BY first_term, first_seq";
const DELETE_PAGES: &str = "DELETE FROM event_run_pages WHERE level = $1 AND run_first = $2";
const PAGE_BEFORE: &str = "SELECT first_term, first_seq, entries FROM event_run_pages
    WHERE level = $1 AND run_first = $2
    AND (first_term < $3 OR (first_term = $3 AND first_seq < $4))
    ORDER BY first_term DESC, first_seq DESC LIMIT 1";

/// That an event has a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    term: i64,
    seq: i64,
}

/// Consecutive events that are indexed together.
#[derive(Clone, Debug)]
pub(super) struct Run {
    level: i64,
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
    at_min: Timestamp,
    at_max: Timestamp,
}

/// The hash that stands for an attribute's value. Collisions are told apart by the record.
pub(super) fn term(attribute: &Attribute) -> i64 {
    let (kind, value) = match attribute {
        Attribute::Id(id) => ("id", id.as_str()),
        Attribute::Name(name) => ("name", name.as_str()),
        Attribute::ReadOnly(true) => ("read", "true"),
        Attribute::ReadOnly(false) => ("read", "false"),
        Attribute::Source(source) => ("source", source.as_str()),
        Attribute::UserName(name) => ("user", name.as_str()),
        Attribute::AccessKeyId(key) => ("key", key.as_str()),
        Attribute::ResourceKind(kind) => ("kind", kind.as_str()),
        Attribute::ResourceName(name) => ("resource", name.as_str()),
    };
    let hash = Sha256::digest(format!("{kind}\0{value}"));
    hash.first_chunk()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// The last event that a run covers.
pub(super) fn end(reader: &Reader<'_>) -> Result<i64, MetaError> {
    let end: Option<i64> = reader.query_one(END, params![], |row| row.get(0))?;
    Ok(end.unwrap_or_default().max(pruned(reader)?.seq))
}

/// The runs with events before `high` and between two times, the newest first.
pub(super) fn runs(
    reader: &Reader<'_>,
    high: i64,
    from: Timestamp,
    until: i64,
) -> Result<Vec<Run>, MetaError> {
    reader.query(RUNS, params![high, from, until], read_run)
}

fn read_run(row: &crate::Row<'_>) -> Result<Run, MetaError> {
    Ok(Run {
        level: row.get(0)?,
        first_seq: row.get(1)?,
        last_seq: row.get(2)?,
        at_min: row.get(3)?,
        at_max: row.get(4)?,
    })
}

impl Run {
    /// The first and the last event of the run that may lie between two times; `None` if none
    /// does. Without its blocks' records, so that a run is looked through in milliseconds.
    pub(super) fn span(
        &self,
        reader: &Reader<'_>,
        from: Timestamp,
        until: i64,
    ) -> Result<Option<(i64, i64)>, MetaError> {
        if from <= self.at_min && self.at_max.millis() <= until {
            return Ok(Some((self.first_seq, self.last_seq)));
        }
        let end = self.last_seq.saturating_add(BLOCK_EVENTS_MAX);
        let range = params![self.first_seq, end, from, until];
        let found: Option<(Option<i64>, Option<i64>)> =
            reader.query_one(SPAN, range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (first, last) = found.unwrap_or_default();
        Ok(first
            .zip(last)
            .map(|(first, last)| (first.max(self.first_seq), last.min(self.last_seq))))
    }

    /// The next page's events with `term` before `high`, the newest first, and where to go on;
    /// without that, there are no more.
    pub(super) fn events(
        &self,
        reader: &Reader<'_>,
        term: i64,
        high: i64,
    ) -> Result<(Vec<i64>, Option<i64>), MetaError> {
        let place = params![self.level, self.first_seq, term, high];
        let page: Option<(i64, i64, String)> = reader.query_one(PAGE_BEFORE, place, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let Some((first_term, first_seq, entries)) = page else {
            return Ok((Vec::new(), None));
        };
        let entries = unpack(&entries, self.first_seq)?;
        let wanted = entries
            .iter()
            .rev()
            .filter(|e| e.term == term && e.seq < high);
        let found = wanted.map(|entry| entry.seq).collect();
        Ok((found, (first_term == term).then_some(first_seq)))
    }
}

/// Indexes what is due, and says whether anything was.
///
/// Runs beside everything else: what is not indexed yet is found all the same.
pub async fn index(meta: &Meta) -> Result<bool, MetaError> {
    if let Some((run, entries)) = meta.read(small_run).await? {
        let pages = pack(entries, run.first_seq);
        return meta.write(move |tx| store(tx, &run, &pages, &[])).await;
    }
    if let Some((run, entries, merged)) = meta.read(large_run).await? {
        let pages = pack(entries, run.first_seq);
        return meta.write(move |tx| store(tx, &run, &pages, &merged)).await;
    }
    Ok(false)
}

/// The run of the next events, if there are enough.
fn small_run(reader: &Reader<'_>) -> Result<Option<(Run, Vec<Entry>)>, MetaError> {
    let first_seq = end(reader)?.saturating_add(1);
    let last_seq = first_seq.saturating_add(SMALL_RUN_EVENTS - 1);
    if head(reader)?.seq < last_seq {
        return Ok(None);
    }
    let mut run = Run {
        level: SMALL,
        first_seq,
        last_seq,
        at_min: Timestamp::from_millis(i64::MAX),
        at_max: Timestamp::from_millis(i64::MIN),
    };
    let (mut entries, mut next) = (Vec::new(), first_seq);
    while next <= last_seq {
        let blocks = blocks(reader, next, BLOCKS_AT_ONCE)?;
        let Some(end) = blocks.last().map(|block| block.last_seq) else {
            break;
        };
        for block in blocks.iter().filter(|block| block.first_seq <= last_seq) {
            run.at_min = run.at_min.min(block.at_min);
            run.at_max = run.at_max.max(block.at_max);
            let wanted = |seq: &i64| first_seq <= *seq && *seq <= last_seq;
            for (seq, record) in block.numbered().filter(|(seq, _)| wanted(seq)) {
                let terms = Facts::of(record)?.terms();
                entries.extend(terms.into_iter().map(|term| Entry { term, seq }));
            }
        }
        next = end.saturating_add(1);
    }
    Ok(Some((run, entries)))
}

type Merged = (Run, Vec<Entry>, Vec<Run>);

/// The run that the small ones become, if there are enough.
fn large_run(reader: &Reader<'_>) -> Result<Option<Merged>, MetaError> {
    let mut small = reader.query(RUNS_OF_LEVEL, params![SMALL], read_run)?;
    if small.len() < SMALL_RUNS_MAX {
        return Ok(None);
    }
    small.truncate(SMALL_RUNS_MAX);
    let (Some(first), Some(last)) = (small.first(), small.last()) else {
        return Ok(None);
    };
    let run = Run {
        level: LARGE,
        first_seq: first.first_seq,
        last_seq: last.last_seq,
        at_min: small.iter().map(|run| run.at_min).min().unwrap_or_default(),
        at_max: small.iter().map(|run| run.at_max).max().unwrap_or_default(),
    };
    let mut entries = Vec::new();
    for part in &small {
        let pages: Vec<String> =
            reader.query(PAGES, params![part.level, part.first_seq], |row| row.get(0))?;
        for page in pages {
            entries.extend(unpack(&page, part.first_seq)?);
        }
    }
    Ok(Some((run, entries, small)))
}

/// Stores a run instead of those that it was made of, unless another server was faster.
fn store(tx: &mut Tx<'_>, run: &Run, pages: &[Page], merged: &[Run]) -> Result<bool, MetaError> {
    if merged.is_empty() && end(tx)?.saturating_add(1) != run.first_seq {
        return Ok(false);
    }
    for part in merged {
        if tx.execute(DELETE_RUN, params![part.level, part.first_seq])? == 0 {
            // Only a run that is gone as a whole can be missing, and then it is the first.
            return Ok(false);
        }
        tx.execute(DELETE_PAGES, params![part.level, part.first_seq])?;
    }
    let (min, max) = (run.at_min, run.at_max);
    tx.execute(
        INSERT_RUN,
        params![run.level, run.first_seq, run.last_seq, min, max],
    )?;
    for page in pages {
        let place = params![
            run.level,
            run.first_seq,
            page.first.term,
            page.first.seq,
            &page.text
        ];
        tx.execute(INSERT_PAGE, place)?;
    }
    Ok(true)
}

/// Removes the runs that cover no event after `seq`.
pub(super) fn prune(tx: &mut Tx<'_>, seq: i64) -> Result<(), MetaError> {
    for run in tx.query(RUNS_UNTIL, params![seq, PRUNED_RUNS_MAX], read_run)? {
        tx.execute(DELETE_RUN, params![run.level, run.first_seq])?;
        tx.execute(DELETE_PAGES, params![run.level, run.first_seq])?;
    }
    Ok(())
}

struct Page {
    first: Entry,
    text: String,
}

fn pack(mut entries: Vec<Entry>, run_first: i64) -> Vec<Page> {
    entries.sort_unstable();
    entries.dedup();
    let page = |entries: &[Entry]| {
        let mut bytes = Vec::with_capacity(entries.len() * 6);
        let mut before = Entry {
            term: 0,
            seq: run_first,
        };
        for entry in entries {
            let step = entry.term.wrapping_sub(before.term).cast_unsigned();
            let base = if step == 0 { before.seq } else { run_first };
            push_varint(&mut bytes, step);
            push_varint(&mut bytes, entry.seq.wrapping_sub(base).cast_unsigned());
            before = *entry;
        }
        let first = *entries.first()?;
        Some(Page {
            first,
            text: BASE64.encode(bytes),
        })
    };
    entries.chunks(PAGE_ENTRIES).filter_map(page).collect()
}

fn unpack(text: &str, run_first: i64) -> Result<Vec<Entry>, MetaError> {
    let broken = || MetaError::Stored {
        what: "page of the index of events",
        reason: "it is not as it was written".to_owned(),
    };
    let bytes = BASE64.decode(text).map_err(|_| broken())?;
    let mut rest = bytes.iter().copied();
    let mut entries = Vec::with_capacity(PAGE_ENTRIES);
    let mut before = Entry {
        term: 0,
        seq: run_first,
    };
    while let Some(step) = pull_varint(&mut rest) {
        let base = if step == 0 { before.seq } else { run_first };
        let after = pull_varint(&mut rest).ok_or_else(broken)?;
        before = Entry {
            term: before.term.wrapping_add(step.cast_signed()),
            seq: base.wrapping_add(after.cast_signed()),
        };
        entries.push(before);
    }
    Ok(entries)
}

/// Seven bits in a byte, the lowest first; a byte with the highest bit set is not the last.
fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        let [low, ..] = number.to_le_bytes();
        bytes.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    bytes.push(low);
}

fn pull_varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_of_their_pages_sorted_and_once() {
        let entries: Vec<Entry> = (0..10_000_i64)
            .map(|n| Entry {
                term: (n % 7).wrapping_mul(i64::MAX / 3),
                seq: 1_000 + n / 2,
            })
            .collect();
        let pages = pack(entries.clone(), 1_000);
        let mut unpacked = Vec::new();
        for page in &pages {
            let part = unpack(&page.text, 1_000).unwrap();
            assert_eq!(part[0], page.first);
            unpacked.extend(part);
        }
        let mut expected = entries;
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(unpacked, expected);
        assert!(unpack("!", 0).is_err());
    }
}
