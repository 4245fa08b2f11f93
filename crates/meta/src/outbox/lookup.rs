//! Finding events by what they say of themselves.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value as Json;
use sightline_types::{Arn, Page, Timestamp};

use super::chain::{BLOCK_EVENTS_MAX, Block, blocks};
use super::index;
use super::record::seq_of_id;
use crate::{MetaError, Reader, params};

/// Blocks that are read at once.
const BLOCKS_AT_ONCE: u32 = 8;

const BACKWARDS: &str = "SELECT last_seq, first_seq, records FROM event_blocks
    WHERE last_seq >= $1 AND last_seq < $2 AND first_seq < $3 AND at_max >= $4 AND at_min <= $5
    ORDER BY last_seq DESC LIMIT $6";

/// An event as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Position in the order of all events, from one, without gaps.
    pub seq: i64,
    /// The event's identifier.
    pub id: String,
    /// When the action was asked for, to the second.
    pub at: Timestamp,
    /// The service, such as `s3.amazonaws.com`.
    pub source: String,
    /// The operation's name.
    pub name: String,
    /// Whether the operation only reads.
    pub read_only: bool,
    /// The name of the principal.
    pub user_name: String,
    /// The key that signed the request.
    pub access_key_id: String,
    /// Type and name of each resource that was touched.
    pub resources: Vec<(String, String)>,
    /// The whole record in CloudTrail's form.
    pub record: Json,
    /// The text of the record, as it is chained.
    pub text: String,
}

/// One condition of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The event's identifier.
    Id(String),
    /// The operation's name.
    Name(String),
    /// Whether the operation only reads.
    ReadOnly(bool),
    /// The service.
    Source(String),
    /// The principal's name.
    UserName(String),
    /// The key that signed the request.
    AccessKeyId(String),
    /// The type of a touched resource.
    ResourceKind(String),
    /// The ARN of a touched resource, or what people call it.
    ResourceName(String),
}

/// Which events to look up; the newest come first.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Only events that fulfil this.
    pub attribute: Option<Attribute>,
    /// Only events at or after this time; events tell theirs to the second.
    pub from: Option<Timestamp>,
    /// Only events at or before this time.
    pub until: Option<Timestamp>,
    /// Only events before this position in the order of events.
    pub before_seq: Option<i64>,
    /// Events on a page.
    pub limit: u32,
}

/// Looks events up, the newest first. The token is the position to give as `before_seq`.
pub fn lookup(reader: &Reader<'_>, wanted: &Lookup) -> Result<Page<Recorded>, MetaError> {
    Ok(counted(reader, wanted)?.0)
}

/// The same, and how many rows were read for it.
fn counted(reader: &Reader<'_>, wanted: &Lookup) -> Result<(Page<Recorded>, usize), MetaError> {
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let mut search = Search::new(wanted, limit.saturating_add(1));
    match &wanted.attribute {
        Some(Attribute::Id(id)) if seq_of_id(id).is_some() => {
            let seq = seq_of_id(id).unwrap_or_default();
            search.scan(reader, seq, seq.saturating_add(1))?;
        }
        Some(attribute) => search.seek(reader, attribute)?,
        None => search.sweep(reader)?,
    }
    let mut items = std::mem::take(&mut search.found);
    let more = limit < items.len();
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let page = Page {
        next_token: last.map(|last| last.seq.to_string()),
        items,
    };
    Ok((page, search.rows))
}

/// A lookup under way.
struct Search<'w> {
    wanted: &'w Lookup,
    from: Timestamp,
    until: Timestamp,
    enough: usize,
    found: Vec<Recorded>,
    /// The block that was looked into last; the next event is often in it too.
    block: Option<Block>,
    /// Rows that were read.
    rows: usize,
}

impl<'w> Search<'w> {
    fn new(wanted: &'w Lookup, enough: usize) -> Self {
        let from = wanted.from.map_or(i64::MIN, Timestamp::millis);
        // An event of this very second, whose record does not tell more, is not before it.
        let from = from.saturating_sub(from.rem_euclid(1000));
        Self {
            wanted,
            from: Timestamp::from_millis(from),
            until: wanted
                .until
                .unwrap_or_else(|| Timestamp::from_millis(i64::MAX)),
            enough,
            found: Vec::new(),
            block: None,
            rows: 0,
        }
    }

