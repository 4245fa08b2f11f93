//! The proof: the chain of the events, the signatures of the digests, the hashes of the log files,
//! and that all three tell the same story.

use std::fmt;

use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use sightline_meta::outbox::{self, Block, Head};
use sightline_meta::{MetaError, Reader};
use sightline_objects::{Attributes, ObjectKey, Wanted};
use sightline_types::Timestamp;

use crate::digest::{ALGORITHM, log_file, seconds};
use crate::files::{Digest, LogFile, hash_of, records_of, unpack};
use crate::keys::PublicKey;
use crate::store::{self, DigestRow, FileRow, State};
use crate::{Audit, Error};

/// Findings that are told; a log that was rewritten has one for every block.
const FINDINGS_MAX: usize = 1000;

/// Bytes of a compressed file of the trail; ours stay far below.
const PACKED_BYTES_MAX: usize = 64 << 20;

/// Rows that are read at once.
const ROWS_AT_ONCE: u32 = 64;

const REMOVED_TOO_EARLY: &str = "events were removed that no log file has";

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it was found.
    pub place: Place,
    /// What is wrong there.
    pub fault: &'static str,
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the events of these numbers, as the store has them.
    Events {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// In a log file in the bucket.
    LogFile(String),
    /// In a digest file in the bucket.
    DigestFile(String),
    /// In what the store says of the whole trail.
    Trail,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Events { first, last } => write!(f, "events {first} to {last}: ")?,
            Place::LogFile(key) => write!(f, "log file {key}: ")?,
            Place::DigestFile(key) => write!(f, "digest file {key}: ")?,
            Place::Trail => f.write_str("trail: ")?,
        }
        f.write_str(self.fault)
    }
}

/// Where the events begin that the store still has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFrom {
    /// The number of the first; those before it are in the bucket's log files alone.
    pub seq: i64,
    /// When it was asked for.
    pub at: Option<Timestamp>,
}

/// What a verification looked at, and what it found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Where the store's events begin, if older ones were removed.
    pub kept_from: Option<KeptFrom>,
    /// Events in the store whose links were checked.
    pub events: i64,
    /// Log files that were checked.
    pub log_files: u64,
    /// Digest files that were checked.
    pub digests: u64,
    /// What is not as it was written; the first thousand.
    pub findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, place: Place, fault: &'static str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place, fault });
        }
    }
}

impl Audit {
    /// Checks everything that is recorded, and everything that was delivered, against each other.
    ///
    /// For the operator, who holds the data directory; no protocol reaches it.
    pub async fn verify(&self) -> Result<Report, Error> {
        let mut report = self.options.meta.read(verify_table).await?;
        self.verify_bucket(&mut report).await?;
        Ok(report)
    }

    async fn verify_bucket(&self, report: &mut Report) -> Result<(), Error> {
        let meta = &self.options.meta;
        // One moment: a server that runs goes on delivering while this looks.
        let Some(moment) = meta.read(Moment::of).await? else {
            if report.kept_from.is_some() {
                report.find(Place::Trail, REMOVED_TOO_EARLY);
            }
            return Ok(());
        };
        let state = moment.state;
        let mut at = Walk {
            anchor: moment.anchor,
            ..Walk::default()
        };
        loop {
            let after = at.end();
            let read = move |reader: &Reader<'_>| store::digests_after(reader, after, ROWS_AT_ONCE);
            let mut rows = meta.read(read).await?;
            rows.retain(|row| row.end_at <= state.digested_until);
            if rows.is_empty() {
                break;
            }
            for row in rows {
                self.verify_digest(row, &moment.keys, &mut at, report)
                    .await?;
            }
        }
        for row in moment.undigested {
            let file = log_file(&row, self.trail.bucket.as_str());
            self.verify_log_file(&file, &mut at, report).await?;
        }
        at.conclude(&state, moment.unfinished, report);
        Ok(())
    }

