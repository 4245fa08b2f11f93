//! JSON bodies, whole (JSON 1.0 and 1.1) or as the body of a REST request.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ErrorAnswer, scalar};
use crate::error::{DecodeError, EncodeError};
use crate::path::Path;
use crate::schema::{Kind, Location, Member, Operation, Shape};

/// Reads a body that holds the whole input; no body at all stands for `{}`.
pub(super) fn decode_body(input: &Shape, body: &[u8]) -> Result<Value, DecodeError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let json: Value = serde_json::from_slice(body).map_err(|error| DecodeError::Malformed {
        format: "JSON",
        detail: error.to_string(),
    })?;
    decode_value(input, json, &Path::ROOT)
}

/// Brings a JSON value into the canonical form of `shape`.
fn decode_value(shape: &Shape, json: Value, path: &Path<'_>) -> Result<Value, DecodeError> {
    match (&shape.kind, json) {
        (Kind::Structure(members), Value::Object(object)) => {
            decode_structure(members, object, path)
        }
        (Kind::List(list), Value::Array(items)) => {
            let decode = |(index, item)| decode_nullable(list.member, item, &path.item(index));
            items
                .into_iter()
                .enumerate()
                .map(decode)
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        (Kind::Map(map), Value::Object(object)) => {
            let mut decoded = Map::new();
            for (key, value) in object {
                let value = decode_nullable(map.value, value, &path.key(&key))?;
                decoded.insert(key, value);
            }
            Ok(Value::Object(decoded))
        }
        (Kind::Structure(_) | Kind::Map(_) | Kind::List(_), other) => {
            Err(wrong_type(path, unexpected(&other, shape)))
        }
        (_, json) => scalar::from_json(shape, json)
            .map_err(|found| wrong_type(path, unexpected(&found, shape))),
    }
}

/// A null inside a list or map is kept, for validation to refuse.
fn decode_nullable(shape: &Shape, json: Value, path: &Path<'_>) -> Result<Value, DecodeError> {
    if json.is_null() {
        Ok(json)
    } else {
        decode_value(shape, json, path)
    }
}

fn decode_structure(
    members: &'static [Member],
    mut object: Map<String, Value>,
    path: &Path<'_>,
) -> Result<Value, DecodeError> {
    let mut decoded = Map::new();
    for member in members
        .iter()
        .filter(|member| member.location == Location::Body)
    {
        let Some(json) = object.remove(member.wire_name) else {
            continue;
        };
        if !json.is_null() {
            let value = decode_value(member.shape, json, &path.member(member.name))?;
            decoded.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Object(decoded))
}

fn wrong_type(path: &Path<'_>, detail: String) -> DecodeError {
    DecodeError::WrongType {
        path: path.to_string(),
        detail,
    }
}

/// What AWS's JSON reader says of a value where `shape` was expected.
fn unexpected(found: &Value, shape: &Shape) -> String {
    let token = match found {
        Value::Object(_) => return "Start of structure or map found where not expected".to_owned(),
        Value::Array(_) => return "Start of list found where not expected".to_owned(),
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
    };
    match scalar::type_name(shape) {
        Some(expected) => format!("{token} can not be converted to {expected}"),
        None => "Unexpected field type".to_owned(),
    }
}

/// Writes the answer of an operation whose body holds the whole output.
pub(super) fn encode_response(
    operation: &Operation,
    document: &Value,
) -> Result<Response<Bytes>, EncodeError> {
    let body = match operation.output {
        Some(output) => encode_body(output, document)?,
        None => Vec::new(),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(operation.http.status).map_err(|_| EncodeError::Http)?;
    Ok(response)
}

/// Writes `document` as `shape` says; members that the shape lacks are left out.
pub(super) fn encode_body(shape: &Shape, document: &Value) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(&Encoded {
        shape,
        value: document,
    })
    .map_err(|_| EncodeError::WrongType {
        path: String::new(),
        expected: "a document of its shape",
    })
}

/// A document with the names that its members have on the wire.
struct Encoded<'a> {
    shape: &'a Shape,
    value: &'a Value,
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.shape.kind, self.value) {
            (Kind::Structure(members), Value::Object(object)) => {
                let mut map = serializer.serialize_map(None)?;
                for member in members.iter().filter(|m| m.location == Location::Body) {
                    if let Some(value) = object.get(member.name).filter(|value| !value.is_null()) {
                        let value = Encoded {
                            shape: member.shape,
                            value,
                        };
                        map.serialize_entry(member.wire_name, &value)?;
                    }
                }
                map.end()
            }
            (Kind::List(list), Value::Array(items)) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for value in items {
                    sequence.serialize_element(&Encoded {
                        shape: list.member,
                        value,
                    })?;
                }
                sequence.end()
            }
            (Kind::Map(inner), Value::Object(object)) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (key, value) in object {
                    map.serialize_entry(
                        key,
                        &Encoded {
                            shape: inner.value,
                            value,
                        },
                    )?;
                }
                map.end()
            }
            (_, value) => value.serialize(serializer),
        }
    }
}

/// The body of an error: its code in `__type`, its text in `message`.
pub(super) fn error_body(error: &ErrorAnswer) -> Vec<u8> {
    let mut body = error.details.clone();
    body.insert("__type".to_owned(), Value::String(error.code.clone()));
    body.insert("message".to_owned(), Value::String(error.message.clone()));
    Value::Object(body).to_string().into_bytes()
}
