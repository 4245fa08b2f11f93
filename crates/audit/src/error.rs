//! Why something about activity could not be done.

use sightline_meta::MetaError;
use sightline_types::{ErrorKind, Timestamp};

/// Why activity could not be looked up, delivered or verified.
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
    /// The trail's bucket failed.
    #[error("could not reach the bucket of the trail")]
    Objects(#[from] sightline_objects::Error),
    /// A name that the trail needs is not one that can be.
    #[error("the trail cannot be called {0:?}")]
    Name(String),
    /// A key that signs digests cannot be used.
    #[error("a key that signs digests cannot be used: {0}")]
    Key(String),
    /// A file or a thread failed.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Events that a log file was begun with are not as they were.
    #[error("events {first} to {last} are not what they were when their log file was begun")]
    Changed {
        /// The file's first event.
        first: i64,
        /// Its last.
        last: i64,
    },
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyRange { .. } | Self::InvalidToken => ErrorKind::Invalid,
            Self::Meta(source) => source.kind(),
            Self::Objects(source) => source.kind(),
            Self::Name(_) | Self::Key(_) | Self::Io { .. } | Self::Changed { .. } => {
                ErrorKind::Internal
            }
        }
    }
}