    async fn verify_digest(
        &self,
        row: DigestRow,
        keys: &[PublicKey],
        at: &mut Walk,
        report: &mut Report,
    ) -> Result<(), Error> {
        report.digests += 1;
        let end = row.end_at;
        let read = move |reader: &Reader<'_>| store::files_of_digest(reader, end);
        let files = self.options.meta.read(read).await?;
        let body = match &row.body {
            Some(body) => Ok(body.clone()),
            None => self.digest_body(&row).await,
        };
        let checked = body.and_then(|body| self.check_digest(&row, &body, &files, keys, at));
        if let Err(fault) = checked {
            report.find(Place::DigestFile(row.object_key.clone()), fault);
        }
        for file in &files {
            let file = log_file(file, self.trail.bucket.as_str());
            self.verify_log_file(&file, at, report).await?;
        }
        at.previous = Some(row);
        Ok(())
    }

    /// The text of a digest in the bucket, if all around it is right.
    async fn digest_body(&self, row: &DigestRow) -> Result<String, &'static str> {
        let (packed, attributes) = self.object(&row.object_key).await?;
        if Some(hash_of(&packed)) != row.object_hash {
            return Err("its bytes were changed");
        }
        let said = |name: &str| attributes.user.get(name).map(String::as_str);
        if said("signature") != Some(&row.signature)
            || said("signature-algorithm") != Some(ALGORITHM)
        {
            return Err("its signature was changed");
        }
        unpack(&packed).ok_or("it cannot be decompressed")
    }

    /// Checks a digest's text against its signature, the digest before it and its files' rows.
    fn check_digest(
        &self,
        row: &DigestRow,
        body: &str,
        files: &[FileRow],
        keys: &[PublicKey],
        at: &Walk,
    ) -> Result<(), &'static str> {
        let digest: Digest = serde_json::from_str(body).map_err(|_| "it is not a digest")?;
        let fingerprint = &digest.digest_public_key_fingerprint;
        let key = keys.iter().find(|key| key.fingerprint == *fingerprint);
        let key = key.ok_or("the key that signed it is not listed")?;
        if !key.verifies(&digest.signed_text(body), &row.signature) {
            return Err("its signature does not hold");
        }
        let bucket = self.trail.bucket.as_str();
        let in_place = digest.digest_s3_bucket == bucket
            && digest.digest_s3_object == row.object_key
            && digest.digest_start_time == seconds(row.start_at)
            && digest.digest_end_time == seconds(row.end_at)
            && hash_of(body) == row.hash;
        if !in_place {
            return Err("it is not the digest of this period");
        }
        let linked = digest.previous_digest_s3_object == at.link(|row| &row.object_key)
            && digest.previous_digest_hash_value == at.link(|row| &row.hash)
            && digest.previous_digest_signature == at.link(|row| &row.signature);
        let contiguous = at
            .previous
            .as_ref()
            .is_none_or(|before| before.end_at == row.start_at);
        if !linked || !contiguous {
            return Err("it does not follow the digest before it");
        }
        let listed: Vec<LogFile> = files.iter().map(|file| log_file(file, bucket)).collect();
        if digest.log_files != listed {
            return Err("it does not list the log files of its period");
        }
        Ok(())
    }

    async fn verify_log_file(
        &self,
        file: &LogFile,
        at: &mut Walk,
        report: &mut Report,
    ) -> Result<(), Error> {
        report.log_files += 1;
        let read = self.object(&file.s3_object).await;
        let (expected, before, anchor) = (file.clone(), at.head.clone(), at.anchor.clone());
        let checked = self.off_the_runtime(move |_| {
            Ok(read.and_then(|(packed, _)| check_log_file(&packed, &expected, before, &anchor)))
        });
        if let Err(fault) = checked.await? {
            report.find(Place::LogFile(file.s3_object.clone()), fault);
        }
        // What follows is measured against what this file ought to be.
        let (seq, chain) = (file.last_sequence_number, &file.chain_hash_value);
        at.head = Head::stored(seq, chain).unwrap_or_else(|_| at.head.clone());
        Ok(())
    }

    /// An object of the bucket, whole.
    async fn object(&self, key: &str) -> Result<(Vec<u8>, Attributes), &'static str> {
        let permit = self.permit("s3:GetObject", key);
        let object_key: ObjectKey = key.parse().map_err(|_| "its name is not one of a key")?;
        let (objects, bucket) = (&self.options.objects, &self.trail.bucket);
        let whole = Wanted::default();
        let found = objects.get(&permit, bucket, &object_key, &whole).await;
        let mut found = found.map_err(|_| "it is not there")?;
        let mut packed = BytesMut::new();
        while let Some(piece) = found
            .bytes
            .try_next()
            .await
            .map_err(|_| "it cannot be read")?
        {
            packed.extend_from_slice(&piece);
            if PACKED_BYTES_MAX < packed.len() {
                return Err("it is larger than any file of the trail");
            }
        }
        Ok((packed.into(), found.selected.object.attributes))
    }
}

