//! Answers and errors in each protocol.

use http::StatusCode;
use serde_json::{Map, Value, json};
use sightline_types::RequestId;
use sightline_wire::EncodeError;
use sightline_wire::protocol::{ErrorAnswer, encode_error, encode_response};
use sightline_wire::schema::{Operation, Protocol};

use crate::requests::decode_plain;
use crate::tables::{NESTED, PAID, PLACED, PLAIN, SERVICE};

type Shown = (u16, Vec<(String, String)>, String);

fn shown(response: &http::Response<bytes::Bytes>, id: &RequestId) -> Shown {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(id.as_str(), "ID");
    let headers = response.headers().iter();
    let mut headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect();
    headers.sort();
    (response.status().as_u16(), headers, text(response.body()))
}

fn encode(
    protocol: Protocol,
    operation: &Operation,
    document: &Value,
) -> Result<Shown, EncodeError> {
    let id = RequestId::random();
    Ok(shown(
        &encode_response(protocol, operation, document, &id)?,
        &id,
    ))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_kind_of_value_survives_the_way_out_and_in() {
    let document = json!({
        "Name": "a<&>\"'\u{1f600} \t",
        "Legs": -4,
        "Age": i64::MAX,
        "Weight": 0.1,
        "Tame": false,
        "Photo": "AAE=",
        "Born": 1795460689.25,
        "Seen": 1795460689.0,
        "Toys": ["", " x "],
        "Flat": [1, 2],
        "Friends": [{ "Kind": "cat", "Since": -1.5 }],
        "Traits": { "k<": "v&" },
        "Homes": {},
    });
    for protocol in [
        Protocol::Json10,
        Protocol::Json11,
        Protocol::RestJson,
        Protocol::RestXml,
    ] {
        let (_, _, body) = encode(protocol, &PLAIN, &document).unwrap();
        let decoded = decode_plain(protocol, body.as_bytes()).unwrap();
        assert_eq!(decoded, document, "{protocol:?} {body}");
    }
}

#[test]
fn members_unknown_to_the_shape_and_nulls_are_left_out() {
    let document = json!({ "Name": "a", "Nick": null, "Secret": 1, "Age": 5 });
    let (_, _, body) = encode(Protocol::Json11, &PLAIN, &document).unwrap();
    assert_eq!(body, r#"{"Name":"a","ageMs":5}"#);
}

#[test]
fn a_void_operation_has_no_body() {
    let (status, headers, body) = encode(Protocol::Json11, &NESTED, &Value::Null).unwrap();
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(headers, pairs(&[("x-amzn-requestid", "ID")]));
}

#[test]
fn parts_are_spread_over_status_headers_and_body() {
    let document = json!({
        "Name": "not sent",
        "Since": 1795460689.25,
        "Marks": ["a", "b"],
        "Meta": { "keeper": "ä" },
        "Owner": { "Kind": "cat" },
        "Status": 206,
    });
    let headers = pairs(&[
        ("content-type", "application/json"),
        ("x-amzn-requestid", "ID"),
        ("x-marks", "a,b"),
        ("x-since", "Mon, 23 Nov 2026 19:04:49 GMT"),
        ("x-zoo-keeper", "ä"),
    ]);
    let expected = (206, headers, r#"{"Owner":{"Kind":"cat"}}"#.to_owned());
    assert_eq!(
        encode(Protocol::RestJson, &PLACED, &document).unwrap(),
        expected
    );

    let payload = json!({ "Header": "h", "Ticket": { "Kind": "dog" } });
    let (_, _, body) = encode(Protocol::RestXml, &PAID, &payload).unwrap();
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let ticket =
        "<TicketDocument xmlns=\"https://zoo.example/doc\"><Kind>dog</Kind></TicketDocument>";
    assert_eq!(body, format!("{declaration}{ticket}"));
}

#[test]
fn a_header_cannot_be_split() {
    for text in ["a\r\nx-evil: 1", "a\0b"] {
        let refused = encode(Protocol::RestXml, &PAID, &json!({ "Header": text }));
        assert_eq!(refused, Err(EncodeError::Header("x-header".to_owned())));
        let refused = encode(
            Protocol::RestXml,
            &PLACED,
            &json!({ "Meta": { "k": text } }),
        );
        assert_eq!(refused, Err(EncodeError::Header("x-zoo-k".to_owned())));
        let refused = encode(
            Protocol::RestXml,
            &PLACED,
            &json!({ "Meta": { text: "v" } }),
        );
        assert_eq!(refused, Err(EncodeError::Header(format!("x-zoo-{text}"))));
    }
}

#[test]
fn a_document_of_another_shape_is_an_error_of_ours() {
    for document in [
        json!({ "Toys": 1 }),
        json!({ "Homes": [] }),
        json!({ "Friends": [3] }),
    ] {
        assert!(
            encode(Protocol::RestXml, &PLAIN, &document).is_err(),
            "{document}"
        );
        assert!(
            encode(Protocol::Query, &PLAIN, &document).is_err(),
            "{document}"
        );
    }
}

#[test]
fn errors_have_the_envelope_of_their_protocol() {
    let id = RequestId::random();
    let error = ErrorAnswer {
        code: "NoSuchAnimal".to_owned(),
        message: "no <animal>".to_owned(),
        status: StatusCode::NOT_FOUND,
        details: Map::from_iter([("Count".to_owned(), json!(2))]),
    };
    let encode = |protocol| {
        let (status, headers, body) = shown(
            &encode_error(protocol, Some(&SERVICE), &error, &id).unwrap(),
            &id,
        );
        assert_eq!(status, 404);
        (headers, body)
    };
    let json_body = r#"{"Count":2,"__type":"NoSuchAnimal","message":"no <animal>"}"#;
    let (headers, body) = encode(Protocol::Json10);
    assert_eq!(body, json_body);
    assert_eq!(headers[0].1, "application/x-amz-json-1.0");
    let (headers, body) = encode(Protocol::RestJson);
    assert_eq!(body, json_body);
    assert_eq!(
        headers[1],
        ("x-amzn-errortype".to_owned(), "NoSuchAnimal".to_owned())
    );
    let (_, body) = encode(Protocol::Query);
    let expected = "<ErrorResponse xmlns=\"https://zoo.example/doc\"><Error><Type>Sender</Type>\
                    <Code>NoSuchAnimal</Code><Message>no &lt;animal&gt;</Message></Error>\
                    <RequestId>ID</RequestId></ErrorResponse>";
    assert_eq!(body.lines().nth(1), Some(expected));
    let (_, body) = encode(Protocol::RestXml);
    let expected = "<Error><Code>NoSuchAnimal</Code><Message>no &lt;animal&gt;</Message>\
                    <Count>2</Count><RequestId>ID</RequestId><HostId>ID</HostId></Error>";
    assert_eq!(body.lines().nth(1), Some(expected));
}
