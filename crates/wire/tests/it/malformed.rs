//! Requests that no honest client sends: each is refused, none is fatal.

use http::HeaderMap;
use proptest::prelude::*;
use serde_json::Value;
use sightline_wire::limits::{DOCUMENT_BYTES_MAX, FORM_PARAMETERS_MAX};
use sightline_wire::route::match_rest;
use sightline_wire::schema::Protocol;
use sightline_wire::{redact, validate};

use crate::requests::{Request, decode, decode_plain};
use crate::tables::{ANIMAL, NESTED, PLACED, PLAIN, SERVICE};

const ALL: [Protocol; 5] = [
    Protocol::Json10,
    Protocol::Json11,
    Protocol::Query,
    Protocol::RestJson,
    Protocol::RestXml,
];

#[track_caller]
fn check(protocol: Protocol, body: impl AsRef<[u8]>, expected: &str) {
    let error = decode_plain(protocol, body.as_ref()).unwrap_err();
    let shown = format!("{}: {error}", error.code(protocol));
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.len() < 2000, "{} bytes", shown.len());
}

#[track_caller]
fn check_json(body: &str, expected: &str) {
    let expected = format!("SerializationException: {expected}");
    check(Protocol::Json11, body, &expected);
}

#[test]
fn a_scalar_of_the_wrong_type_is_told_as_aws_tells_it() {
    let cases = [
        ("Name", "1", "NUMBER_VALUE", "a String at 'name'"),
        ("Name", "true", "TRUE_VALUE", "a String at 'name'"),
        ("Legs", "\"4\"", "STRING_VALUE", "an Integer at 'legs'"),
        ("Legs", "1.5", "NUMBER_VALUE", "an Integer at 'legs'"),
        ("Legs", "2147483648", "NUMBER_VALUE", "an Integer at 'legs'"),
        ("ageMs", "1e300", "NUMBER_VALUE", "a Long at 'age'"),
        ("Tame", "\"true\"", "STRING_VALUE", "a Boolean at 'tame'"),
        ("Photo", "\"!\"", "STRING_VALUE", "a Blob at 'photo'"),
        ("Born", "1e300", "NUMBER_VALUE", "a Timestamp at 'born'"),
        ("Born", "\"soon\"", "STRING_VALUE", "a Timestamp at 'born'"),
        (
            "Traits",
            "{\"k\": false}",
            "FALSE_VALUE",
            "a String at 'traits.k'",
        ),
        (
            "Friends",
            "[{\"Kind\": 1}]",
            "NUMBER_VALUE",
            "a String at 'friends.1.member.kind'",
        ),
    ];
    for (name, value, found, expected) in cases {
        let body = format!("{{\"{name}\": {value}}}");
        check_json(
            &body,
            &format!("{found} can not be converted to {expected}"),
        );
    }
}

#[test]
fn a_container_in_the_wrong_place_is_told_as_aws_tells_it() {
    check_json("[]", "Start of list found where not expected");
    check_json("\"x\"", "Unexpected field type");
    check_json(
        "{\"Name\": []}",
        "Start of list found where not expected at 'name'",
    );
    check_json(
        "{\"Name\": {}}",
        "Start of structure or map found where not expected at 'name'",
    );
    check_json(
        "{\"Friends\": {}}",
        "Start of structure or map found where not expected at 'friends'",
    );
    check_json("{\"Toys\": \"x\"}", "Unexpected field type at 'toys'");
}

#[test]
fn texts_that_are_no_documents_are_refused() {
    for body in [
        "{",
        "{\"Name\": \"a\"} x",
        "{'Name': 1}",
        "{\"Name\": \"\\ud800\"}",
        "nul",
    ] {
        check(
            Protocol::Json11,
            body,
            "SerializationException: The request body is not well-formed JSON",
        );
    }
    check(
        Protocol::Json11,
        b"{\"Name\": \"\xff\"}",
        "SerializationException: ",
    );
    for body in ["Name=%", "Name=%zz", "Name=%ff"] {
        check(
            Protocol::Query,
            body,
            "MalformedInput: The request body is not well-formed form data",
        );
    }
    check(Protocol::Query, b"Name=\xff", "MalformedInput: ");
    check(
        Protocol::Query,
        "Legs=four",
        "MalformedInput: The text can not be converted to an Integer at 'legs'",
    );
    let xml = [
        "<A>",
        "</A>",
        "<A></B>",
        "<A/><B/>",
        "x",
        "<A/>x",
        "<A>&nope;</A>",
        "<A>&#0;</A>",
        "<A>&#xD800;</A>",
        "<A>&lt</A>",
        "<A b=c/>",
        "<A b='1' b='2'/>",
        "<A><Legs>four</Legs></A>",
        "<A><Traits><entry><key>k</key></entry></Traits></A>",
    ];
    for body in xml {
        check(Protocol::RestXml, body, "MalformedXML: ");
    }
    check(Protocol::RestXml, b"<A>\xff</A>", "MalformedXML: ");
}

