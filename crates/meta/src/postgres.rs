//! A connection to PostgreSQL that answers within a bounded time or is given up.
//!
//! The closures of [`Meta`](crate::Meta) are synchronous, so a link drives its connection itself,
//! on the thread that asks. Whatever leaves a connection in doubt makes it unsound for good; the
//! next user of the store gets another one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::error::chain;
use crate::postgres_url::{self, Address};
use crate::postgres_value::{Param, param};
use crate::value::RowForm;
use crate::{MetaError, Row, Value};

pub(crate) use crate::postgres_value::value_of;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a statement may take on the server, which then ends it.
const STATEMENT_TIMEOUT_MS: u32 = 30_000;

/// How long a writer waits for those of other servers: each holds the lock for one commit.
const LOCK_TIMEOUT_MS: u32 = 20_000;

/// How long a server may pause inside a transaction before the database ends it, so that a frozen
/// server keeps nobody else from writing.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: u32 = 30_000;

/// How long an answer may take. Longer than the server's own bounds, which say more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// How long a migration may take: it may rewrite whole tables.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Statements that stay prepared in one connection; when there are more, all are let go.
const STATEMENTS_MAX: usize = 256;

/// Begins a transaction and takes the writer's turn, which ends with it. The number is ours alone
/// within a database: the letters `sightlin`.
pub(crate) const BEGIN_WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(8316291885243853166)";

pub(crate) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// `COMMIT` of a transaction in which a statement failed succeeds and keeps nothing. The statement
/// before it fails then, and so does the whole.
const COMMIT: &str = "SELECT 1; COMMIT";

/// Keeps what is acknowledged: a role or database may have set commits to be lazy.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Whether texts are ordered by their bytes, as keys, names and page tokens expect.
const ORDERED_BY_BYTES: &str = "SELECT 'B' < 'a' AND 'a b' < 'ab' AND 'a-b' < 'aa' AND 'Z' < '_'
    AND 'z' < U&'\\00E9' AND U&'\\FFFD' < U&'\\+01F600'";
const ENCODING: &str = "SELECT pg_encoding_to_char(encoding) FROM pg_database
    WHERE datname = current_database()";
const FSYNC: &str = "SELECT current_setting('fsync')";

