//! Good requests in each protocol give the same document.

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use sightline_wire::DecodeError;
use sightline_wire::protocol::{RequestParts, decode_request};
use sightline_wire::route::{Match, match_rest, match_target};
use sightline_wire::schema::{Operation, Protocol};

use crate::tables::{PAID, PLACED, PLAIN, SERVICE};

pub(crate) struct Request<'a> {
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: &'a [u8],
}

pub(crate) fn decode(
    protocol: Protocol,
    operation: &Operation,
    request: &Request<'_>,
) -> Result<Value, DecodeError> {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        headers.append(*name, value.parse().unwrap());
    }
    let parts = RequestParts {
        method: &Method::POST,
        path,
        query,
        headers: &headers,
        body: request.body,
    };
    decode_request(protocol, operation, &parts)
}

pub(crate) fn decode_plain(protocol: Protocol, body: &[u8]) -> Result<Value, DecodeError> {
    decode(
        protocol,
        &PLAIN,
        &Request {
            target: "/plain",
            headers: &[],
            body,
        },
    )
}

fn animal() -> Value {
    json!({
        "Name": "rex",
        "Legs": 4,
        "Age": 9_007_199_254_740_993_i64,
        "Weight": 1.5,
        "Tame": true,
        "Photo": "AAEC",
        "Born": 1795460689.25,
        "Seen": 1795460689.0,
        "Toys": ["ball", ""],
        "Friends": [{ "Kind": "cat", "Since": 0.0 }, { "Kind": "dog" }],
        "Traits": { "a": "b c", "d": "é" },
        "Homes": { "h": { "Kind": "cat" } },
    })
}

#[test]
fn json_bodies_are_read() {
    let body = r#"{"Name": "rex", "Legs": 4.0, "ageMs": 9007199254740993, "Weight": 1.5,
        "Tame": true, "Photo": "AAEC", "Born": 1795460689.25, "Seen": "Mon, 23 Nov 2026 19:04:49 GMT",
        "Toys": ["ball", ""], "Friends": [{"Kind": "cat", "Since": 0}, {"Kind": "dog", "Since": null}],
        "Traits": {"a": "b c", "d": "\u00e9"}, "Homes": {"h": {"Kind": "cat", "Unknown": [1]}},
        "Nick": null, "Age": 7, "Unknown": {"deep": [true]}}"#;
    for protocol in [Protocol::Json10, Protocol::Json11, Protocol::RestJson] {
        assert_eq!(decode_plain(protocol, body.as_bytes()).unwrap(), animal());
    }
    assert_eq!(decode_plain(Protocol::Json11, b" \n").unwrap(), json!({}));
}

#[test]
fn forms_are_read() {
    let body = "Action=Plain&Version=2026-11-23&Name=rex&Legs=4&ageMs=9007199254740993&Weight=1.5\
        &Tame=true&Photo=AAEC&Born=2026-11-23T19%3A04%3A49.250Z&Seen=2026-11-23T19%3A04%3A49Z\
        &Toys.member.1=ball&Toys.member.2=&Friends.Friend.2.Kind=dog&Friends.Friend.1.Kind=cat\
        &Friends.Friend.1.Since=1970-01-01T00:00:00Z&Traits.entry.1.key=a&Traits.entry.1.value=b+c\
        &Traits.entry.2.key=d&Traits.entry.2.value=%C3%A9&Homes.entry.1.key=h\
        &Homes.entry.1.value.Kind=cat&Unknown.member.1=x";
    assert_eq!(
        decode_plain(Protocol::Query, body.as_bytes()).unwrap(),
        animal()
    );
    let flat = decode_plain(Protocol::Query, b"Flat.1=7&Flat.10=9&Flat.2=8&Toys=").unwrap();
    assert_eq!(flat, json!({ "Flat": [7, 8, 9], "Toys": [] }));
}

#[test]
fn xml_bodies_are_read() {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
        <!-- a comment --><z:Animal xmlns:z="https://zoo.example/doc">
        <Name>r<![CDATA[e]]>&#120;</Name><Legs> 4 </Legs><ageMs>9007199254740993</ageMs>
        <Weight>1.5</Weight><Tame>true</Tame><Photo>AAEC</Photo>
        <Born>2026-11-23T19:04:49.250Z</Born><Seen>Mon, 23 Nov 2026 19:04:49 GMT</Seen>
        <Toys><member>ball</member><member/></Toys>
        <Friends><Friend><Kind>cat</Kind><Since>1970-01-01T00:00:00Z</Since></Friend>
        <Friend><Kind>dog</Kind></Friend></Friends>
        <Traits><entry><key>a</key><value>b c</value></entry>
        <entry><key>d</key><value>&#xe9;</value></entry></Traits>
        <Homes><entry><key>h</key><value><Kind>cat</Kind></value></entry></Homes>
        <Unknown><Name>x</Name></Unknown></z:Animal>"#;
    assert_eq!(
        decode_plain(Protocol::RestXml, body.as_bytes()).unwrap(),
        animal()
    );
    let flat = decode_plain(
        Protocol::RestXml,
        b"<A><Flat>7</Flat><Name>&lt;</Name><Flat>8</Flat></A>",
    );
    assert_eq!(flat.unwrap(), json!({ "Flat": [7, 8], "Name": "<" }));
}