/// What the store says of the trail at one moment.
struct Moment {
    state: State,
    keys: Vec<PublicKey>,
    undigested: Vec<FileRow>,
    unfinished: bool,
    /// Where the store's own events take up.
    anchor: Head,
}

impl Moment {
    /// `None` before the trail is open.
    fn of(reader: &Reader<'_>) -> Result<Option<Self>, Error> {
        let Some(state) = store::state(reader)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            state,
            keys: store::keys(reader)?,
            undigested: store::undigested_files(reader)?,
            unfinished: !store::unfinished_files(reader)?.is_empty(),
            anchor: outbox::pruned(reader)?,
        }))
    }
}

/// How far the files of the bucket were followed.
struct Walk {
    previous: Option<DigestRow>,
    head: Head,
    /// Where the store's own events take up.
    anchor: Head,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            previous: None,
            head: Head::GENESIS,
            anchor: Head::GENESIS,
        }
    }
}

impl Walk {
    fn end(&self) -> Timestamp {
        let first = Timestamp::from_millis(i64::MIN);
        self.previous.as_ref().map_or(first, |row| row.end_at)
    }

    fn link(&self, member: impl Fn(&DigestRow) -> &String) -> Option<String> {
        self.previous.as_ref().map(|row| member(row).clone())
    }

    /// Checks that the files reach as far as the store says of the trail.
    fn conclude(&self, state: &State, unfinished: bool, report: &mut Report) {
        if state.delivered.seq < self.anchor.seq {
            report.find(Place::Trail, REMOVED_TOO_EARLY);
        }
        if !unfinished && self.head != state.delivered {
            report.find(Place::Trail, "log files are missing at its end");
        }
        let digested = self.previous.as_ref().map(|row| row.end_at);
        if digested.is_some_and(|end| end != state.digested_until) {
            report.find(Place::Trail, "digests are missing at its end");
        }
    }
}

fn check_log_file(
    packed: &[u8],
    file: &LogFile,
    before: Head,
    anchor: &Head,
) -> Result<(), &'static str> {
    if hash_of(packed) != file.object_hash_value {
        return Err("its bytes were changed");
    }
    let text = unpack(packed).ok_or("it cannot be decompressed")?;
    if hash_of(&text) != file.hash_value {
        return Err("its text has another hash");
    }
    let records = records_of(&text).map_err(|_| "it is not a log file")?;
    if before.seq.saturating_add(1) != file.first_sequence_number {
        return Err("it does not follow the log file before it");
    }
    let mut head = before;
    for record in &records {
        head = head.after(record);
        if head.seq == anchor.seq && head != *anchor {
            return Err("the store's events do not take up where its own lead");
        }
    }
    let stated = Head::stored(file.last_sequence_number, &file.chain_hash_value);
    if stated.is_ok_and(|stated| stated == head) {
        Ok(())
    } else {
        Err("its events are not the chain's")
    }
}

