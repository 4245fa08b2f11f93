//! Values, rows and the two views of a transaction, free of the drivers' types.

use std::borrow::Cow;
use std::ops::Deref;

use sightline_types::Timestamp;

use crate::MetaError;
use crate::outbox::Sealed;
use crate::session::Session;

/// A value that a statement takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($source:ty => $make:expr),+ $(,)?) => {
        $(impl From<$source> for Value {
            fn from(source: $source) -> Self {
                $make(source)
            }
        })+
    };
}

value_from! {
    i64 => Value::Integer,
    i32 => |n: i32| Value::Integer(n.into()),
    u32 => |n: u32| Value::Integer(n.into()),
    bool => |b: bool| Value::Integer(b.into()),
    f64 => Value::Real,
    String => Value::Text,
    &str => |s: &str| Value::Text(s.to_owned()),
    &String => |s: &String| Value::Text(s.clone()),
    &[u8] => |bytes: &[u8]| Value::Bytes(bytes.to_vec()),
    Timestamp => |t: Timestamp| Value::Integer(t.millis()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(source: Option<T>) -> Self {
        source.map_or(Self::Null, Into::into)
    }
}

/// Makes the parameter list of a statement: `params![name, at]` for `$1` and `$2`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::Value::from($value)),*] as &[$crate::Value]
    };
}

/// A value that a row holds, borrowed from it.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueRef<'r> {
    /// SQL's NULL.
    Null,
    /// A whole number, or a truth value as 0 or 1.
    Integer(i64),
    /// A floating number.
    Real(f64),
    /// A text.
    Text(Cow<'r, [u8]>),
    /// Bytes.
    Bytes(&'r [u8]),
    /// Anything else, which no table of ours has.
    Other,
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What the type is called in errors.
    const NAME: &'static str;

    /// Reads the value, or gives `None` when it has another form.
    fn from_value(value: ValueRef<'_>) -> Option<Self>;
}

macro_rules! from_value {
    ($($target:ty, $name:literal, $pattern:pat => $read:expr;)+) => {
        $(impl FromValue for $target {
            const NAME: &'static str = $name;

            fn from_value(value: ValueRef<'_>) -> Option<Self> {
                if let $pattern = value { $read } else { None }
            }
        })+
    };
}

from_value! {
    i64, "a whole number", ValueRef::Integer(n) => Some(n);
    u32, "a whole number", ValueRef::Integer(n) => u32::try_from(n).ok();
    u64, "a whole number", ValueRef::Integer(n) => u64::try_from(n).ok();
    bool, "a truth value", ValueRef::Integer(n) => Some(n != 0);
    f64, "a number", ValueRef::Real(n) => Some(n);
    String, "a text", ValueRef::Text(bytes) => String::from_utf8(bytes.into_owned()).ok();
    Vec<u8>, "bytes", ValueRef::Bytes(bytes) => Some(bytes.to_vec());
    Timestamp, "a time", ValueRef::Integer(n) => Some(Timestamp::from_millis(n));
}

impl FromValue for Value {
    const NAME: &'static str = "a value";

    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(Self::Null),
            ValueRef::Integer(n) => Some(Self::Integer(n)),
            ValueRef::Real(n) => Some(Self::Real(n)),
            ValueRef::Text(bytes) => String::from_utf8(bytes.into_owned()).ok().map(Self::Text),
            ValueRef::Bytes(bytes) => Some(Self::Bytes(bytes.to_vec())),
            ValueRef::Other => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: ValueRef<'_>) -> Option<Self> {
        if matches!(value, ValueRef::Null) {
            Some(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}

/// One row of an answer.
#[derive(Debug)]
pub struct Row<'r>(pub(crate) RowForm<'r>);

/// A row as its driver gives it.
#[derive(Debug)]
pub(crate) enum RowForm<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of the column with this index, counted from zero.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, MetaError> {
        let value = match self.0 {
            RowForm::Sqlite(row) => crate::sqlite::value_of(row, column)?,
            RowForm::Postgres(row) => crate::postgres::value_of(row, column)?,
        };
        let found = form_name(&value);
        T::from_value(value).ok_or(MetaError::Column {
            column,
            found,
            expected: T::NAME,
        })
    }
}

fn form_name(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "nothing",
        ValueRef::Integer(_) => "a whole number",
        ValueRef::Real(_) => "a number",
        ValueRef::Text(_) => "a text",
        ValueRef::Bytes(_) => "bytes",
        ValueRef::Other => "something else",
    }
}

/// A consistent view of the store that only reads.
#[derive(Debug)]
pub struct Reader<'c>(pub(crate) &'c Session);

impl Reader<'_> {
    /// All rows of an answer, each turned into a `T` by `read`.
    pub fn query<T>(
        &self,
        sql: &str,
        params: &[Value],
        read: impl FnMut(&Row<'_>) -> Result<T, MetaError>,
    ) -> Result<Vec<T>, MetaError> {
        match self.0 {
            Session::Sqlite(connection) => crate::sqlite::query(connection, sql, params, read),
            Session::Postgres(link) => link.query(sql, params, read),
        }
    }

    /// The first row of an answer, if it has one.
    pub fn query_one<T>(
        &self,
        sql: &str,
        params: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, MetaError>,
    ) -> Result<Option<T>, MetaError> {
        match self.0 {
            Session::Sqlite(connection) => crate::sqlite::query_one(connection, sql, params, read),
            Session::Postgres(link) => link.query_one(sql, params, read),
        }
    }
}

impl Reader<'_> {
    /// What the clock of the store says, which all servers on it share.
    pub fn database_time(&self) -> Result<Timestamp, MetaError> {
        let sql = match self.0 {
            Session::Sqlite(_) => {
                "SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
            }
            Session::Postgres(_) => {
                "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
            }
        };
        let time = self.query_one(sql, &[], |row| row.get(0))?;
        time.ok_or(MetaError::Abandoned)
    }
}

/// A transaction that may change the store. It reads its own changes.
#[derive(Debug)]
pub struct Tx<'c> {
    reader: Reader<'c>,
    /// What this transaction has recorded so far; the writer stores it if the change stands.
    pub(crate) events: Vec<Sealed>,
}

impl<'c> Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(session: &'c Session) -> Self {
        Self {
            reader: Reader(session),
            events: Vec::new(),
        }
    }

    /// Runs a statement that answers no rows, and gives the number of rows that it changed.
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<usize, MetaError> {
        match self.reader.0 {
            Session::Sqlite(connection) => crate::sqlite::execute(connection, sql, params),
            Session::Postgres(link) => link.execute(sql, params),
        }
    }
}
