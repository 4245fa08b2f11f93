//! One connection to the store, of either kind, and the statements that steer its transaction.

use std::path::PathBuf;

use crate::postgres::{self, Link};
use crate::postgres_url::Address;
use crate::{MetaError, migrate, sqlite};

/// Where a store lives.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a file, for one server.
    File(PathBuf),
    /// In a database that several servers may share.
    Postgres(Box<Address>),
}

impl Place {
    /// Connects to the store as it is.
    pub(crate) fn connect(&self) -> Result<Session, MetaError> {
        match self {
            Self::File(path) => Ok(Session::Sqlite(sqlite::connect(path)?)),
            Self::Postgres(address) => Ok(Session::Postgres(Link::connect(address)?)),
        }
    }

    /// Connects, checks that the store can keep its promises, and brings its schema up to date.
    pub(crate) fn open(&self) -> Result<Session, MetaError> {
        if let Self::File(path) = self {
            sqlite::protect(path)?;
        }
        let session = self.connect()?;
        if let Session::Postgres(link) = &session {
            postgres::check(link)?;
        }
        migrate::run(&session)?;
        Ok(session)
    }
}

/// A connection to the store.
#[derive(Debug)]
pub(crate) enum Session {
    Sqlite(rusqlite::Connection),
    Postgres(Link),
}

impl Session {
    /// Begins a transaction that writes. Of all servers on a database, one is in such at a time.
    pub(crate) fn begin_write(&self) -> Result<(), MetaError> {
        match self {
            Self::Sqlite(connection) => sqlite::control(connection, "BEGIN IMMEDIATE"),
            Self::Postgres(link) => link.batch(postgres::BEGIN_WRITE),
        }
    }

    /// Begins a transaction that reads one snapshot.
    pub(crate) fn begin_read(&self) -> Result<(), MetaError> {
        match self {
            Self::Sqlite(connection) => sqlite::control(connection, "BEGIN"),
            Self::Postgres(link) => link.batch(postgres::BEGIN_READ),
        }
    }

    /// Begins a change within a transaction.
    pub(crate) fn begin_change(&self) -> Result<(), MetaError> {
        self.control("SAVEPOINT change")
    }

    /// Keeps the change that was begun last.
    pub(crate) fn keep_change(&self) -> Result<(), MetaError> {
        self.control("RELEASE SAVEPOINT change")
    }

    /// Undoes the change that was begun last.
    pub(crate) fn undo_change(&self) -> Result<(), MetaError> {
        self.control("ROLLBACK TO SAVEPOINT change")?;
        self.control("RELEASE SAVEPOINT change")
    }

    /// Makes the transaction durable.
    pub(crate) fn commit(&self) -> Result<(), MetaError> {
        match self {
            Self::Sqlite(connection) => sqlite::control(connection, "COMMIT"),
            Self::Postgres(link) => link.commit(),
        }
    }

    /// Gives the transaction up. Says whether the session can be used again.
    pub(crate) fn rollback(&self) -> bool {
        match self {
            Self::Sqlite(connection) => {
                connection.is_autocommit() || sqlite::control(connection, "ROLLBACK").is_ok()
            }
            Self::Postgres(link) => link.is_sound() && link.batch("ROLLBACK").is_ok(),
        }
    }

    /// Runs the statements of a migration.
    pub(crate) fn script(&self, sql: &str) -> Result<(), MetaError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(link) => link.script(sql),
        }
    }

    fn control(&self, sql: &str) -> Result<(), MetaError> {
        match self {
            Self::Sqlite(connection) => sqlite::control(connection, sql),
            Self::Postgres(link) => link.batch(sql),
        }
    }
}