#[test]
fn parts_are_gathered_from_everywhere() {
    let request = Request {
        target: "/cages/a%2Fb/x//y%2520/?max-legs=7&color=red&x=y&color=dark%20blue",
        headers: &[
            ("x-since", "2026-11-23T19:04:49Z"),
            ("if-modified-since", "yesterday"),
            ("x-marks", "a, b"),
            ("x-marks", "c"),
            ("x-kind", "CAT"),
            ("x-zoo-Keeper", "ä"),
            ("x-zoo-", "empty"),
        ],
        body: br#"{"Owner": {"Kind": "cat"}, "Name": "from the body"}"#,
    };
    let expected = json!({
        "Name": "a/b",
        "Rest": "x//y%20/",
        "Limit": 7,
        "Colors": ["red", "dark blue"],
        "Since": 1795460689.0,
        "Marks": ["a", "b", "c"],
        "Kind": "cat",
        "Meta": { "keeper": "ä", "": "empty" },
        "Owner": { "Kind": "cat" },
    });
    assert_eq!(
        decode(Protocol::RestJson, &PLACED, &request).unwrap(),
        expected
    );
    let body = b"<Places><Owner><Kind>cat</Kind></Owner><Name>from the body</Name></Places>";
    let request = Request { body, ..request };
    assert_eq!(
        decode(Protocol::RestXml, &PLACED, &request).unwrap(),
        expected
    );
}

#[test]
fn a_payload_is_the_whole_body() {
    let expected = json!({ "Header": "h", "Ticket": { "Kind": "dog" } });
    let read = |protocol, body| {
        let request = Request {
            target: "/paid",
            headers: &[("x-header", "h")],
            body,
        };
        decode(protocol, &PAID, &request)
    };
    assert_eq!(
        read(Protocol::RestJson, br#"{"Kind": "dog"}"#).unwrap(),
        expected
    );
    let xml = b"<TicketDocument xmlns='u'><Kind>dog</Kind></TicketDocument>";
    assert_eq!(read(Protocol::RestXml, xml).unwrap(), expected);
    assert_eq!(
        read(Protocol::RestXml, b"").unwrap(),
        json!({ "Header": "h" })
    );
    let other = read(Protocol::RestXml, b"<Other><Kind>dog</Kind></Other>").unwrap_err();
    assert_eq!(other.code(Protocol::RestXml), "MalformedXML");
}

fn named(found: Match) -> String {
    match found {
        Match::Served(operation) => operation.name.to_owned(),
        Match::Unserved(service, unserved) => format!("-{}.{}", service.name, unserved.name),
        Match::Unknown => "?".to_owned(),
    }
}

#[test]
fn targets_are_split_at_the_last_dot() {
    let find = |target| named(match_target(&[&SERVICE], target));
    assert_eq!(find("Zoo_20261123.Keeper.Plain"), "Plain");
    assert_eq!(find("Zoo_20261123.Keeper.CloseZoo"), "-zoo.CloseZoo");
    for unknown in [
        "Zoo_20261123.Keeper.Fly",
        "Zoo.Plain",
        "Plain",
        "",
        ".",
        "Zoo_20261123.Keeper.",
    ] {
        assert_eq!(find(unknown), "?", "{unknown}");
    }
}

#[test]
fn the_most_specific_path_wins() {
    let find = |method: &str, path: &str| {
        named(match_rest(&SERVICE, method, path, "", &HeaderMap::new()).unwrap())
    };
    assert_eq!(find("GET", "/cages/old"), "-zoo.DescribeOldCage");
    assert_eq!(find("GET", "/cages/new"), "-zoo.DescribeCage");
    assert_eq!(find("PUT", "/cages/new/x/y"), "Placed");
    assert_eq!(find("PUT", "/cages/new"), "?");
    assert_eq!(find("POST", "/plain"), "Plain");
}
