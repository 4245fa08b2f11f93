//! Requests that botocore wrote, and answers that botocore has read, against the tables.
//!
//! `oracles/botocore_requests.py` and `oracles/botocore_responses.py` say how the expected values
//! came about. The crates of generated models share this file.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sightline_types::RequestId;
use sightline_wire::protocol::{
    ErrorAnswer, RequestParts, decode_form, decode_request, encode_error, encode_response,
};
use sightline_wire::route::{Match, match_name, match_rest, match_target};
use sightline_wire::schema::{Kind, Location, Member, Operation, Protocol, Service, Shape};
use sightline_wire::{OperationType, validate};

/// An operation of the crate under test with its types behind it.
pub(crate) struct Typed {
    operation: &'static Operation,
    /// Through the input type and back.
    input: fn(Value) -> Value,
    /// Through the output type and back.
    output: fn(Value) -> Value,
}

/// The conversions of one operation.
pub(crate) fn typed<O: OperationType>() -> Typed
where
    O::Input: serde::Serialize,
    O::Output: DeserializeOwned,
{
    Typed {
        operation: O::OPERATION,
        input: |document| serde_json::to_value(O::input(document).unwrap()).unwrap(),
        output: |document| {
            let output = serde_json::from_value(document).unwrap();
            O::document(&output).unwrap()
        },
    }
}

#[derive(Deserialize)]
struct RequestCase {
    name: String,
    service: String,
    operation: String,
    request: Request,
    document: Value,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn oracle<T: DeserializeOwned>(name: &str, key: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../oracles")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut oracle: Map<String, Value> = serde_json::from_str(&text).unwrap();
    serde_json::from_value(oracle.remove(key).unwrap()).unwrap()
}

/// Types and tables agree on every member: a document that has them all passes both ways unchanged.
pub(crate) fn check_types(operations: &[Typed]) {
    for typed in operations {
        let name = typed.operation.name;
        let input = complete(typed.operation.input);
        assert_same(name, &(typed.input)(input.clone()), &input);
        if let Some(output) = typed.operation.output.map(complete) {
            assert_same(name, &(typed.output)(output.clone()), &output);
        }
    }
}

/// A document with every member, each list and map with one value.
fn complete(shape: &Shape) -> Value {
    match &shape.kind {
        Kind::Structure(members) => {
            let in_document = members.iter().filter(|m| m.location != Location::Stream);
            let entry = |member: &Member| (member.name.to_owned(), complete(member.shape));
            Value::Object(in_document.map(entry).collect())
        }
        Kind::List(list) => json!([complete(list.member)]),
        Kind::Map(map) => json!({ "key": complete(map.value) }),
        Kind::Text(text) => json!(text.values.first().unwrap_or(&"text")),
        Kind::Integer(_) | Kind::Long(_) => json!(7),
        Kind::Float(_) | Kind::Double(_) | Kind::Timestamp(_) => json!(7.5),
        Kind::Boolean => json!(true),
        Kind::Blob(_) => json!("AAEC"),
    }
}

fn find(operations: &[Typed], service: &str, name: &str) -> Option<usize> {
    let is_it =
        |typed: &Typed| typed.operation.name == name && typed.operation.service.name == service;
    operations.iter().position(is_it)
}

/// Every request is routed to its operation, decoded to botocore's parameters, found valid, and
/// held by the input type without loss; every operation has at least one request.
pub(crate) fn check_requests(services: &[&'static Service], operations: &[Typed]) {
    let served: usize = services
        .iter()
        .map(|service| service.operations.len())
        .sum();
    assert_eq!(served, operations.len(), "every operation is under test");
    let cases: Vec<RequestCase> = oracle("botocore_requests.json", "cases");
    let mut unseen: Vec<bool> = vec![true; operations.len()];
    for case in cases {
        let Some(index) = find(operations, &case.service, &case.operation) else {
            continue;
        };
        unseen[index] = false;
        let typed = &operations[index];
        let decoded = decode(typed.operation, &case);
        assert_same(&case.name, &decoded, &case.document);
        assert_eq!(
            validate(typed.operation.input, &decoded),
            Ok(()),
            "{}",
            case.name
        );
        assert_same(&case.name, &(typed.input)(decoded), &case.document);
    }
    let unseen = operations.iter().zip(unseen).filter(|(_, unseen)| *unseen);
    let unseen: Vec<&str> = unseen.map(|(typed, _)| typed.operation.name).collect();
    assert!(unseen.is_empty(), "no request of {unseen:?}");
}

fn decode(operation: &'static Operation, case: &RequestCase) -> Value {
    let request = &case.request;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let protocol = operation.service.protocols[0];
    let service = operation.service;
    let matched = match protocol {
        Protocol::Json10 | Protocol::Json11 => {
            match_target(&[service], headers["x-amz-target"].to_str().unwrap())
        }
        Protocol::Query => {
            let form = decode_form(request.body.as_bytes()).unwrap();
            assert_eq!(form["Version"], service.api_version);
            match_name(service, &form["Action"])
        }
        Protocol::RestJson | Protocol::RestXml => match_rest(
            service,
            &request.method,
            &request.path,
            &request.query,
            &headers,
        )
        .unwrap(),
    };
    let Match::Served(found) = matched else {
        panic!("{}: {matched:?}", case.name);
    };
    assert_eq!(found.name, operation.name, "{}", case.name);
    let parts = RequestParts {
        method: &Method::from_bytes(request.method.as_bytes()).unwrap(),
        path: &request.path,
        query: &request.query,
        headers: &headers,
        body: if operation.streams_in() {
            b""
        } else {
            request.body.as_bytes()
        },
    };
    decode_request(protocol, operation, &parts).unwrap()
}

/// Equal up to whole numbers being written with or without a fraction.
#[track_caller]
fn assert_same(name: &str, got: &Value, expected: &Value) {
    assert!(
        same(got, expected),
        "{name}\n     got {got}\nexpected {expected}"
    );
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let found = |(key, l): (&String, &Value)| right.get(key).is_some_and(|r| same(l, r));
            left.len() == right.len() && left.iter().all(found)
        }
        _ => left == right,
    }
}

