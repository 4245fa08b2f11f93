//! Single values: from JSON, and to and from the texts of headers, paths, forms and XML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Number, Value};
use sightline_types::Timestamp;

use crate::schema::{Kind, Shape, TimestampFormat};

/// Brings a JSON value into the canonical form of a scalar shape, or gives it back.
pub(super) fn from_json(shape: &Shape, json: Value) -> Result<Value, Value> {
    let canonical = match (&shape.kind, &json) {
        (Kind::Text(_), Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => return Ok(json),
        (Kind::Blob(_), Value::String(text)) if BASE64.decode(text).is_ok() => return Ok(json),
        (Kind::Integer(_), Value::Number(number)) => whole(number)
            .filter(|n| i32::try_from(*n).is_ok())
            .map(Value::from),
        (Kind::Long(_), Value::Number(number)) => whole(number).map(Value::from),
        (Kind::Float(_) | Kind::Double(_), Value::Number(_)) => return Ok(json),
        (Kind::Timestamp(_), Value::Number(number)) => number
            .as_f64()
            .and_then(|s| Timestamp::from_epoch_seconds(s).ok())
            .and_then(seconds),
        (Kind::Timestamp(_), Value::String(text)) => timestamp(text).and_then(seconds),
        _ => None,
    };
    canonical.ok_or(json)
}

/// A number without a fraction that fits 64 bits. `2.0` is one: some clients print all so.
fn whole(number: &Number) -> Option<i64> {
    // 2^53: up to here every whole number has a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() <= EXACT)?;
        Some(float as i64)
    })
}

/// A time in any of the textual forms that clients send, whichever the model prefers.
fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse()
        .or_else(|_| Timestamp::from_http_date(text))
        .ok()
        .or_else(|| {
            text.parse()
                .ok()
                .and_then(|s: f64| Timestamp::from_epoch_seconds(s).ok())
        })
}

fn seconds(time: Timestamp) -> Option<Value> {
    Number::from_f64(time.epoch_seconds()).map(Value::Number)
}

/// Reads a scalar from its text in a header, path, form or XML element.
pub(super) fn from_text(shape: &Shape, text: &str) -> Option<Value> {
    match &shape.kind {
        Kind::Text(_) => Some(Value::String(text.to_owned())),
        Kind::Integer(_) => text.trim().parse::<i32>().ok().map(Value::from),
        Kind::Long(_) => text.trim().parse::<i64>().ok().map(Value::from),
        Kind::Float(_) | Kind::Double(_) => text
            .trim()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number),
        Kind::Boolean => text
            .trim()
            .to_ascii_lowercase()
            .parse()
            .ok()
            .map(Value::Bool),
        Kind::Blob(_) => {
            let text = text.trim();
            BASE64
                .decode(text)
                .ok()
                .map(|_| Value::String(text.to_owned()))
        }
        Kind::Timestamp(_) => timestamp(text).and_then(seconds),
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => None,
    }
}

/// Writes a scalar as text; a timestamp in the model's form, or in `default`.
pub(super) fn to_text(shape: &Shape, value: &Value, default: TimestampFormat) -> Option<String> {
    match (&shape.kind, value) {
        (Kind::Timestamp(format), Value::Number(number)) => {
            let time = Timestamp::from_epoch_seconds(number.as_f64()?).ok()?;
            Some(match format.unwrap_or(default) {
                TimestampFormat::EpochSeconds => number.to_string(),
                TimestampFormat::Iso8601 => time.iso8601(),
                TimestampFormat::HttpDate => time.http_date(),
            })
        }
        (Kind::Text(_) | Kind::Blob(_), Value::String(text)) => Some(text.clone()),
        (Kind::Boolean, Value::Bool(flag)) => Some(flag.to_string()),
        (
            Kind::Integer(_) | Kind::Long(_) | Kind::Float(_) | Kind::Double(_),
            Value::Number(number),
        ) => Some(number.to_string()),
        _ => None,
    }
}

/// What AWS's messages call a scalar's type, with its article; `None` for other shapes.
pub(super) fn type_name(shape: &Shape) -> Option<&'static str> {
    Some(match shape.kind {
        Kind::Text(_) => "a String",
        Kind::Integer(_) => "an Integer",
        Kind::Long(_) => "a Long",
        Kind::Float(_) => "a Float",
        Kind::Double(_) => "a Double",
        Kind::Boolean => "a Boolean",
        Kind::Blob(_) => "a Blob",
        Kind::Timestamp(_) => "a Timestamp",
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => return None,
    })
}
