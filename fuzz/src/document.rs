//! Requests as documents: whatever is read back from what was read is the same again.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use sightline_model_aws::{cloudtrail, iam, logs, s3, sts};
use sightline_model_sagemaker::sagemaker;
use sightline_types::RequestId;
use sightline_wire::limits::{DOCUMENT_BYTES_MAX, NESTING_MAX};
use sightline_wire::protocol::{
    ErrorAnswer, RequestParts, decode_form, decode_request, encode_error,
};
use sightline_wire::route::match_rest;
use sightline_wire::schema::{Operation, Protocol, Service};
use sightline_wire::{redact, resolve_resource, uri, validate};

use crate::take;

/// A document may be larger than its bytes by names that they leave out, not by orders.
const GROWTH_MAX: usize = 64;

/// Reads a body as each of S3's operations does, and as the text of an error.
pub fn xml(mut data: &[u8]) {
    let operation = choose(&[&s3::SERVICE], take(&mut data));
    let Some(document) = read(Protocol::RestXml, operation, data) else {
        return answer_with(Protocol::RestXml, data);
    };
    judge(operation, &document, data.len());
}

/// Reads a body as an operation in JSON; what was read reads the same again.
pub fn json(mut data: &[u8]) {
    let services = [&sagemaker::SERVICE, &logs::SERVICE, &cloudtrail::SERVICE];
    let operation = choose(&services, take(&mut data));
    let Some(document) = read(Protocol::Json11, operation, data) else {
        return answer_with(Protocol::Json11, data);
    };
    judge(operation, &document, data.len());
    let again = document.to_string();
    assert_eq!(
        read(Protocol::Json11, operation, again.as_bytes()).as_ref(),
        Some(&document)
    );
}

/// Reads a form; its pairs, written again, read the same.
pub fn form(mut data: &[u8]) {
    let operation = choose(&[&iam::SERVICE, &sts::SERVICE], take(&mut data));
    if let Ok(pairs) = decode_form(data) {
        let mut again = form_urlencoded::Serializer::new(String::new());
        again.extend_pairs(&pairs);
        assert_eq!(decode_form(again.finish().as_bytes()).as_ref(), Ok(&pairs));
    }
    match read(Protocol::Query, operation, data) {
        Some(document) => judge(operation, &document, data.len()),
        None => answer_with(Protocol::Query, data),
    }
}

/// Reads an address and headers as S3's routes and operations do.
pub fn address(mut data: &[u8]) {
    let method = [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::HEAD,
    ];
    let method = &method[usize::from(take(&mut data)) % method.len()];
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let target: http::Uri = match lines.next().unwrap_or_default().parse() {
        Ok(target) => target,
        Err(_) => return,
    };
    let headers = headers(lines);
    let query = target.query().unwrap_or_default();
    if let Ok(pairs) = uri::decode_pairs(query) {
        let write = |text: &str| {
            let all = percent_encoding::NON_ALPHANUMERIC;
            percent_encoding::utf8_percent_encode(text, all).to_string()
        };
        let again: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", write(name), write(value)))
            .collect();
        assert_eq!(uri::decode_pairs(&again.join("&")).as_ref(), Ok(&pairs));
    }
    match_rest(
        &s3::SERVICE,
        method.as_str(),
        target.path(),
        query,
        &headers,
    )
    .ok();
    for operation in s3::SERVICE.operations {
        let request = RequestParts {
            method,
            path: target.path(),
            query,
            headers: &headers,
            body: &[],
        };
        if let Ok(document) = decode_request(Protocol::RestXml, operation, &request) {
            judge(operation, &document, data.len());
        }
    }
}

fn headers<'l>(lines: impl Iterator<Item = &'l str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn choose(services: &[&'static Service], number: u8) -> &'static Operation {
    let all: Vec<&'static Operation> = services
        .iter()
        .flat_map(|service| service.operations.iter().copied())
        .collect();
    all[usize::from(number) % all.len()]
}

fn read(protocol: Protocol, operation: &Operation, body: &[u8]) -> Option<Value> {
    let request = RequestParts {
        method: &Method::POST,
        path: "/bucket/key",
        query: "",
        headers: &HeaderMap::new(),
        body,
    };
    let read = decode_request(protocol, operation, &request);
    assert!(
        read.is_err() || body.len() <= DOCUMENT_BYTES_MAX,
        "the limit of a document"
    );
    read.ok()
}

/// What every document that was read must bear.
fn judge(operation: &'static Operation, document: &Value, bytes: usize) {
    assert!(
        depth(document) <= NESTING_MAX,
        "a document nests deeper than it may"
    );
    let size = document.to_string().len();
    assert!(
        size <= (bytes + 64) * GROWTH_MAX,
        "{bytes} bytes became {size}"
    );
    validate(operation.input, document).ok();
    assert!(redact(operation.input, document).is_object());
    let (region, account) = ("us-east-1".parse(), "123456789012".parse());
    if let (Ok(region), Ok(account)) = (region, account) {
        resolve_resource(operation, document, &region, &account).ok();
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// A refusal that repeats the caller's words stays one element, or one member, of its answer.
fn answer_with(protocol: Protocol, data: &[u8]) {
    let message = String::from_utf8_lossy(data).into_owned();
    let error = ErrorAnswer {
        code: "Refused".to_owned(),
        message: message.clone(),
        status: StatusCode::BAD_REQUEST,
        details: Map::new(),
    };
    let answer = encode_error(protocol, None, &error, &RequestId::random());
    let body = answer.map(http::Response::into_body).unwrap_or_default();
    if protocol == Protocol::Json11 {
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(read["message"], message);
        return;
    }
    let text = String::from_utf8_lossy(&body);
    let inside = text
        .split_once("<Message>")
        .and_then(|(_, rest)| rest.split_once("</Message>"));
    let inside = inside.map(|(inside, _)| inside).unwrap_or_default();
    assert!(
        !inside.contains('<'),
        "the caller's words became elements: {inside}"
    );
    assert_eq!(text.matches("</Message>").count(), 1);
}
