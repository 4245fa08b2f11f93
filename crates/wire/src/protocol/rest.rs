//! The REST protocols: parts of the input in path, query and headers, the rest in the body.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use sightline_types::RequestId;

use super::xml::{self, Writer};
use super::{ErrorAnswer, RequestParts, json, scalar};
use crate::error::{DecodeError, EncodeError};
use crate::path::Path;
use crate::schema::{Kind, Location, Member, Operation, Protocol, Shape, TimestampFormat};
use crate::uri::{decode_component, decode_pairs, match_path};

/// The decoded labels of an operation's path, such as `Bucket` and `Key`.
pub fn path_labels(
    operation: &Operation,
    path: &str,
) -> Result<Vec<(&'static str, String)>, DecodeError> {
    let labels = match_path(operation.http.uri, path).ok_or(DecodeError::Uri)?;
    labels
        .into_iter()
        .map(|(name, text)| Ok((name, decode_component(text)?)))
        .collect()
}

/// Gathers the input from everywhere that its members travel.
pub(super) fn decode(
    protocol: Protocol,
    operation: &Operation,
    request: &RequestParts<'_>,
) -> Result<Value, DecodeError> {
    let labels = path_labels(operation, request.path)?;
    let query = decode_pairs(request.query)?;
    let mut document = decode_body(protocol, operation.input, request.body)?;
    for member in operation.input.members() {
        let value = match member.location {
            Location::Path => {
                let found = labels.iter().find(|(name, _)| *name == member.wire_name);
                found
                    .map(|(_, text)| decode_text(member, text))
                    .transpose()?
            }
            Location::Query => decode_query(member, &query)?,
            Location::Header => decode_header(member, request.headers)?,
            Location::HeaderPrefix => decode_prefixed(member, request.headers),
            Location::Body
            | Location::Payload
            | Location::RootText
            | Location::Stream
            | Location::Status => None,
        };
        if let Some(value) = value {
            document.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Object(document))
}

fn decode_body(
    protocol: Protocol,
    input: &Shape,
    body: &[u8],
) -> Result<Map<String, Value>, DecodeError> {
    let members = input.members();
    let in_body = |location| members.iter().find(|member| member.location == location);
    let empty = body.iter().all(u8::is_ascii_whitespace);
    match in_body(Location::Payload).filter(|payload| payload.required) {
        Some(payload) if empty => {
            return Err(DecodeError::Malformed {
                format: if protocol == Protocol::RestXml {
                    "XML"
                } else {
                    "JSON"
                },
                detail: format!("{} is missing", payload.wire_name),
            });
        }
        Some(_) | None => {}
    }
    if in_body(Location::Stream).is_some() || empty {
        return Ok(Map::new());
    }
    let is_xml = protocol == Protocol::RestXml;
    if let Some(payload) = in_body(Location::Payload) {
        let value = if matches!(payload.shape.kind, Kind::Text(_)) {
            decode_raw_text(body)?
        } else if is_xml {
            decode_xml_payload(payload, body)?
        } else {
            json::decode_body(payload.shape, body)?
        };
        return Ok(Map::from_iter([(payload.name.to_owned(), value)]));
    }
    let document = match (in_body(Location::Body), is_xml) {
        (None, _) => return Ok(Map::new()),
        (Some(_), true) => xml::decode_structure(members, &xml::parse(body)?, &Path::ROOT)?,
        (Some(_), false) => json::decode_body(input, body)?,
    };
    let Value::Object(document) = document else {
        return Ok(Map::new());
    };
    Ok(document)
}

fn decode_raw_text(body: &[u8]) -> Result<Value, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| DecodeError::Malformed {
        format: "text",
        detail: error.to_string(),
    })?;
    Ok(Value::from(text))
}

fn decode_xml_payload(payload: &Member, body: &[u8]) -> Result<Value, DecodeError> {
    let root = xml::parse(body)?;
    if root.name != payload.wire_name {
        return Err(DecodeError::Malformed {
            format: "XML",
            detail: format!("the outermost element must be {}", payload.wire_name),
        });
    }
    xml::decode_value(payload.shape, &root, &Path::ROOT.member(payload.name))
}