/// A connection and what is prepared in it.
pub(crate) struct Link {
    /// Drives the connection while an answer is waited for. Taken by the drop only.
    runtime: Option<Runtime>,
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    unsound: Cell<bool>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Drop for Link {
    /// Closes the connection without waiting, which is allowed on any thread.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    /// Makes a connection.
    pub(crate) fn connect(address: &Address) -> Result<Self, MetaError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| MetaError::Unreachable(error.to_string()))?;
        let session = format!(
            "SET statement_timeout = {STATEMENT_TIMEOUT_MS}; SET lock_timeout = {LOCK_TIMEOUT_MS};
             SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_TIMEOUT_MS};
             SET client_min_messages = warning; {DURABLE}"
        );
        let connecting = async {
            let config = &address.config;
            // The connection's end is seen by whoever waits for an answer.
            let client = match address.encryption.clone() {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    runtime.spawn(async move { drop(connection.await) });
                    client
                }
                Some(encryption) => {
                    let (client, connection) = config.connect(encryption).await?;
                    runtime.spawn(async move { drop(connection.await) });
                    client
                }
            };
            client.batch_execute(&session).await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        let connected =
            runtime.block_on(async { tokio::time::timeout(CONNECT_TIMEOUT, connecting).await });
        let client = match connected {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(MetaError::Unreachable(chain(&error))),
            Err(_) => return Err(no_answer(CONNECT_TIMEOUT)),
        };
        Ok(Self {
            runtime: Some(runtime),
            client,
            statements: RefCell::default(),
            unsound: Cell::new(false),
        })
    }

    /// Whether the connection is not known to be lost or in doubt.
    pub(crate) fn is_sound(&self) -> bool {
        !self.unsound.get() && !self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), MetaError> {
        self.wait(ANSWER_TIMEOUT, self.client.batch_execute(sql))
    }

    /// Runs the statements of a migration, which may take long.
    pub(crate) fn script(&self, sql: &str) -> Result<(), MetaError> {
        let sql = format!("SET LOCAL statement_timeout = 0; {sql}");
        self.wait(SCRIPT_TIMEOUT, self.client.batch_execute(&sql))
    }

    /// Commits. When the connection is lost before the answer, nobody knows what became of it.
    pub(crate) fn commit(&self) -> Result<(), MetaError> {
        match self.batch(COMMIT) {
            Err(MetaError::Unreachable(reason)) => Err(MetaError::OutcomeUnknown(reason)),
            done => done,
        }
    }

    pub(crate) fn query<T>(
        &self,
        sql: &str,
        params: &[Value],
        mut read: impl FnMut(&Row<'_>) -> Result<T, MetaError>,
    ) -> Result<Vec<T>, MetaError> {
        let rows = self.rows(sql, params)?;
        rows.iter()
            .map(|row| read(&Row(RowForm::Postgres(row))))
            .collect()
    }

    pub(crate) fn query_one<T>(
        &self,
        sql: &str,
        params: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, MetaError>,
    ) -> Result<Option<T>, MetaError> {
        let rows = self.rows(sql, params)?;
        rows.first()
            .map(|row| read(&Row(RowForm::Postgres(row))))
            .transpose()
    }

    fn rows(&self, sql: &str, params: &[Value]) -> Result<Vec<tokio_postgres::Row>, MetaError> {
        let statement = self.prepare(sql)?;
        let values = params_of(&statement, params)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        self.wait(ANSWER_TIMEOUT, self.client.query(&statement, &values))
    }

    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> Result<usize, MetaError> {
        let statement = self.prepare(sql)?;
        let values = params_of(&statement, params)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let changed = self.wait(ANSWER_TIMEOUT, self.client.execute(&statement, &values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn prepare(&self, sql: &str) -> Result<Statement, MetaError> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(ANSWER_TIMEOUT, self.client.prepare(sql))?;
        let mut statements = self.statements.borrow_mut();
        if STATEMENTS_MAX <= statements.len() {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn wait<T>(
        &self,
        bound: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, MetaError> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.unsound.get()) else {
            return Err(MetaError::Unreachable("the connection was lost".to_owned()));
        };
        match runtime.block_on(async { tokio::time::timeout(bound, answer).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if is_refusal(&error) => Err(MetaError::Postgres(error)),
            Ok(Err(error)) => {
                self.unsound.set(true);
                Err(MetaError::Unreachable(chain(&error)))
            }
            Err(_) => {
                self.unsound.set(true);
                Err(no_answer(bound))
            }
        }
    }
}

/// Whether the database refused a statement and the connection goes on.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let Some(refused) = error.as_db_error() else {
        return false;
    };
    // Class 57P: the database is being shut down, or has ended this session. A lock or statement
    // that took too long says that the database cannot serve us at present.
    let code = refused.code().code();
    !(code.starts_with("57P") || matches!(code, "55P03" | "57014" | "25P03" | "53300"))
}

fn no_answer(bound: Duration) -> MetaError {
    MetaError::Unreachable(format!("it did not answer within {} s", bound.as_secs()))
}

fn params_of<'v>(statement: &Statement, params: &'v [Value]) -> Result<Vec<Param<'v>>, MetaError> {
    let kinds = statement.params();
    if kinds.len() != params.len() {
        let (takes, given) = (kinds.len(), params.len());
        return Err(MetaError::Stored {
            what: "statement",
            reason: format!("it takes {takes} parameters and is given {given}"),
        });
    }
    kinds
        .iter()
        .zip(params)
        .map(|(kind, value)| param(kind, value))
        .collect()
}

/// Reads a URL, and refuses what would not be kept.
pub(crate) fn parse_url(url: &str) -> Result<Address, MetaError> {
    postgres_url::parse(url, (CONNECT_TIMEOUT, ANSWER_TIMEOUT))
}

/// Checks that the database orders texts as the product expects, and keeps what it commits.
pub(crate) fn check(link: &Link) -> Result<(), MetaError> {
    let by_bytes = link.query_one(ORDERED_BY_BYTES, &[], |row| row.get::<bool>(0))?;
    let encoding = link.query_one(ENCODING, &[], |row| row.get::<String>(0))?;
    if by_bytes != Some(true) || encoding.as_deref() != Some("UTF8") {
        return Err(MetaError::Collation);
    }
    let fsync = link.query_one(FSYNC, &[], |row| row.get::<String>(0))?;
    if fsync.as_deref() != Some("on") {
        tracing::warn!("the database runs with fsync off: a power loss may lose what was answered");
    }
    Ok(())
}