#[test]
fn a_document_type_is_refused() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
        <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
        <Animal><Name>&lol2;</Name></Animal>"#;
    check(
        Protocol::RestXml,
        bomb,
        "MalformedXML: The request body is not well-formed XML: a document type is not accepted",
    );
    let external = r#"<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>"#;
    check(Protocol::RestXml, external, "MalformedXML: ");
}

#[test]
fn depth_is_limited() {
    let request = |body: &str| {
        let request = Request {
            target: "/nested",
            headers: &[],
            body: body.as_bytes(),
        };
        ALL.map(|protocol| decode(protocol, &NESTED, &request).is_err())
    };
    let json = format!(
        "{}{{}}{}",
        "{\"Inner\":".repeat(100_000),
        "}".repeat(100_000)
    );
    assert_eq!(
        request(&json),
        [true, true, false, true, true],
        "a form of one name is harmless"
    );
    let xml = format!(
        "{}{}",
        "<Inner>".repeat(100_000),
        "</Inner>".repeat(100_000)
    );
    assert!(request(&xml)[4]);
    let form = format!("{}x=1", "Inner.".repeat(100_000));
    assert!(request(&form)[2]);
    let form = format!("{}x=1", "Eggs.member.1.".repeat(100_000));
    assert!(request(&form)[2]);
}

#[test]
fn size_is_limited() {
    let long = "a".repeat(DOCUMENT_BYTES_MAX);
    check(
        Protocol::Json11,
        format!("{{\"Name\":\"{long}\"}}"),
        "SerializationException: The request body is larger",
    );
    check(
        Protocol::RestXml,
        format!("<A>{long}</A>"),
        "MaxMessageLengthExceeded: ",
    );
    let many = "a=1&".repeat(FORM_PARAMETERS_MAX + 1);
    check(
        Protocol::Query,
        many,
        "MalformedInput: The request has more than 10000 parameters",
    );
    check(
        Protocol::RestXml,
        format!("<A>{}</A>", "<b/>".repeat(300_000)),
        "MalformedXML: The request has more than 200000 elements",
    );
}

#[test]
fn places_outside_the_body_are_checked_too() {
    let error = |target: &str, headers: &[(&'static str, &str)]| {
        let request = Request {
            target,
            headers,
            body: b"",
        };
        let error = decode(Protocol::RestXml, &PLACED, &request).unwrap_err();
        format!("{}: {error}", error.code(Protocol::RestXml))
    };
    assert_eq!(
        error("/cages/a/b?max-legs=x", &[]),
        "InvalidArgument: The value of max-legs is not an Integer"
    );
    assert_eq!(
        error("/cages/a/b", &[("x-since", "x")]),
        "InvalidArgument: The value of x-since is not a Timestamp"
    );
    for target in [
        "/cages/%/b",
        "/cages/a/%ff",
        "/cages/a/b?x=%2",
        "/cages/a",
        "/",
    ] {
        assert!(error(target, &[]).starts_with("InvalidURI: "), "{target}");
    }
}

/// Any JSON, with the names that the table knows frequent among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => prop::sample::select(vec!["Name", "Legs", "Born", "Toys", "Friends", "Traits", "Homes", "Kind", "Photo", "Environment", "Chip"])
            .prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_are_fatal(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for protocol in ALL {
            let _outcome = decode_plain(protocol, &body);
        }
    }

    #[test]
    fn no_text_of_markup_is_fatal(body in "[<>/&;#x! \\[\\]\"'=a-cA?-]{0,80}") {
        for protocol in ALL {
            let _outcome = decode_plain(protocol, body.as_bytes());
        }
    }

    /// Whatever is decoded can be checked, redacted and decoded again to itself.
    #[test]
    fn canonical_documents_are_fixed_points(json in any_json()) {
        let Ok(document) = decode_plain(Protocol::Json11, json.to_string().as_bytes()) else {
            return Ok(());
        };
        let _verdict = validate(&ANIMAL, &document);
        let _shown = redact(&ANIMAL, &document);
        let mut wire = document.clone();
        if let Some(age) = wire.as_object_mut().and_then(|object| object.remove("Age")) {
            wire["ageMs"] = age;
        }
        prop_assert_eq!(decode_plain(Protocol::Json11, wire.to_string().as_bytes()), Ok(document));
    }

    /// Even documents that no protocol decoded.
    #[test]
    fn no_document_is_fatal_to_validation(document in any_json()) {
        let _verdict = validate(PLAIN.input, &document);
        let _shown = redact(PLAIN.input, &document);
    }

    #[test]
    fn no_target_is_fatal_to_routing(method in "[A-Z]{0,6}", path in ".{0,40}", query in ".{0,40}") {
        let _outcome = match_rest(&SERVICE, &method, &path, &query, &HeaderMap::new());
        let slashed = format!("/{path}");
        let _outcome = match_rest(&SERVICE, &method, &slashed, &query, &HeaderMap::new());
    }
}
