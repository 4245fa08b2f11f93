//! Values as PostgreSQL takes and gives them.
//!
//! Two things differ from SQLite. A statement's parameters have types, which decide how a value is
//! sent. And a text cannot hold the character NUL, so NUL and the character after it are stored as
//! pairs that begin with U+0001: this keeps equality, prefixes and the order of bytes.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use crate::{MetaError, Value, ValueRef};

/// The character that begins a pair.
const MARK: char = '\u{1}';

/// A value in the form that its parameter takes.
#[derive(Debug)]
pub(crate) enum Param<'v> {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Text(Cow<'v, str>),
    Bytes(&'v [u8]),
}

/// The form of a value for a parameter of this type.
pub(crate) fn param<'v>(kind: &Type, value: &'v Value) -> Result<Param<'v>, MetaError> {
    let found = match (value, kind) {
        (Value::Null, _) => Some(Param::Null),
        (Value::Integer(n), &Type::INT8) => Some(Param::Int8(*n)),
        (Value::Integer(n), &Type::INT4) => i32::try_from(*n).ok().map(Param::Int4),
        (Value::Integer(n), &Type::INT2) => i16::try_from(*n).ok().map(Param::Int2),
        (Value::Integer(n), &Type::BOOL) => Some(Param::Bool(*n != 0)),
        (Value::Real(x), &Type::FLOAT8) => Some(Param::Float8(*x)),
        (Value::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => {
            Some(Param::Text(escaped(text)))
        }
        (Value::Bytes(bytes), &Type::BYTEA) => Some(Param::Bytes(bytes)),
        _ => None,
    };
    found.ok_or_else(|| MetaError::Stored {
        what: "statement",
        reason: format!("a parameter of type {kind} is given {value:?}"),
    })
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(truth) => truth.to_sql(kind, out),
            Self::Int2(n) => n.to_sql(kind, out),
            Self::Int4(n) => n.to_sql(kind, out),
            Self::Int8(n) => n.to_sql(kind, out),
            Self::Float8(x) => x.to_sql(kind, out),
            Self::Text(text) => text.as_ref().to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    /// [`param`] has chosen the form by the type.
    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A value of a row.
struct Cell<'r>(ValueRef<'r>);

impl<'r> FromSql<'r> for Cell<'r> {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => ValueRef::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => ValueRef::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => ValueRef::Integer(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => ValueRef::Integer(bool::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => ValueRef::Real(f64::from_sql(kind, raw)?),
            Type::FLOAT4 => ValueRef::Real(f32::from_sql(kind, raw)?.into()),
            Type::NUMERIC => whole_number(raw).map_or(ValueRef::Other, ValueRef::Integer),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => {
                ValueRef::Text(unescaped(raw))
            }
            Type::BYTEA => ValueRef::Bytes(raw),
            _ => ValueRef::Other,
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(ValueRef::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(crate) fn value_of(
    row: &tokio_postgres::Row,
    column: usize,
) -> Result<ValueRef<'_>, MetaError> {
    let cell: Cell<'_> = row.try_get(column)?;
    Ok(cell.0)
}

/// Sums of whole numbers come as decimal numbers: digits to the base 10,000, of which the first
/// counts `weight` powers of it.
fn whole_number(raw: &[u8]) -> Option<i64> {
    let mut words = raw
        .chunks_exact(2)
        .map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight, sign) = (words.next()?, words.next()?, words.next()?);
    let _scale = words.next()?;
    let digits: Vec<i64> = words.map(i64::from).collect();
    if digits.len() != usize::try_from(count).ok()? || i32::from(count) > i32::from(weight) + 1 {
        return None;
    }
    let mut number: i64 = 0;
    for place in 0..=weight {
        let digit = digits.get(usize::try_from(place).ok()?).copied();
        number = number
            .checked_mul(10_000)?
            .checked_add(digit.unwrap_or(0))?;
    }
    match sign {
        0 => Some(number),
        0x4000 => Some(-number),
        _ => None,
    }
}

/// The text as it is stored.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\0' => stored.extend([MARK, '\u{1}']),
            MARK => stored.extend([MARK, '\u{2}']),
            letter => stored.push(letter),
        }
    }
    Cow::Owned(stored)
}

/// The text that was stored.
fn unescaped(stored: &[u8]) -> Cow<'_, [u8]> {
    if !stored.contains(&1) {
        return Cow::Borrowed(stored);
    }
    let mut text = Vec::with_capacity(stored.len());
    let mut bytes = stored.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            1 => text.extend(bytes.next().map(|second| second.saturating_sub(1))),
            byte => text.push(byte),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numeric(count: i16, weight: i16, sign: i16, digits: &[i16]) -> Vec<u8> {
        [count, weight, sign, 0]
            .iter()
            .chain(digits)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn whole_decimal_numbers_are_read_and_others_are_not() {
        let cases = [
            (numeric(0, 0, 0, &[]), Some(0)),
            (numeric(1, 0, 0, &[42]), Some(42)),
            (numeric(1, 1, 0, &[3]), Some(30_000)),
            (numeric(2, 1, 0x4000, &[1, 2]), Some(-10_002)),
            (numeric(1, -1, 0, &[5000]), None),
            (numeric(2, 0, 0, &[1, 5000]), None),
            (numeric(1, 9, 0, &[1]), None),
        ];
        for (raw, expected) in cases {
            assert_eq!(whole_number(&raw), expected, "{raw:?}");
        }
    }

    proptest! {
        /// Keys are compared, searched by prefix and ordered in their stored form.
        #[test]
        fn stored_texts_keep_equality_prefix_and_order(
            one in "[\u{0}-\u{3}ab\u{e9}]{0,6}", other in "[\u{0}-\u{3}ab\u{e9}]{0,6}",
        ) {
            let (a, b) = (escaped(&one), escaped(&other));
            prop_assert!(!a.contains('\0'));
            prop_assert_eq!(unescaped(a.as_bytes()), one.as_bytes());
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), one.as_bytes().cmp(other.as_bytes()));
            prop_assert_eq!(a.starts_with(b.as_ref()), one.starts_with(other.as_str()));
        }
    }
}
