//! A request for any operation, made from its table: what the model demands, and what a test
//! puts in its place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sightline_wire::schema::{Kind, Location, Operation, Protocol, Shape, Text};

use crate::world::Ask;

/// Members of members of members are enough to reach every kind of text.
const DEPTH_MAX: usize = 5;

/// Texts of which one fits nearly every pattern of the models.
const FITTING: [&str; 15] = [
    "abc",
    "abc-123",
    "v2",
    "s3://bucket/key",
    "arn:aws:iam::123456789012:role/abc",
    "arn:aws:sagemaker:us-east-1:123456789012:training-job/abc",
    "123456789012",
    "/opt/ml/abc",
    "1",
    "2011-06-15",
    "AKIAIOSFODNN7EXAMPLE",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "{\"Version\":\"2012-10-17\",\"Statement\":[]}",
    "arn:aws:iam::123456789012:policy/abc",
    "2023-11-14T22:13:20Z",
];

/// What stays as it is in a path or a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A document that the model accepts, as far as a text that fits can be found.
pub(crate) fn document(operation: &Operation) -> Value {
    fill(operation.input, 0, true)
}

/// Where each text of a document lies, as JSON pointers.
pub(crate) fn texts(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(document, String::new(), &mut found);
    found
}

fn collect(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                collect(item, format!("{at}/{number}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect(member, format!("{at}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A document with every member that the model has, required or not.
pub(crate) fn whole(operation: &Operation) -> Value {
    fill(operation.input, 0, false)
}

fn fill(shape: &Shape, depth: usize, only_required: bool) -> Value {
    match &shape.kind {
        Kind::Structure(members) => {
            let wanted = |required: bool| required || (!only_required && depth < DEPTH_MAX);
            let members = members
                .iter()
                .filter(|member| wanted(member.required))
                .filter(|member| member.location != Location::Stream)
                .map(|member| {
                    let value = fill(member.shape, depth + 1, only_required);
                    (member.name.to_owned(), value)
                });
            Value::Object(members.collect())
        }
        Kind::List(list) => {
            let count = list.length.min.unwrap_or(1).max(1);
            (0..count)
                .map(|_| fill(list.member, depth + 1, only_required))
                .collect()
        }
        Kind::Map(map) => {
            let key = fill(map.key, depth + 1, only_required);
            let value = fill(map.value, depth + 1, only_required);
            json!({ key.as_str().unwrap_or("key"): value })
        }
        Kind::Text(text) => json!(fitting(text)),
        Kind::Integer(range) | Kind::Long(range) => json!(range.min.unwrap_or(1).max(1)),
        Kind::Float(_) | Kind::Double(_) => json!(1.0),
        Kind::Boolean => json!(false),
        Kind::Blob(_) => json!(BASE64.encode("abc")),
        Kind::Timestamp(_) => json!(1_700_000_000),
    }
}

fn fitting(text: &Text) -> String {
    if let Some(value) = text.values.first() {
        return (*value).to_owned();
    }
    let length = |candidate: &str| u64::try_from(candidate.len()).unwrap();
    let fits = |candidate: &&&str| {
        text.length.min.is_none_or(|min| min <= length(candidate))
            && text.length.max.is_none_or(|max| length(candidate) <= max)
            && text
                .pattern
                .is_none_or(|pattern| pattern.matches(candidate))
    };
    (*FITTING.iter().find(fits).unwrap_or(&"abc")).to_owned()
}

/// The request that carries a document, as a client of the service would write it.
pub(crate) fn request(operation: &'static Operation, document: &Value) -> Ask {
    let service = operation.service;
    match service.protocols[0] {
        Protocol::Json10 | Protocol::Json11 => {
            let target = format!("{}.{}", service.target_prefix, operation.name);
            let body = written(operation.input, document).to_string();
            Ask::json(service.signing_name, &target, body)
        }
        Protocol::Query => {
            let mut form = format!("Action={}&Version={}", operation.name, service.api_version);
            flatten(operation.input, document, String::new(), &mut form);
            Ask::form(service.signing_name, &form)
        }
        Protocol::RestJson | Protocol::RestXml => rest(operation, document),
    }
}

/// A document by the names of the wire.
fn written(shape: &Shape, value: &Value) -> Value {
    match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(given)) => {
            let member = |(name, value): (&String, &Value)| {
                let member = members.iter().find(|member| member.name == name)?;
                Some((member.wire_name.to_owned(), written(member.shape, value)))
            };
            Value::Object(given.iter().filter_map(member).collect::<Map<_, _>>())
        }
        (Kind::List(list), Value::Array(items)) => items
            .iter()
            .map(|item| written(list.member, item))
            .collect(),
        _ => value.clone(),
    }
}

fn flatten(shape: &Shape, value: &Value, at: String, form: &mut String) {
    let below = |name: &str| {
        if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}.{name}")
        }
    };
    match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(given)) => {
            for member in *members {
                if let Some(value) = given.get(member.name) {
                    flatten(member.shape, value, below(member.wire_name), form);
                }
            }
        }
        (Kind::List(list), Value::Array(items)) => {
            for (number, item) in (1..).zip(items) {
                let element = if list.flattened {
                    String::new()
                } else {
                    format!(".{}", list.element)
                };
                flatten(list.member, item, format!("{at}{element}.{number}"), form);
            }
        }
        _ => {
            form.push('&');
            form.push_str(&at);
            form.push('=');
            form.extend(utf8_percent_encode(&plain(value), PLAIN));
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn rest(operation: &'static Operation, document: &Value) -> Ask {
    let (mut path, mut query) = match operation.http.uri.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (operation.http.uri.to_owned(), String::new()),
    };
    let (mut headers, mut body) = (Vec::new(), String::new());
    for member in operation.input.members() {
        let Some(value) = document.get(member.name) else {
            continue;
        };
        let escaped = utf8_percent_encode(&plain(value), PLAIN).to_string();
        match member.location {
            Location::Path => {
                // What a client leaves of a greedy label: its slashes.
                path = path.replace(
                    &format!("{{{}+}}", member.wire_name),
                    &escaped.replace("%2F", "/"),
                );
                path = path.replace(&format!("{{{}}}", member.wire_name), &escaped);
            }
            Location::Query => {
                let and = if query.is_empty() { "" } else { "&" };
                query.push_str(&format!("{and}{}={escaped}", member.wire_name));
            }
            Location::Header => headers.push((member.wire_name, plain(value))),
            Location::Payload => body = element(member.shape, value, member.wire_name),
            Location::Body => body.push_str(&element(member.shape, value, member.wire_name)),
            Location::HeaderPrefix | Location::RootText | Location::Stream | Location::Status => {}
        }
    }
    let target = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let method: Method = operation.http.method.parse().unwrap();
    let mut ask = Ask::any(operation.service.signing_name, method, &target, body);
    for (name, value) in headers {
        let sendable =
            name.parse::<HeaderName>().is_ok() && http::HeaderValue::from_str(&value).is_ok();
        if sendable {
            ask = ask.with(name, value);
        }
    }
    ask
}

fn element(shape: &Shape, value: &Value, name: &str) -> String {
    let inside = match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(given)) => members
            .iter()
            .filter_map(|member| {
                let value = given.get(member.name)?;
                Some(element(member.shape, value, member.wire_name))
            })
            .collect(),
        (Kind::List(list), Value::Array(items)) if list.flattened => {
            return items
                .iter()
                .map(|item| element(list.member, item, name))
                .collect();
        }
        (Kind::List(list), Value::Array(items)) => items
            .iter()
            .map(|item| element(list.member, item, list.element))
            .collect(),
        _ => plain(value).replace('&', "&amp;").replace('<', "&lt;"),
    };
    format!("<{name}>{inside}</{name}>")
}