#[derive(Deserialize)]
struct ResponseCase {
    name: String,
    service: String,
    operation: String,
    document: Option<Value>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
    status: u16,
    details: Map<String, Value>,
}

/// Every answer is written in the very bytes that botocore has read; every operation has one.
pub(crate) fn check_responses(operations: &[Typed]) {
    let cases: Vec<ResponseCase> = oracle("response_documents.json", "cases");
    let accepted: BTreeMap<String, Value> = oracle("botocore_responses.json", "answers");
    let mut encoded = Map::new();
    let mut unseen: Vec<bool> = vec![true; operations.len()];
    for case in cases {
        let Some(index) = find(operations, &case.service, &case.operation) else {
            continue;
        };
        // What is only ever refused has an error for its answer.
        let refuses = operations[index].operation.output.is_none();
        unseen[index] &= case.document.is_none() && !refuses;
        let answer = encode(&operations[index], &case);
        encoded.insert(case.name, answer);
    }
    assert!(
        !unseen.contains(&true),
        "no answer of {:?}",
        unseen.iter().position(|u| *u)
    );
    let wrong: Vec<&String> = encoded
        .iter()
        .filter(|(n, a)| accepted.get(*n) != Some(*a))
        .map(|(n, _)| n)
        .collect();
    if !wrong.is_empty() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(concat!(env!("CARGO_PKG_NAME"), "-responses.json"));
        let names = format!("{wrong:?}");
        std::fs::write(&path, Value::Object(encoded).to_string()).unwrap();
        panic!(
            "unread by botocore: {names}; run oracles/botocore_responses.py {}",
            path.display()
        );
    }
}

fn encode(typed: &Typed, case: &ResponseCase) -> Value {
    let operation = typed.operation;
    let protocol = operation.service.protocols[0];
    let request_id = RequestId::random();
    let response = match (&case.document, &case.error) {
        (Some(document), _) => {
            let typed = match operation.output {
                Some(_) => (typed.output)(document.clone()),
                None => Value::Null,
            };
            encode_response(protocol, operation, &typed, &request_id).unwrap()
        }
        (None, Some(failure)) => {
            let error = ErrorAnswer {
                code: failure.code.clone(),
                message: failure.message.clone(),
                status: StatusCode::from_u16(failure.status).unwrap(),
                details: failure.details.clone(),
            };
            encode_error(protocol, Some(operation.service), &error, &request_id).unwrap()
        }
        (None, None) => panic!("{} is neither answer nor error", case.name),
    };
    shown(&response, &request_id)
}

/// The answer with one request identifier for all.
fn shown<B: AsRef<[u8]>>(response: &Response<B>, request_id: &RequestId) -> Value {
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap();
        text.replace(request_id.as_str(), "0f9c2c5e-0000-4000-8000-000000000000")
    };
    let headers: Vec<(&str, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), text(value.as_bytes())))
        .collect();
    json!({
        "status": response.status().as_u16(),
        "headers": headers,
        "body": text(response.body().as_ref()),
    })
}