/// Follows the chain through the whole table, and compares it with what log files were made of.
fn verify_table(reader: &Reader<'_>) -> Result<Report, MetaError> {
    let mut head = outbox::pruned(reader)?;
    let mut report = Report::default();
    if Head::GENESIS.seq < head.seq {
        let first = outbox::oldest(reader)?;
        report.kept_from = Some(KeptFrom {
            seq: head.seq.saturating_add(1),
            at: first.map(|first| first.at_min),
        });
    }
    let mut files = Files::from(reader, head.seq)?;
    loop {
        let blocks = outbox::blocks(reader, head.seq.saturating_add(1), ROWS_AT_ONCE)?;
        if blocks.is_empty() {
            break;
        }
        for block in &blocks {
            report.events += block
                .last_seq
                .saturating_sub(block.first_seq)
                .saturating_add(1);
            let place = Place::Events {
                first: block.first_seq,
                last: block.last_seq,
            };
            if let Err(fault) = check_block(block, &mut head, &mut files, reader)? {
                report.find(place, fault);
            }
        }
    }
    if outbox::head(reader)? != head {
        report.find(Place::Trail, "events are missing at the end of the chain");
    }
    Ok(report)
}

fn check_block(
    block: &Block,
    head: &mut Head,
    files: &mut Files,
    reader: &Reader<'_>,
) -> Result<Result<(), &'static str>, MetaError> {
    let follows = block.first_seq == head.seq.saturating_add(1);
    let (mut oldest, mut newest) = (String::new(), String::new());
    let mut delivered_alike = true;
    let mut reached = head.clone();
    for (_, record) in block.numbered() {
        reached = reached.after(record);
        delivered_alike &= files.agree(reader, &reached)?;
        let time = outbox::time_of(record).unwrap_or_default();
        if oldest.is_empty() || time < oldest.as_str() {
            oldest = time.to_owned();
        }
        if newest.as_str() < time {
            newest = time.to_owned();
        }
    }
    let stated = Head::stored(block.last_seq, &block.chain);
    let chained = stated.as_ref().is_ok_and(|stated| *stated == reached);
    let timed = oldest == seconds(block.at_min) && newest == seconds(block.at_max);
    // What follows is measured against what this block ought to be.
    *head = stated.unwrap_or(Head {
        seq: block.last_seq,
        ..reached
    });
    Ok(match (follows, chained, timed, delivered_alike) {
        (false, ..) => Err("events before these are missing or out of order"),
        (_, false, ..) => Err("these events are not the ones that were chained"),
        (_, _, false, _) => Err("the time by which these events are found was changed"),
        (_, _, _, false) => Err("these events are not the ones that were delivered"),
        (true, true, true, true) => Ok(()),
    })
}

/// The rows of the log files, followed along with the events.
struct Files {
    ahead: std::collections::VecDeque<FileRow>,
    next_seq: i64,
}

impl Files {
    fn from(reader: &Reader<'_>, seq: i64) -> Result<Self, MetaError> {
        let mut files = Self {
            ahead: std::collections::VecDeque::new(),
            next_seq: seq.saturating_add(1),
        };
        files.fill(reader)?;
        Ok(files)
    }

    fn fill(&mut self, reader: &Reader<'_>) -> Result<(), MetaError> {
        if self.ahead.is_empty() {
            self.ahead = store::files_from(reader, self.next_seq, ROWS_AT_ONCE)?.into();
        }
        Ok(())
    }

    /// Whether the file that ends with this event, if one does, was made of the same chain.
    fn agree(&mut self, reader: &Reader<'_>, head: &Head) -> Result<bool, MetaError> {
        let Some(file) = self.ahead.front().filter(|file| file.last_seq <= head.seq) else {
            return Ok(true);
        };
        let alike = Head::stored(file.last_seq, &file.chain).is_ok_and(|chain| chain == *head);
        self.next_seq = file.last_seq.saturating_add(1);
        self.ahead.pop_front();
        self.fill(reader)?;
        Ok(alike)
    }
}
