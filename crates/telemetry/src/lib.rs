//! Log groups, streams and lines: what running things print, kept in order and read by position.
//!
//! Owns the `log_groups`, `log_streams` and `log_events` tables. Any engine whose work prints may
//! write here; this crate must never know what a job or an endpoint is. Start at
//! [`Telemetry::writer`] for the side that prints and [`Telemetry::events`] for the side that
//! reads.

mod query;
mod store;
mod writer;

pub use query::{Direction, EVENTS_MAX, EventsPage, EventsQuery, Start, StreamOrder, StreamsQuery};
pub use store::{LogEvent, LogGroup, LogStream};
pub use writer::{LogLine, LogWriter};

use std::sync::Arc;

use sightline_identity::Permit;
use sightline_meta::{Meta, MetaError};
use sightline_ports::Clock;
use sightline_types::{AccountId, Arn, ErrorKind, Page, Region};

/// Why logs could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No group has this name.
    #[error("log group {0} does not exist")]
    GroupNotFound(String),
    /// The group has no stream of this name.
    #[error("log stream {stream} does not exist in group {group}")]
    StreamNotFound {
        /// The group looked in.
        group: String,
        /// The stream looked for.
        stream: String,
    },
    /// The token is not one that a page of this stream gave.
    #[error("the page token is not valid")]
    InvalidToken,
    /// The store failed.
    #[error("could not reach the log store")]
    Meta(#[from] MetaError),
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::GroupNotFound(_) | Self::StreamNotFound { .. } => ErrorKind::NotFound,
            Self::InvalidToken => ErrorKind::Invalid,
            Self::Meta(source) => source.kind(),
        }
    }
}

/// The telemetry engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Telemetry {
    meta: Meta,
    clock: Arc<dyn Clock>,
}

impl Telemetry {
    /// Makes the engine over a store.
    #[must_use]
    pub fn new(meta: Meta, clock: Arc<dyn Clock>) -> Self {
        Self { meta, clock }
    }

    /// The ARN of a group, in the form that `DescribeLogGroups` gives.
    #[must_use]
    pub fn group_arn(region: &Region, account: &AccountId, group: &str) -> Arn {
        Arn::new("logs", region, account, &format!("log-group:{group}:*"))
    }

    /// Opens a stream for writing, making it and its group if absent.
    pub async fn writer(
        &self,
        permit: &Permit,
        group: &str,
        stream: &str,
    ) -> Result<LogWriter, Error> {
        permit.expect_action("logs:PutLogEvents");
        let (group, stream) = (group.to_owned(), stream.to_owned());
        let now = self.clock.now();
        let opened = self
            .meta
            .write(move |tx| store::open_stream(tx, &group, &stream, now))
            .await?;
        Ok(LogWriter::start(
            self.meta.clone(),
            Arc::clone(&self.clock),
            opened,
        ))
    }

    /// Groups whose names begin with `prefix`, in order of name, after the name `after`.
    pub async fn groups(
        &self,
        permit: &Permit,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Page<LogGroup>, Error> {
        permit.expect_action("logs:DescribeLogGroups");
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        Ok(self
            .meta
            .read(move |r| store::groups(r, &prefix, &after, limit))
            .await?)
    }

    /// Streams of a group.
    pub async fn streams(
        &self,
        permit: &Permit,
        wanted: StreamsQuery,
    ) -> Result<Page<LogStream>, Error> {
        permit.expect_action("logs:DescribeLogStreams");
        self.meta
            .read(move |reader| query::streams(reader, &wanted))
            .await
    }

    /// Lines of a stream, from a position or a time on.
    pub async fn events(&self, permit: &Permit, wanted: EventsQuery) -> Result<EventsPage, Error> {
        permit.expect_action("logs:GetLogEvents");
        self.meta
            .read(move |reader| query::events(reader, &wanted))
            .await
    }
}
