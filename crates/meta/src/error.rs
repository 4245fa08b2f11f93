//! What can go wrong with the metadata store itself.

use sightline_types::ErrorKind;

/// A failure of the metadata store. None of these is the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The database refused a statement.
    #[error("the metadata store refused a statement")]
    Database(#[from] rusqlite::Error),
    /// The database server refused a statement.
    #[error("the metadata store refused a statement")]
    Postgres(#[from] tokio_postgres::Error),
    /// The database server cannot be reached, or has not answered in time; nothing was kept.
    #[error("the metadata store cannot be reached: {0}")]
    Unreachable(String),
    /// The database server was lost while a change was being made durable.
    #[error("the metadata store was lost at a commit, which may or may not be kept: {0}")]
    OutcomeUnknown(String),
    /// The URL of the database cannot be used.
    #[error("the URL of the metadata store cannot be used: {0}")]
    Url(String),
    /// The database does not order texts by their bytes.
    #[error(
        "the database must hold UTF-8 and order texts by their bytes; make it with: CREATE \
         DATABASE name TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    )]
    Collation,
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
    /// The data directory was written by an earlier release, whose schema has to be changed first.
    #[error("the metadata store is of an earlier release: start this one on it once")]
    Outdated,
    /// The database that a store is to be moved into holds something already.
    #[error("the database is in use: its table {0} holds something; give an empty database")]
    Occupied(String),
    /// What arrived is not what was sent.
    #[error("the metadata store could not be moved: {0}")]
    Transfer(String),
    /// The store has been closed, or the operation itself panicked.
    #[error("the metadata store did not finish the operation")]
    Abandoned,
}

impl MetaError {
    /// Where these failures stand among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::OutcomeUnknown(_) => ErrorKind::Unavailable,
            Self::Database(_)
            | Self::Postgres(_)
            | Self::Url(_)
            | Self::Collation
            | Self::Commit(_)
            | Self::Column { .. }
            | Self::Stored { .. }
            | Self::FromTheFuture { .. }
            | Self::Outdated
            | Self::Occupied(_)
            | Self::Transfer(_)
            | Self::Abandoned => ErrorKind::Internal,
        }
    }

    /// The failure of a whole group of changes as one of them hears it.
    pub(crate) fn of_group(&self) -> Self {
        match self {
            Self::Unreachable(reason) => Self::Unreachable(reason.clone()),
            Self::OutcomeUnknown(reason) => Self::OutcomeUnknown(reason.clone()),
            Self::Database(_)
            | Self::Postgres(_)
            | Self::Url(_)
            | Self::Collation
            | Self::Commit(_)
            | Self::Column { .. }
            | Self::Stored { .. }
            | Self::FromTheFuture { .. }
            | Self::Outdated
            | Self::Occupied(_)
            | Self::Transfer(_)
            | Self::Abandoned => Self::Commit(chain(self)),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
