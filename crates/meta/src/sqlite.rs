//! The store as one SQLite file.

use std::borrow::Cow;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::value::RowForm;
use crate::{MetaError, Row, Value, ValueRef};

/// How long a statement waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements that stay prepared: more than the product has, dynamic ones included.
const STATEMENTS_MAX: usize = 128;

pub(crate) fn connect(path: &Path) -> Result<Connection, MetaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // `synchronous=FULL` flushes the log at each commit: what is acknowledged survives power loss.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Sees to it that only the file's owner reads it: it holds what users keep here. SQLite gives the
/// files beside it the same mode.
pub(crate) fn protect(path: &Path) -> Result<(), MetaError> {
    let protect = || -> io::Result<()> {
        let owner_only = Permissions::from_mode(0o600);
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?
            .set_permissions(owner_only.clone())?;
        for beside in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(beside);
            match std::fs::set_permissions(name, owner_only.clone()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    };
    protect().map_err(|error| MetaError::Commit(error.to_string()))
}

/// Writes the file anew without what was overwritten or removed, and empties its log.
pub(crate) fn scrub(path: &Path) -> Result<(), MetaError> {
    let connection = connect(path)?;
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

pub(crate) fn query<T>(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    mut read: impl FnMut(&Row<'_>) -> Result<T, MetaError>,
) -> Result<Vec<T>, MetaError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Row(RowForm::Sqlite(row)))?);
    }
    Ok(found)
}

pub(crate) fn query_one<T>(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    read: impl FnOnce(&Row<'_>) -> Result<T, MetaError>,
) -> Result<Option<T>, MetaError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let mut rows = statement.raw_query();
    rows.next()?
        .map(|row| read(&Row(RowForm::Sqlite(row))))
        .transpose()
}

pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<usize, MetaError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    Ok(statement.raw_execute()?)
}

/// Runs a statement without parameters that stays prepared.
pub(crate) fn control(connection: &Connection, sql: &str) -> Result<(), MetaError> {
    connection.prepare_cached(sql)?.raw_execute()?;
    Ok(())
}

pub(crate) fn value_of<'r>(
    row: &'r rusqlite::Row<'_>,
    column: usize,
) -> Result<ValueRef<'r>, MetaError> {
    use rusqlite::types::ValueRef as Stored;
    Ok(match row.get_ref(column)? {
        Stored::Null => ValueRef::Null,
        Stored::Integer(n) => ValueRef::Integer(n),
        Stored::Real(n) => ValueRef::Real(n),
        Stored::Text(bytes) => ValueRef::Text(Cow::Borrowed(bytes)),
        Stored::Blob(bytes) => ValueRef::Bytes(bytes),
    })
}

/// The names of the first parameters, at hand because statements run thousands of times a second.
const NAMES: [&str; 16] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15",
    "$16",
];

/// Binds `params[0]` to `$1` and so on. A number may be used several times and in any order,
/// which SQLite alone would not give: to it, `$2` is only a name.
fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[Value]) -> Result<(), MetaError> {
    for (at, value) in params.iter().enumerate() {
        let name = NAMES.get(at).map_or_else(
            || Cow::Owned(format!("${}", at + 1)),
            |name| Cow::Borrowed(*name),
        );
        let Some(index) = statement.parameter_index(&name)? else {
            return Err(MetaError::Stored {
                what: "statement",
                reason: format!("it has no parameter {name}"),
            });
        };
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Integer(n) => statement.raw_bind_parameter(index, n)?,
            Value::Real(n) => statement.raw_bind_parameter(index, n)?,
            Value::Text(text) => statement.raw_bind_parameter(index, text)?,
            Value::Bytes(bytes) => statement.raw_bind_parameter(index, bytes)?,
        }
    }
    Ok(())
}
