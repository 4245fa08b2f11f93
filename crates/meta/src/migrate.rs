//! Numbered, forward-only changes of the schema.

use crate::session::Session;
use crate::{MetaError, Reader, Tx, outbox, params};

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
    (6, include_str!("../migrations/0006_access.sql"), NOTHING),
    (7, include_str!("../migrations/0007_versions.sql"), NOTHING),
    (
        8,
        include_str!("../migrations/0008_event_chain.sql"),
        outbox::adopt,
    ),
    (9, include_str!("../migrations/0009_leases.sql"), NOTHING),
    (
        10,
        include_str!("../migrations/0010_small_blobs.sql"),
        NOTHING,
    ),
    (18, include_str!("../migrations/0018_trail.sql"), NOTHING),
    (
        19,
        include_str!("../migrations/0019_job_servers.sql"),
        NOTHING,
    ),
    (
        29,
        include_str!("../migrations/0029_unnamed_blobs.sql"),
        NOTHING,
    ),
    (
        32,
        include_str!("../migrations/0032_upload_age.sql"),
        NOTHING,
    ),
];

const MAKE_VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY)";
const VERSIONS: &str = "SELECT version FROM schema_versions ORDER BY version";
const ADD_VERSION: &str = "INSERT INTO schema_versions (version) VALUES ($1)";

/// Applies every migration that the store does not have yet, all in one transaction.
pub(crate) fn run(session: &Session) -> Result<(), MetaError> {
    session.begin_write()?;
    let applied = apply(session, &mut Tx::new(session));
    if applied.is_ok() {
        return session.commit();
    }
    session.rollback();
    applied
}

/// Fails unless the store has exactly the schema of this release.
pub(crate) fn check_current(reader: &Reader<'_>) -> Result<(), MetaError> {
    let found: Vec<i64> = reader.query(VERSIONS, params![], |row| row.get(0))?;
    refuse_later(&found)?;
    let all = MIGRATIONS.iter().all(|(number, ..)| found.contains(number));
    all.then_some(()).ok_or(MetaError::Outdated)
}

fn refuse_later(found: &[i64]) -> Result<(), MetaError> {
    let known = MIGRATIONS.last().map_or(0, |(number, ..)| *number);
    match found.last().copied().filter(|found| known < *found) {
        Some(found) => Err(MetaError::FromTheFuture { found, known }),
        None => Ok(()),
    }
}

fn apply(session: &Session, tx: &mut Tx<'_>) -> Result<(), MetaError> {
    session.script(MAKE_VERSIONS)?;
    let found: Vec<i64> = tx.query(VERSIONS, params![], |row| row.get(0))?;
    refuse_later(&found)?;
    for (number, sql, then) in MIGRATIONS {
        if !found.contains(number) {
            session.script(sql)?;
            then(tx)?;
            tx.execute(ADD_VERSION, params![*number])?;
        }
    }
    Ok(())
}