    /// Looks at the events that no run covers, and then at those of which the runs say that they
    /// may fulfil `attribute`.
    fn seek(&mut self, reader: &Reader<'_>, attribute: &Attribute) -> Result<(), MetaError> {
        let high = self.wanted.before_seq.unwrap_or(i64::MAX);
        let end = index::end(reader)?;
        self.scan(reader, end.saturating_add(1), high)?;
        let term = index::term(attribute);
        for run in index::runs(reader, high, self.from, self.until_millis())? {
            let Some((low, end)) = self.span(reader, &run)? else {
                continue;
            };
            let mut next = Some(high.min(end.saturating_add(1)));
            while let Some(high) = next.filter(|_| self.found.len() < self.enough) {
                let (events, older) = run.events(reader, term, high)?;
                self.rows += 1;
                for seq in events.iter().filter(|seq| low <= **seq) {
                    self.look_at(reader, *seq)?;
                }
                next = older.filter(|oldest| low < *oldest);
            }
        }
        Ok(())
    }

    /// Looks at every event between two times, run by run, so that those of other times are
    /// passed over.
    fn sweep(&mut self, reader: &Reader<'_>) -> Result<(), MetaError> {
        let high = self.wanted.before_seq.unwrap_or(i64::MAX);
        let end = index::end(reader)?;
        self.scan(reader, end.saturating_add(1), high)?;
        for run in index::runs(reader, high, self.from, self.until_millis())? {
            if self.enough <= self.found.len() {
                break;
            }
            if let Some((low, end)) = self.span(reader, &run)? {
                self.scan(reader, low, end.saturating_add(1))?;
            }
        }
        Ok(())
    }

    fn span(
        &mut self,
        reader: &Reader<'_>,
        run: &index::Run,
    ) -> Result<Option<(i64, i64)>, MetaError> {
        if self.enough <= self.found.len() {
            return Ok(None);
        }
        self.rows += 1;
        run.span(reader, self.from, self.until_millis())
    }

    fn look_at(&mut self, reader: &Reader<'_>, seq: i64) -> Result<(), MetaError> {
        if self.enough <= self.found.len() {
            return Ok(());
        }
        let holds = |block: &Block| block.first_seq <= seq && seq <= block.last_seq;
        let block = match self.block.take().filter(holds) {
            Some(block) => block,
            None => {
                self.rows += 1;
                let Some(block) = blocks(reader, seq, 1)?.into_iter().find(holds) else {
                    return Ok(());
                };
                block
            }
        };
        if let Some((seq, record)) = block.numbered().find(|(number, _)| *number == seq) {
            self.consider(seq, record)?;
        }
        self.block = Some(block);
        Ok(())
    }

    /// A block says the time to the millisecond, its events to the second before.
    fn until_millis(&self) -> i64 {
        self.until.millis().saturating_add(999)
    }

    /// Looks at every event from `low` to before `high`, the newest first.
    fn scan(&mut self, reader: &Reader<'_>, low: i64, high: i64) -> Result<(), MetaError> {
        let mut high = high.min(self.wanted.before_seq.unwrap_or(i64::MAX));
        while self.found.len() < self.enough && low < high {
            let ahead = high.saturating_add(BLOCK_EVENTS_MAX);
            let until = self.until_millis();
            let range = params![low, ahead, high, self.from, until, BLOCKS_AT_ONCE];
            let blocks: Vec<(i64, i64, String)> = reader.query(BACKWARDS, range, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            let Some((_, first, _)) = blocks.last() else {
                return Ok(());
            };
            let next = *first;
            self.rows += blocks.len();
            for (_, first, records) in &blocks {
                self.scan_block(*first, records, low, high)?;
            }
            high = next;
        }
        Ok(())
    }

    fn scan_block(
        &mut self,
        first: i64,
        records: &str,
        low: i64,
        high: i64,
    ) -> Result<(), MetaError> {
        let numbered: Vec<(i64, &str)> = (first..).zip(records.split('\n')).collect();
        for (seq, record) in numbered.into_iter().rev() {
            let in_range = low <= seq && seq < high;
            if self.found.len() < self.enough && in_range {
                self.consider(seq, record)?;
            }
        }
        Ok(())
    }

    fn consider(&mut self, seq: i64, record: &str) -> Result<(), MetaError> {
        let facts = Facts::of(record)?;
        let at = facts.at()?;
        let fits = self.from <= at && at <= self.until;
        let attribute = self.wanted.attribute.as_ref();
        if fits && attribute.is_none_or(|attribute| facts.fulfil(attribute)) {
            self.found.push(facts.recorded(seq, at, record)?);
        }
        Ok(())
    }
}

/// The members of a record by which it is found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts<'r> {
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'r, str>,
    #[serde(borrow)]
    event_time: Cow<'r, str>,
    #[serde(borrow)]
    event_source: Cow<'r, str>,
    #[serde(borrow)]
    event_name: Cow<'r, str>,
    read_only: bool,
    #[serde(borrow)]
    user_identity: Identity<'r>,
    #[serde(borrow, default)]
    resources: Vec<Touched<'r>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'r> {
    #[serde(borrow, default)]
    arn: Cow<'r, str>,
    #[serde(borrow, default)]
    access_key_id: Cow<'r, str>,
    #[serde(borrow)]
    user_name: Option<Cow<'r, str>>,
    #[serde(borrow)]
    invoked_by: Option<Cow<'r, str>>,
}

impl Identity<'_> {
    /// A session goes by its own name, everyone else by the principal's.
    fn name(&self) -> &str {
        let last = || self.arn.rsplit(['/', ':']).next().unwrap_or_default();
        let own = self.user_name.as_deref().or(self.invoked_by.as_deref());
        own.unwrap_or_else(last)
    }
}

