//! Activity: what happened, by whom, to what, read back from the outbox.
//!
//! Reads the `events` of `meta`, which engines and the front door write; it changes nothing. It
//! must never know what an event means. Start at [`Audit::lookup`].

use sightline_identity::Permit;
use sightline_meta::outbox::{self, Lookup};
use sightline_meta::{Meta, MetaError};
use sightline_types::{ErrorKind, Page, Timestamp};

pub use sightline_meta::outbox::{Attribute, Recorded};

/// Why activity could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The range of time ends before it starts.
    #[error("the start time {from} is later than the end time {until}")]
    EmptyRange {
        /// Where the range starts.
        from: Timestamp,
        /// Where it ends.
        until: Timestamp,
    },
    /// The token is not one that a page gave.
    #[error("the page token is not valid")]
    InvalidToken,
    /// The store failed.
    #[error("could not reach the event store")]
    Meta(#[from] MetaError),
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyRange { .. } | Self::InvalidToken => ErrorKind::Invalid,
            Self::Meta(source) => source.kind(),
        }
    }
}

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

/// The audit engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Audit {
    meta: Meta,
}

impl Audit {
    /// Makes the engine over a store.
    #[must_use]
    pub fn new(meta: Meta) -> Self {
        Self { meta }
    }

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
        Ok(self
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup))
            .await?)
    }
}
