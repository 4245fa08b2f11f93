//! The Query protocol: form parameters in, XML out.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use sightline_types::RequestId;

use super::xml::Writer;
use super::{ErrorAnswer, scalar};
use crate::error::{DecodeError, EncodeError};
use crate::limits::{FORM_PARAMETERS_MAX, NESTING_MAX};
use crate::path::Path;
use crate::schema::{self, Kind, Member, Operation, Service, Shape};
use crate::uri::decode_pairs;

/// Parameters by name, ordered so that those below a prefix are neighbours.
type Form = BTreeMap<String, String>;

/// Reads the parameters of a form body. The first of two with one name counts.
pub fn decode_form(body: &[u8]) -> Result<BTreeMap<String, String>, DecodeError> {
    let malformed = |detail: &str| DecodeError::Malformed {
        format: "form data",
        detail: detail.to_owned(),
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
    let pairs = decode_pairs(text).map_err(|_| malformed("a parameter is not percent-encoded"))?;
    if FORM_PARAMETERS_MAX < pairs.len() {
        return Err(DecodeError::TooComplex {
            what: "parameters",
            max: FORM_PARAMETERS_MAX,
        });
    }
    let mut form = Form::new();
    for (name, value) in pairs {
        form.entry(name).or_insert(value);
    }
    Ok(form)
}

/// Reads the input out of a form body.
pub(super) fn decode(input: &Shape, body: &[u8]) -> Result<Value, DecodeError> {
    decode_structure(input.members(), &decode_form(body)?, "", &Path::ROOT)
}

fn decode_structure(
    members: &'static [Member],
    form: &Form,
    prefix: &str,
    path: &Path<'_>,
) -> Result<Value, DecodeError> {
    if NESTING_MAX < path.depth() {
        return Err(DecodeError::TooComplex {
            what: "levels",
            max: NESTING_MAX,
        });
    }
    let mut decoded = Map::new();
    for member in members {
        let name = format!("{prefix}{}", member.wire_name);
        let path = path.member(member.name);
        if let Some(value) = decode_value(member.shape, form, &name, &path)? {
            decoded.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Object(decoded))
}

fn decode_value(
    shape: &Shape,
    form: &Form,
    name: &str,
    path: &Path<'_>,
) -> Result<Option<Value>, DecodeError> {
    let below = || format!("{name}.");
    match &shape.kind {
        Kind::Structure(members) => {
            let prefix = below();
            if !has_below(form, &prefix) {
                return Ok(None);
            }
            decode_structure(members, form, &prefix, path).map(Some)
        }
        Kind::List(list) => {
            let prefix = if list.flattened {
                below()
            } else {
                format!("{name}.{}.", list.element)
            };
            decode_items(list, form, name, &prefix, path)
        }
        Kind::Map(map) => {
            let prefix = if map.flattened {
                below()
            } else {
                format!("{name}.entry.")
            };
            decode_entries(map, form, &prefix, path)
        }
        Kind::Text(_)
        | Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Float(_)
        | Kind::Double(_)
        | Kind::Boolean
        | Kind::Blob(_)
        | Kind::Timestamp(_) => {
            let Some(text) = form.get(name) else {
                return Ok(None);
            };
            scalar::from_text(shape, text)
                .map(Some)
                .ok_or_else(|| DecodeError::WrongType {
                    path: path.to_string(),
                    detail: format!(
                        "The text can not be converted to {}",
                        scalar::type_name(shape).unwrap_or("a structure")
                    ),
                })
        }
    }
}

fn has_below(form: &Form, prefix: &str) -> bool {
    let mut following = form.range(prefix.to_owned()..);
    following
        .next()
        .is_some_and(|(name, _)| name.starts_with(prefix))
}

/// The numbers that follow `prefix` in the form, ascending.
fn indices(form: &Form, prefix: &str) -> BTreeSet<u32> {
    let below = form
        .range(prefix.to_owned()..)
        .take_while(|(name, _)| name.starts_with(prefix));
    let number = |name: &str| name[prefix.len()..].split('.').next()?.parse().ok();
    below.filter_map(|(name, _)| number(name)).collect()
}

/// An empty list is sent as the list's own name without a value.
fn decode_items(
    list: &schema::List,
    form: &Form,
    name: &str,
    prefix: &str,
    path: &Path<'_>,
) -> Result<Option<Value>, DecodeError> {
    let mut items = Vec::new();
    for (position, index) in indices(form, prefix).into_iter().enumerate() {
        let item = format!("{prefix}{index}");
        items.extend(decode_value(
            list.member,
            form,
            &item,
            &path.item(position),
        )?);
    }
    let present = !items.is_empty() || form.contains_key(name);
    Ok(present.then_some(Value::Array(items)))
}

fn decode_entries(
    map: &schema::Map,
    form: &Form,
    prefix: &str,
    path: &Path<'_>,
) -> Result<Option<Value>, DecodeError> {
    let mut decoded = Map::new();
    for index in indices(form, prefix) {
        let Some(key) = form.get(&format!("{prefix}{index}.{}", map.key_element)) else {
            continue;
        };
        let name = format!("{prefix}{index}.{}", map.value_element);
        if let Some(value) = decode_value(map.value, form, &name, &path.key(key))? {
            decoded.insert(key.clone(), value);
        }
    }
    Ok((!decoded.is_empty()).then_some(Value::Object(decoded)))
}

/// Writes an answer: `…Response` around `…Result` around the output's members.
pub(super) fn encode_response(
    operation: &Operation,
    document: &Value,
    request_id: &RequestId,
) -> Result<Response<Bytes>, EncodeError> {
    let response = format!("{}Response", operation.name);
    let mut writer = Writer::document();
    writer.open(&response, operation.service.xml_namespace);
    if let Some(output) = operation.output {
        let result = format!("{}Result", operation.name);
        writer.open(&result, "");
        writer.structure(output.members(), document, &Path::ROOT)?;
        writer.close(&result);
    }
    writer.open("ResponseMetadata", "");
    writer.text_element("RequestId", request_id.as_str());
    writer.close("ResponseMetadata");
    writer.close(&response);
    Ok(Response::new(Bytes::from(writer.into_bytes())))
}

/// The body of an error, which says whose fault it is.
pub(super) fn error_body(
    service: Option<&Service>,
    error: &ErrorAnswer,
    request_id: &RequestId,
) -> Vec<u8> {
    let fault = if error.status < StatusCode::INTERNAL_SERVER_ERROR {
        "Sender"
    } else {
        "Receiver"
    };
    let mut writer = Writer::document();
    writer.open(
        "ErrorResponse",
        service.map_or("", |service| service.xml_namespace),
    );
    writer.open("Error", "");
    writer.text_element("Type", fault);
    writer.text_element("Code", &error.code);
    writer.text_element("Message", &error.message);
    writer.close("Error");
    writer.text_element("RequestId", request_id.as_str());
    writer.close("ErrorResponse");
    writer.into_bytes()
}
