//! What can go wrong with the metadata store itself.

use sightline_types::ErrorKind;

/// A failure of the metadata store. None of these is the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The database refused a statement.
    #[error("the metadata store refused a statement")]
    Database(#[from] rusqlite::Error),
    /// The transaction could not be made durable; nothing of it was kept.
    #[error("the metadata store could not commit: {0}")]
    Commit(String),
    /// A stored value does not have the form that the code expects.
    #[error("column {column} holds {found}, not {expected}")]
    Column {
        /// Index of the column in the query.
        column: usize,
        /// The form found.
        found: &'static str,
        /// The form expected.
        expected: &'static str,
    },
    /// A stored text could not be read back as what it was stored as.
    #[error("a stored {what} cannot be read: {reason}")]
    Stored {
        /// What was stored.
        what: &'static str,
        /// Why it cannot be read.
        reason: String,
    },
    /// The data directory was written by a later release.
    #[error(
        "the metadata store has schema {found}, this release knows {known}: use a newer release"
    )]
    FromTheFuture {
        /// The schema number found.
        found: i64,
        /// The newest schema number of this release.
        known: i64,
    },
    /// The store has been closed, or the operation itself panicked.
    #[error("the metadata store did not finish the operation")]
    Abandoned,
}

impl MetaError {
    /// Where these failures stand among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}