fn decode_text(member: &Member, text: &str) -> Result<Value, DecodeError> {
    scalar::from_text(member.shape, text).ok_or_else(|| DecodeError::Parameter {
        name: member.wire_name.to_owned(),
        expected: scalar::type_name(member.shape).unwrap_or("of a type that fits there"),
    })
}

/// A list is sent as one pair for each value.
fn decode_query(member: &Member, query: &[(String, String)]) -> Result<Option<Value>, DecodeError> {
    let mut values = query
        .iter()
        .filter(|(name, _)| name == member.wire_name)
        .map(|(_, v)| v);
    let Kind::List(list) = &member.shape.kind else {
        return values
            .next()
            .map(|text| decode_text(member, text))
            .transpose();
    };
    let item = Member {
        shape: list.member,
        ..*member
    };
    let items: Vec<Value> = values
        .map(|text| decode_text(&item, text))
        .collect::<Result<_, _>>()?;
    Ok((!items.is_empty()).then_some(Value::Array(items)))
}

/// A list is sent as one header with commas; a condition whose date cannot be read is no
/// condition (RFC 9110 §13.1.3).
fn decode_header(member: &Member, headers: &HeaderMap) -> Result<Option<Value>, DecodeError> {
    let values: Vec<String> = headers
        .get_all(member.wire_name)
        .iter()
        .map(header_text)
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    let text = values.join(",");
    if let Kind::List(list) = &member.shape.kind {
        let item = Member {
            shape: list.member,
            ..*member
        };
        let items = text.split(',').map(|text| decode_text(&item, text.trim()));
        return items.collect::<Result<_, _>>().map(Value::Array).map(Some);
    }
    let is_condition =
        member.wire_name.starts_with("If-") && matches!(member.shape.kind, Kind::Timestamp(_));
    match decode_text(member, enumerated(member, &text)) {
        Err(_) if is_condition => Ok(None),
        decoded => decoded.map(Some),
    }
}

/// The model's spelling of one of its enumerated values: in headers their case does not matter,
/// and the C++ SDK sends `x-amz-checksum-mode: enabled`.
fn enumerated<'t>(member: &Member, text: &'t str) -> &'t str {
    let Kind::Text(kind) = &member.shape.kind else {
        return text;
    };
    let alike = |value: &&&'static str| value.eq_ignore_ascii_case(text);
    kind.values.iter().find(alike).copied().unwrap_or(text)
}

fn decode_prefixed(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let prefix = member.wire_name.to_ascii_lowercase();
    let mut found = Map::new();
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(&prefix) {
            let values: Vec<String> = headers.get_all(name).iter().map(header_text).collect();
            found.insert(key.to_owned(), Value::String(values.join(",")));
        }
    }
    (!found.is_empty()).then_some(Value::Object(found))
}

/// The text of a header: UTF-8, which clients send against the letter of the standard, or else
/// the Latin-1 of that letter.
fn header_text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Spreads the output over status, headers and body.
pub(super) fn encode_response(
    protocol: Protocol,
    operation: &Operation,
    document: &Value,
) -> Result<Response<Bytes>, EncodeError> {
    let mut status = operation.http.status;
    let mut headers = HeaderMap::new();
    let members = operation.output.map_or(&[][..], Shape::members);
    for member in members {
        let Some(value) = document.get(member.name).filter(|value| !value.is_null()) else {
            continue;
        };
        match member.location {
            Location::Header => encode_header(member, value, &mut headers)?,
            Location::HeaderPrefix => encode_prefixed(member, value, &mut headers)?,
            Location::Status => {
                status = value
                    .as_u64()
                    .and_then(|s| s.try_into().ok())
                    .ok_or(EncodeError::Http)?;
            }
            Location::Body
            | Location::Payload
            | Location::RootText
            | Location::Stream
            | Location::Path
            | Location::Query => {}
        }
    }
    let body = encode_body(protocol, operation, members, document)?;
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| EncodeError::Http)?;
    *response.headers_mut() = headers;
    Ok(response)
}

