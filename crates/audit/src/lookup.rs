//! Questions about events.

use sightline_identity::Permit;
use sightline_meta::Reader;
use sightline_meta::outbox::{self, Attribute, Lookup, Recorded};
use sightline_types::{Page, Timestamp};

use crate::{Audit, Error};

/// Which events to look up.
#[derive(Clone, Debug)]
pub struct EventsQuery {
    /// Only events that fulfil this.
    pub attribute: Option<Attribute>,
    /// Only events at or after this time.
    pub from: Option<Timestamp>,
    /// Only events at or before this time.
    pub until: Option<Timestamp>,
    /// Events on a page.
    pub limit: u32,
    /// The token of the page before.
    pub token: Option<String>,
}

impl Audit {
    /// One page of events, the newest first.
    pub async fn lookup(
        &self,
        permit: &Permit,
        wanted: EventsQuery,
    ) -> Result<Page<Recorded>, Error> {
        permit.expect_action("cloudtrail:LookupEvents");
        if let (Some(from), Some(until)) = (wanted.from, wanted.until)
            && until < from
        {
            return Err(Error::EmptyRange { from, until });
        }
        let before_seq = wanted
            .token
            .map(|token| token.parse::<i64>().map_err(|_| Error::InvalidToken))
            .transpose()?;
        let lookup = Lookup {
            attribute: wanted.attribute,
            from: wanted.from,
            until: wanted.until,
            before_seq,
            limit: wanted.limit,
        };
        let read = self
            .options
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup));
        Ok(read.await?)
    }

    /// The events after the one with this number, the oldest first, with their times.
    ///
    /// For the operator, who holds the data directory; no protocol reaches it.
    pub async fn events_after(
        &self,
        seq: i64,
        blocks_max: u32,
    ) -> Result<Vec<(i64, Timestamp, String)>, Error> {
        let first = seq.saturating_add(1);
        let read = move |reader: &Reader<'_>| outbox::blocks(reader, first, blocks_max);
        let mut events = Vec::new();
        for block in self.options.meta.read(read).await? {
            for (seq, record) in block.numbered().filter(|(number, _)| first <= *number) {
                let time = outbox::time_of(record).and_then(|text| text.parse().ok());
                events.push((seq, time.unwrap_or(block.at_min), record.to_owned()));
            }
        }
        Ok(events)
    }

    /// The number of the last event.
    pub async fn last_event(&self) -> Result<i64, Error> {
        Ok(self.options.meta.read(outbox::head).await?.seq)
    }
}