#[derive(Deserialize)]
struct Touched<'r> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'r, str>,
    #[serde(borrow, rename = "ARN", default)]
    arn: Cow<'r, str>,
}

impl Touched<'_> {
    fn is_called(&self, name: &str) -> bool {
        let short = || self.arn.parse::<Arn>().is_ok_and(|arn| arn.name() == name);
        self.arn == name || short()
    }
}

fn unreadable(reason: &dyn std::fmt::Display) -> MetaError {
    MetaError::Stored {
        what: "event",
        reason: reason.to_string(),
    }
}

impl<'r> Facts<'r> {
    pub(super) fn of(record: &'r str) -> Result<Self, MetaError> {
        serde_json::from_str(record).map_err(|error| unreadable(&error))
    }

    fn at(&self) -> Result<Timestamp, MetaError> {
        self.event_time.parse().map_err(|error| unreadable(&error))
    }

    fn fulfil(&self, attribute: &Attribute) -> bool {
        match attribute {
            Attribute::Id(id) => self.event_id == *id,
            Attribute::Name(name) => self.event_name == *name,
            Attribute::ReadOnly(flag) => self.read_only == *flag,
            Attribute::Source(source) => self.event_source == *source,
            Attribute::UserName(name) => self.user_identity.name() == name,
            Attribute::AccessKeyId(key) => self.user_identity.access_key_id == *key,
            Attribute::ResourceKind(kind) => self.resources.iter().any(|r| r.kind == *kind),
            Attribute::ResourceName(name) => self.resources.iter().any(|r| r.is_called(name)),
        }
    }

    /// The terms by which the event is found. An identifier that has a number needs none.
    pub(super) fn terms(&self) -> Vec<i64> {
        let mut attributes = vec![
            Attribute::Name(self.event_name.to_string()),
            Attribute::ReadOnly(self.read_only),
            Attribute::Source(self.event_source.to_string()),
            Attribute::UserName(self.user_identity.name().to_owned()),
            Attribute::AccessKeyId(self.user_identity.access_key_id.to_string()),
        ];
        if seq_of_id(&self.event_id).is_none() {
            attributes.push(Attribute::Id(self.event_id.to_string()));
        }
        for touched in &self.resources {
            attributes.push(Attribute::ResourceKind(touched.kind.to_string()));
            attributes.push(Attribute::ResourceName(touched.arn.to_string()));
            if let Ok(arn) = touched.arn.parse::<Arn>() {
                attributes.push(Attribute::ResourceName(arn.name().to_owned()));
            }
        }
        attributes.iter().map(index::term).collect()
    }

    fn recorded(&self, seq: i64, at: Timestamp, text: &str) -> Result<Recorded, MetaError> {
        Ok(Recorded {
            seq,
            id: self.event_id.to_string(),
            at,
            source: self.event_source.to_string(),
            name: self.event_name.to_string(),
            read_only: self.read_only,
            user_name: self.user_identity.name().to_owned(),
            access_key_id: self.user_identity.access_key_id.to_string(),
            resources: self
                .resources
                .iter()
                .map(|touched| (touched.kind.to_string(), touched.arn.to_string()))
                .collect(),
            record: serde_json::from_str(text).map_err(|error| unreadable(&error))?,
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