fn encode_body(
    protocol: Protocol,
    operation: &Operation,
    members: &'static [Member],
    document: &Value,
) -> Result<Vec<u8>, EncodeError> {
    let in_body = |location| members.iter().find(|member| member.location == location);
    let is_xml = protocol == Protocol::RestXml;
    if let Some(payload) = in_body(Location::Payload) {
        return match document.get(payload.name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.clone().into_bytes()),
            Some(value) if is_xml => encode_xml(operation, payload.wire_name, |writer| {
                writer.value(payload.shape, value, &Path::ROOT.member(payload.name))
            }),
            Some(value) => json::encode_body(payload.shape, value),
        };
    }
    if let Some(text) = in_body(Location::RootText) {
        return encode_xml(operation, text.wire_name, |writer| {
            match document.get(text.name) {
                None | Some(Value::Null) => Ok(()),
                Some(value) => writer.value(text.shape, value, &Path::ROOT.member(text.name)),
            }
        });
    }
    match (operation.output, in_body(Location::Body), is_xml) {
        (Some(output), Some(_), true) => {
            let root = operation.xml_root.unwrap_or(output.name);
            encode_xml(operation, root, |writer| {
                writer.structure(members, document, &Path::ROOT)
            })
        }
        (Some(output), _, false) if in_body(Location::Stream).is_none() => {
            json::encode_body(output, document)
        }
        _ => Ok(Vec::new()),
    }
}

fn encode_xml(
    operation: &Operation,
    root: &str,
    content: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::document();
    writer.open(root, operation.service.xml_namespace);
    content(&mut writer)?;
    writer.close(root);
    Ok(writer.into_bytes())
}

fn encode_header(
    member: &Member,
    value: &Value,
    headers: &mut HeaderMap,
) -> Result<(), EncodeError> {
    let err = || EncodeError::Header(member.wire_name.to_owned());
    let to_text = |shape, value| scalar::to_text(shape, value, TimestampFormat::HttpDate);
    let text = match (&member.shape.kind, value) {
        (Kind::List(list), Value::Array(items)) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| to_text(list.member, item))
                .collect();
            texts.map(|texts| texts.join(","))
        }
        _ => to_text(member.shape, value),
    };
    let value = HeaderValue::from_bytes(text.ok_or_else(err)?.as_bytes()).map_err(|_| err())?;
    let name = HeaderName::from_bytes(member.wire_name.as_bytes()).map_err(|_| err())?;
    headers.insert(name, value);
    Ok(())
}

fn encode_prefixed(
    member: &Member,
    value: &Value,
    headers: &mut HeaderMap,
) -> Result<(), EncodeError> {
    for (key, value) in value.as_object().into_iter().flatten() {
        let name = format!("{}{key}", member.wire_name);
        let err = |_| EncodeError::Header(name.clone());
        let text = value
            .as_str()
            .ok_or_else(|| EncodeError::Header(name.clone()))?;
        let value = HeaderValue::from_bytes(text.as_bytes()).map_err(err)?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| EncodeError::Header(name.clone()))?;
        headers.insert(name, value);
    }
    Ok(())
}

/// S3's error document; the details stand beside the message, as `Key` and `BucketName` do.
pub(super) fn xml_error_body(error: &ErrorAnswer, request_id: &RequestId) -> Vec<u8> {
    let mut writer = Writer::document();
    writer.open("Error", "");
    writer.text_element("Code", &error.code);
    writer.text_element("Message", &error.message);
    for (name, value) in &error.details {
        match value.as_str() {
            Some(text) => writer.text_element(name, text),
            None => writer.text_element(name, &value.to_string()),
        }
    }
    writer.text_element("RequestId", request_id.as_str());
    writer.text_element("HostId", request_id.as_str());
    writer.close("Error");
    writer.into_bytes()
}
