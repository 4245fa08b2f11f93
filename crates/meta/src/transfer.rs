//! Moving a store out of its file into a PostgreSQL database, whole or not at all.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::outbox::{self, Head};
use crate::session::{Place, Session};
use crate::{MetaError, Reader, Row, Tx, Value, migrate, params, postgres};

/// Rows that one statement brings: few enough for the largest, which hold some 64 KiB.
const ROWS_AT_ONCE: usize = 100;

/// Blocks of events that are checked at once.
const BLOCKS_AT_ONCE: u32 = 64;

const TABLES: &str = "SELECT name FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'schema_versions' ORDER BY name";
const COLUMNS: &str = "SELECT name FROM pragma_table_info($1) ORDER BY cid";

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Rows of each table.
    pub rows: Vec<(String, i64)>,
    /// The number of the last event; the chain up to it was computed anew from what arrived.
    pub events: i64,
}

/// Copies the store in the file `from` into the empty database at `url`, in one transaction.
///
/// The file's server must not run. The file stays as it is. Blocks on the disk and the network.
pub fn to_postgres(from: &Path, url: &str) -> Result<Moved, MetaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Session::Sqlite(Connection::open_with_flags(from, flags)?);
    source.begin_read()?;
    migrate::check_current(&Reader(&source))?;
    let target = Place::Postgres(Box::new(postgres::parse_url(url)?)).open()?;
    target.begin_write()?;
    let moved = fill(&Reader(&source), &mut Tx::new(&target));
    if moved.is_ok() {
        target.commit()?;
    } else {
        target.rollback();
    }
    moved
}

fn fill(source: &Reader<'_>, target: &mut Tx<'_>) -> Result<Moved, MetaError> {
    let tables = source.query(TABLES, params![], |row| row.get::<String>(0))?;
    refuse_used(target, &tables)?;
    let mut rows = Vec::with_capacity(tables.len());
    for table in tables {
        target.execute(&format!("DELETE FROM {table}"), params![])?;
        copy(source, target, &table)?;
        let (sent, arrived) = (count(source, &table)?, count(target, &table)?);
        if sent != arrived {
            return Err(MetaError::Transfer(format!(
                "of {sent} rows of {table} {arrived} arrived"
            )));
        }
        rows.push((table, arrived));
    }
    let events = check_chain(target)?.seq;
    Ok(Moved { rows, events })
}

/// A database that holds more than a schema just made is somebody's.
fn refuse_used(target: &Reader<'_>, tables: &[String]) -> Result<(), MetaError> {
    let fresh = Session::Sqlite(Connection::open_in_memory()?);
    migrate::run(&fresh)?;
    for table in tables {
        if count(&Reader(&fresh), table)? != count(target, table)? {
            return Err(MetaError::Occupied(table.clone()));
        }
    }
    match outbox::head(target)? {
        Head { seq: 0, .. } => Ok(()),
        Head { .. } => Err(MetaError::Occupied("event_head".to_owned())),
    }
}

fn count(reader: &Reader<'_>, table: &str) -> Result<i64, MetaError> {
    let sql = format!("SELECT count(*) FROM {table}");
    let count = reader.query_one(&sql, params![], |row| row.get(0))?;
    count.ok_or(MetaError::Abandoned)
}

/// The names of tables and columns are the schema's own.
fn copy(source: &Reader<'_>, target: &mut Tx<'_>, table: &str) -> Result<(), MetaError> {
    let columns = source.query(COLUMNS, params![table], |row| row.get::<String>(0))?;
    let names = columns.join(", ");
    let insert = |target: &mut Tx<'_>, values: &mut Vec<Value>| {
        if values.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (0..values.len() / columns.len().max(1))
            .map(|row| places(row * columns.len(), columns.len()))
            .collect();
        let rows = rows.join(", ");
        target.execute(
            &format!("INSERT INTO {table} ({names}) VALUES {rows}"),
            values,
        )?;
        values.clear();
        Ok::<(), MetaError>(())
    };
    let mut waiting = Vec::with_capacity(ROWS_AT_ONCE * columns.len());
    source.query(&format!("SELECT {names} FROM {table}"), params![], |row| {
        push(&mut waiting, row, columns.len())?;
        if ROWS_AT_ONCE * columns.len() <= waiting.len() {
            insert(target, &mut waiting)?;
        }
        Ok(())
    })?;
    insert(target, &mut waiting)
}

fn push(values: &mut Vec<Value>, row: &Row<'_>, columns: usize) -> Result<(), MetaError> {
    for column in 0..columns {
        values.push(row.get(column)?);
    }
    Ok(())
}

/// `($4, $5, $6)` for the three parameters after the first three.
fn places(before: usize, columns: usize) -> String {
    let numbers: Vec<String> = (1..=columns)
        .map(|column| format!("${}", before + column))
        .collect();
    format!("({})", numbers.join(", "))
}

/// Computes the chain of events anew from their records.
fn check_chain(reader: &Reader<'_>) -> Result<Head, MetaError> {
    let mut head = outbox::pruned(reader)?;
    loop {
        let blocks = outbox::blocks(reader, head.seq.saturating_add(1), BLOCKS_AT_ONCE)?;
        if blocks.is_empty() {
            break;
        }
        for block in blocks {
            for (_, record) in block.numbered() {
                head = head.after(record);
            }
            if head != Head::stored(block.last_seq, &block.chain)? {
                let seq = block.last_seq;
                return Err(broken(seq));
            }
        }
    }
    if head != outbox::head(reader)? {
        return Err(broken(head.seq));
    }
    Ok(head)
}

fn broken(seq: i64) -> MetaError {
    MetaError::Transfer(format!("the chain of events does not hold at {seq}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(places(0, 2), "($1, $2)");
        assert_eq!(places(2, 2), "($3, $4)");
    }
}
