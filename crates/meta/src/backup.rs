//! Copies of a store in a file, made while its server goes on writing.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::session::Session;
use crate::{MetaError, Reader};

/// How long a statement waits for the server that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a copy is begun anew when the store is locked.
const ATTEMPTS_MAX: u32 = 600;

/// The pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// Complaints of a check that are told; the first says enough.
const COMPLAINTS_MAX: usize = 20;

/// Writes to `to` what the store at `from` holds at one moment, checked and durable.
///
/// The store's server may run and write meanwhile. Blocks on the disk.
pub fn copy(from: &Path, to: &Path) -> Result<(), MetaError> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut target = open(to, flags)?;
    let backup = Backup::new(&source, &mut target)?;
    let mut attempts = 0;
    // All pages in one step: what is copied page by page begins anew with each foreign write.
    while backup.step(-1)? != StepResult::Done {
        attempts += 1;
        if attempts == ATTEMPTS_MAX {
            return Err(damaged(from, "it stayed locked"));
        }
        std::thread::sleep(ATTEMPT_PAUSE);
    }
    drop(backup);
    // One file that stands for itself, without a log beside it.
    target.execute_batch("PRAGMA journal_mode=DELETE")?;
    if let Some(complaint) = complaints_of(&target)?.first() {
        return Err(damaged(from, complaint));
    }
    drop(target);
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| MetaError::Commit(error.to_string()))
}

/// What is wrong with the structure of the store at `path`; nothing if it is whole.
pub fn complaints(path: &Path) -> Result<Vec<String>, MetaError> {
    complaints_of(&open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// Reads a copy, which must not be in use.
pub fn read<T, E: From<MetaError>>(
    path: &Path,
    work: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    work(&Reader(&Session::Sqlite(connection)))
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, MetaError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn complaints_of(connection: &Connection) -> Result<Vec<String>, MetaError> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut complaints = Vec::new();
    for row in rows.take(COMPLAINTS_MAX) {
        let complaint = row?;
        if complaint != "ok" {
            complaints.push(complaint);
        }
    }
    Ok(complaints)
}

fn damaged(path: &Path, reason: &str) -> MetaError {
    MetaError::Stored {
        what: "database",
        reason: format!("{}: {reason}", path.display()),
    }
}
