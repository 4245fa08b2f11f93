//! The order of events: numbers without gaps, a hash that links each event to all before it, and
//! the blocks that hold their records.

use sha2::{Digest as _, Sha256};
use sightline_types::Timestamp;

use super::Sealed;
use crate::{MetaError, Reader, Tx, params};

/// Bytes of records after which a block is full: few enough to read one for the sake of one event.
const BLOCK_BYTES: usize = 64 * 1024;

/// Events in a block, so that the block of an event lies within this many numbers of it.
pub const BLOCK_EVENTS_MAX: i64 = 256;

const HEAD: &str = "SELECT seq, chain FROM event_head";
const PRUNED: &str = "SELECT pruned_seq, pruned_chain FROM event_head";
const ADVANCE: &str = "UPDATE event_head SET seq = $1, chain = $2";
const INSERT: &str = "INSERT INTO event_blocks
    (last_seq, first_seq, at_min, at_max, chain, records) VALUES ($1, $2, $3, $4, $5, $6)";
const BLOCKS: &str = "SELECT last_seq, first_seq, at_min, at_max, chain, records FROM event_blocks
    WHERE last_seq >= $1 ORDER BY last_seq LIMIT $2";

/// How far the chain of events reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 before the first.
    pub seq: i64,
    /// The hash that stands for it and all before it.
    pub hash: [u8; 32],
}

impl Head {
    /// Where every chain begins.
    pub const GENESIS: Self = Self {
        seq: 0,
        hash: [0; 32],
    };

    /// The head after one more event: SHA-256 of the hash before, the event's number as eight
    /// bytes with the highest first, and its record.
    #[must_use]
    pub fn after(&self, record: &str) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(seq.to_be_bytes());
        hash.update(record.as_bytes());
        Self {
            seq,
            hash: hash.finalize().into(),
        }
    }

    /// The head with this number and this hash in hexadecimal.
    pub fn stored(seq: i64, hex: &str) -> Result<Self, MetaError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(hex, &mut hash).map_err(|error| MetaError::Stored {
            what: "hash of an event",
            reason: error.to_string(),
        })?;
        Ok(Self { seq, hash })
    }
}

/// The events that one row holds.
#[derive(Clone, Debug)]
pub struct Block {
    /// The number of its first event.
    pub first_seq: i64,
    /// The number of its last event.
    pub last_seq: i64,
    /// When the first of them was asked for.
    pub at_min: Timestamp,
    /// When the last of them was.
    pub at_max: Timestamp,
    /// The chain's hash after its last event, as it was stored.
    pub chain: String,
    /// Its records, one on each line.
    pub records: String,
}

impl Block {
    /// The records with their numbers, the oldest first.
    pub fn numbered(&self) -> impl Iterator<Item = (i64, &str)> {
        (self.first_seq..).zip(self.records.split('\n'))
    }
}

/// How far the chain reaches.
pub fn head(reader: &Reader<'_>) -> Result<Head, MetaError> {
    read_head(reader, HEAD)
}

/// Where the chain that is still there takes up: the last event that was removed for its age.
pub fn pruned(reader: &Reader<'_>) -> Result<Head, MetaError> {
    read_head(reader, PRUNED)
}

fn read_head(reader: &Reader<'_>, sql: &str) -> Result<Head, MetaError> {
    let found = reader.query_one(sql, params![], |row| {
        Head::stored(row.get(0)?, &row.get::<String>(1)?)
    })?;
    found.ok_or_else(|| MetaError::Stored {
        what: "head of the events",
        reason: "its row is missing".to_owned(),
    })
}

/// The blocks from the one that holds `seq` or comes after it, the oldest first.
pub fn blocks(reader: &Reader<'_>, seq: i64, limit: u32) -> Result<Vec<Block>, MetaError> {
    reader.query(BLOCKS, params![seq, limit], |row| {
        Ok(Block {
            last_seq: row.get(0)?,
            first_seq: row.get(1)?,
            at_min: row.get(2)?,
            at_max: row.get(3)?,
            chain: row.get(4)?,
            records: row.get(5)?,
        })
    })
}

/// Numbers `events`, links them to those before and stores them.
pub(crate) fn append(tx: &mut Tx<'_>, events: Vec<Sealed>) -> Result<(), MetaError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut head = head(tx)?;
    let mut block = Filling::default();
    for mut event in events {
        event.number(head.seq.saturating_add(1));
        head = head.after(&event.record);
        block.push(&event);
        if block.is_full() {
            std::mem::take(&mut block).store(tx, &head)?;
        }
    }
    if 0 < block.count {
        block.store(tx, &head)?;
    }
    tx.execute(ADVANCE, params![head.seq, hex::encode(head.hash)])?;
    Ok(())
}

/// A block on its way into the store.
#[derive(Default)]
struct Filling {
    count: i64,
    at: Option<(Timestamp, Timestamp)>,
    records: String,
}

impl Filling {
    fn push(&mut self, event: &Sealed) {
        if 0 < self.count {
            self.records.push('\n');
        }
        self.records.push_str(&event.record);
        self.count += 1;
        let (min, max) = self.at.unwrap_or((event.at, event.at));
        self.at = Some((min.min(event.at), max.max(event.at)));
    }

    fn is_full(&self) -> bool {
        BLOCK_BYTES <= self.records.len() || BLOCK_EVENTS_MAX <= self.count
    }

    fn store(self, tx: &mut Tx<'_>, head: &Head) -> Result<(), MetaError> {
        let first = head.seq.saturating_sub(self.count).saturating_add(1);
        let (min, max) = self.at.unwrap_or_default();
        let chain = hex::encode(head.hash);
        let values = params![head.seq, first, min, max, chain, self.records];
        tx.execute(INSERT, values)?;
        Ok(())
    }
}
