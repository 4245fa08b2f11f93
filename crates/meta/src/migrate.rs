//! Numbered, forward-only changes of the schema.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::{MetaError, Tx, outbox};

/// What a migration does beyond its SQL.
type Then = fn(&mut Tx<'_>) -> Result<(), MetaError>;

const NOTHING: Then = |_| Ok(());

/// The migrations by their numbers, in order.
const MIGRATIONS: &[(i64, &str, Then)] = &[
    (1, include_str!("../migrations/0001_core.sql"), NOTHING),
    (2, include_str!("../migrations/0002_identity.sql"), NOTHING),
    (3, include_str!("../migrations/0003_objects.sql"), NOTHING),
    (4, include_str!("../migrations/0004_telemetry.sql"), NOTHING),
    (5, include_str!("../migrations/0005_jobs.sql"), NOTHING),
    (7, include_str!("../migrations/0007_versions.sql"), NOTHING),
    (
        8,
        include_str!("../migrations/0008_event_chain.sql"),
        outbox::adopt,
    ),
];

/// Applies every migration that the store does not have yet, all in one transaction.
pub(crate) fn run(connection: &mut Connection) -> Result<(), MetaError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY)",
    )?;
    let done = applied(&transaction)?;
    let known = MIGRATIONS.last().map_or(0, |(number, ..)| *number);
    if let Some(found) = done.last().copied().filter(|found| known < *found) {
        return Err(MetaError::FromTheFuture { found, known });
    }
    for (number, sql, then) in MIGRATIONS {
        if done.contains(number) {
            continue;
        }
        transaction.execute_batch(sql)?;
        then(&mut Tx::new(&transaction))?;
        transaction.execute(
            "INSERT INTO schema_versions (version) VALUES (?1)",
            [number],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

fn applied(connection: &Connection) -> Result<BTreeSet<i64>, MetaError> {
    let mut statement = connection.prepare("SELECT version FROM schema_versions")?;
    let versions = statement.query_map([], |row| row.get(0))?;
    Ok(versions.collect::<Result<_, _>>()?)
}
