//! Numbered, forward-only changes of the schema.

use rusqlite::Connection;

use crate::MetaError;

/// The migrations in order; the number of one is its position, counted from one.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_core.sql"),
    include_str!("../migrations/0002_identity.sql"),
    include_str!("../migrations/0003_objects.sql"),
    include_str!("../migrations/0004_telemetry.sql"),
    include_str!("../migrations/0005_jobs.sql"),
];

/// Applies every migration that the store does not have yet, all in one transaction.
pub(crate) fn run(connection: &mut Connection) -> Result<(), MetaError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY)",
    )?;
    let found: i64 = transaction.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_versions",
        [],
        |row| row.get(0),
    )?;
    if found > known {
        return Err(MetaError::FromTheFuture { found, known });
    }
    for (version, sql) in (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| found < *version)
    {
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO schema_versions (version) VALUES (?1)",
            [version],
        )?;
    }
    transaction.commit()?;
    Ok(())
}
