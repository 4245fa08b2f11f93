//! What has broken other servers, tried on every operation of the tables.
//!
//! The requests are generated, so an operation that is added is attacked by itself.

mod specimen;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use sightline_wire::schema::{Operation, Protocol};

use crate::world::{Answer, Ask, World};

/// Operations that AWS lets everybody call.
const FREE: [&str; 3] = ["GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo"];

/// Stands in a file that no answer may hold.
const CANARY: &str = "the-canary-in-the-data-directory";

/// Paths in every form in which they have been smuggled past a check.
const PATHS: [&str; 16] = [
    "../canary",
    "../../../../etc/passwd",
    "..\\..\\canary",
    "%2e%2e/canary",
    "%252e%252e%252fcanary",
    "..;/canary",
    "a/../../canary",
    "a//../canary",
    "/etc/passwd",
    "//proc/self/root/etc/passwd",
    "C:/canary",
    "./canary\u{0}.txt",
    ".%00./canary",
    "\u{ff0e}\u{ff0e}/canary",
    "s3://bucket/../../canary",
    "file:///etc/passwd#/s3",
];

/// Words that mean something to a database, a document, a shell, a log or a terminal.
const WORDS: [&str; 9] = [
    "'; DROP TABLE events; --",
    "\" OR \"1\"=\"1",
    "<script>alert(1)</script>&lt;x;]]>",
    "a\r\nx-injected: yes\r\n\r\n<html>",
    "$(touch canary-was-here)`id`|id;id",
    "{{7*7}}${7*7}%{7*7}",
    "\u{1b}[2J\u{202e}\u{7f}",
    "%s%n%x%_%",
    "*",
];

fn operations(world: &World) -> Vec<&'static Operation> {
    let services = world.assembly.front.services();
    services
        .iter()
        .flat_map(|on| on.service().operations.iter().copied())
        .collect()
}

/// An answer of the service's own: a success, or a refusal by name that is no failure of ours.
fn assert_typed(answer: &Answer, what: &str) {
    assert!(
        answer.status < 500 || answer.status == 501,
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    let injected = answer
        .headers
        .keys()
        .any(|name| name.as_str() == "x-injected");
    assert!(!injected, "{what}: a header was injected");
    for secret in [CANARY, "root:x:0:0"] {
        assert!(
            !answer.text.contains(secret),
            "{what} gave out a file: {}",
            answer.text
        );
    }
    if 400 <= answer.status && !answer.text.is_empty() {
        assert!(!answer.code().is_empty(), "{what}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_operation_is_open_to_a_key_without_permissions() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    let mut denied = 0;
    for operation in operations(&world) {
        if FREE.contains(&operation.name) {
            continue;
        }
        let mut answer = None;
        // Some operations name their resource by members of which none is required.
        for document in [specimen::document(operation), specimen::whole(operation)] {
            let ask = specimen::request(operation, &document);
            let got = world.ask_as(&nobody, ask).await;
            assert!(
                !(200..300).contains(&got.status),
                "{} is open",
                operation.name
            );
            if got.text.is_empty() || got.code().starts_with("AccessDenied") {
                answer = Some(got);
                break;
            }
            answer = Some(got);
        }
        let answer = answer.unwrap();
        let name = operation.name;
        if !answer.text.is_empty() {
            assert!(
                answer.code().starts_with("AccessDenied"),
                "{name}: {}",
                answer.text
            );
        }
        let status = [400, 403].contains(&answer.status);
        assert!(status, "{name} answered {}", answer.status);
        let events = world.events(name).await;
        let event = events
            .iter()
            .find(|event| event["userIdentity"]["accessKeyId"] == nobody.id);
        let event = event.unwrap_or_else(|| panic!("{name} was denied off the record"));
        let code = event["errorCode"].as_str().unwrap_or_default();
        assert!(code.starts_with("AccessDenied"), "{name}: {event}");
        denied += 1;
    }
    assert!(25 < denied, "the tables must not be empty: {denied}");
}

#[tokio::test]
async fn no_operation_answers_who_does_not_sign() {
    let world = World::new().await;
    for operation in operations(&world) {
        let ask = specimen::request(operation, &specimen::document(operation))
            .with("origin", "https://evil.example")
            .with("sec-fetch-site", "cross-site")
            .with("x-forwarded-host", "evil.example")
            .with("cookie", "session=1");
        let answer = world.ask_unsigned(ask).await;
        let name = operation.name;
        assert!(
            [400, 403].contains(&answer.status),
            "{name} answered {}",
            answer.status
        );
        let cors = answer.headers.contains_key("access-control-allow-origin");
        assert!(!cors, "{name} lets other sites read its answers");
    }
}

/// The names of the files that a server has, but for those that it may add.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("blobs") || name.starts_with("meta.sqlite") {
            continue;
        }
        found.insert(entry.path().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            names(&entry.path(), found);
        }
    }
}

/// Puts each hostile text in the place of each text of each operation's request.
async fn put_everywhere(world: &World, hostile: &[String]) {
    let mut sent = 0;
    for operation in operations(world) {
        let whole = specimen::whole(operation);
        for (number, place) in specimen::texts(&whole).into_iter().enumerate() {
            // Each place gets a third of them, so that each operation gets them all.
            for text in hostile.iter().skip(number % 3).step_by(3) {
                let mut document = whole.clone();
                if let Some(value) = document.pointer_mut(&place) {
                    *value = Value::String(text.clone());
                }
                let what = format!("{} with {text:?} at {place}", operation.name);
                let answer = world.ask(specimen::request(operation, &document)).await;
                assert_typed(&answer, &what);
                sent += 1;
            }
        }
    }
    assert!(500 < sent, "only {sent} requests were made");
}

#[tokio::test]
async fn no_text_of_a_request_becomes_a_path() {
    let world = World::new().await;
    fs::write(world.directory().join("canary"), CANARY).unwrap();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    names(world.directory(), &mut before);
    put_everywhere(&world, &PATHS.map(str::to_owned)).await;
    names(world.directory(), &mut after);
    assert_eq!(before, after);
    let canary = fs::read_to_string(world.directory().join("canary")).unwrap();
    assert_eq!(canary, CANARY);
}

#[tokio::test]
async fn no_text_of_a_request_is_fetched() {
    let world = World::new().await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    let hostile = [
        format!("http://127.0.0.1:{port}/latest/meta-data"),
        format!("https://localhost:{port}/x"),
        format!("s3://127.0.0.1:{port}/x"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("127.0.0.1:{port}/image:1"),
        format!("ftp://127.0.0.1:{port}/x"),
        format!("//127.0.0.1:{port}/x"),
        format!("http://169.254.169.254@127.0.0.1:{port}/"),
    ];
    put_everywhere(&world, &hostile).await;
    let fetched = trap.accept().map(|(_, peer)| peer).ok();
    assert_eq!(fetched, None, "the server went where a request pointed");
}

#[tokio::test]
async fn no_text_of_a_request_is_a_command() {
    let world = World::new().await;
    put_everywhere(&world, &WORDS.map(str::to_owned)).await;
    assert!(!fs::exists("canary-was-here").unwrap());
    // The tables are there, and hold what happened.
    assert!(!world.events("ListBuckets").await.is_empty());
}

/// Bodies that cost their reader more than their sender, unless it is on its guard.
fn bombs(protocol: Protocol) -> Vec<(&'static str, String)> {
    let (deep, many) = (100_000, 50_000);
    match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => vec![
            ("deep lists", "[".repeat(deep)),
            ("deep members", "{\"a\":".repeat(deep)),
            (
                "deep below a member",
                format!("{{\"Tags\":{}", "[".repeat(deep)),
            ),
            (
                "a huge number",
                format!("{{\"MaxResults\":{}}}", "9".repeat(many)),
            ),
            ("a huge exponent", "{\"MaxResults\":1e999999999}".to_owned()),
            ("a long key", format!("{{\"{}\":1}}", "k".repeat(1 << 20))),
            (
                "not the end of a text",
                format!("\"{}", "\\u0041".repeat(many)),
            ),
        ],
        Protocol::Query => vec![
            ("many parameters", "a=b&".repeat(many)),
            (
                "a huge index",
                "Action=GetRole&RoleName.member.99999999999999999999=a".to_owned(),
            ),
            (
                "deep names",
                format!("Action=GetRole&{}=1", "a.".repeat(deep)),
            ),
            ("a broken escape", "Action=%".to_owned()),
            (
                "names that differ little",
                (0..many).map(|n| format!("p{n}=1&")).collect(),
            ),
        ],
        Protocol::RestXml => vec![
            ("deep elements", "<a>".repeat(deep)),
            (
                "many elements",
                format!("<Delete>{}</Delete>", "<a/>".repeat(900_000)),
            ),
            (
                "many attributes",
                format!("<Delete {}/>", "a='b' ".repeat(many)),
            ),
            ("laughs", laughs()),
            (
                "an outer entity",
                "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Delete>&x;</Delete>"
                    .to_owned(),
            ),
            (
                "an endless comment",
                format!("<Delete><!--{}", "-".repeat(1 << 20)),
            ),
            ("an endless name", format!("<{}", "a".repeat(1 << 20))),
        ],
    }
}

/// Entities of entities: a billion of the innermost.
fn laughs() -> String {
    let mut text = "<!DOCTYPE l [<!ENTITY l0 \"lol\">".to_owned();
    for level in 1..10 {
        let below = format!("&l{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY l{level} \"{below}\">"));
    }
    text + "]><Delete><Object><Key>&l9;</Key></Object></Delete>"
}

/// Whether the body of an operation's request is a document.
fn reads_a_document(operation: &Operation) -> bool {
    use sightline_wire::schema::Location;
    let members = operation.input.members();
    let document = |location| matches!(location, Location::Body | Location::Payload);
    let rest = operation.service.protocols[0] == Protocol::RestXml;
    !rest || members.iter().any(|member| document(member.location))
}

#[tokio::test]
async fn no_body_costs_more_than_its_bytes() {
    let world = World::new().await;
    let mut sent = 0;
    for operation in operations(&world)
        .into_iter()
        .filter(|one| reads_a_document(one))
    {
        let protocol = operation.service.protocols[0];
        let ask = specimen::request(operation, &specimen::document(operation));
        for (bomb, body) in bombs(protocol) {
            let mut ask: Ask = ask.clone();
            ask.body = body.into();
            let answer = world.ask(ask).await;
            let what = format!("{} with {bomb}", operation.name);
            assert_typed(&answer, &what);
            let refused = (400..500).contains(&answer.status);
            // What is merely long may be read and found to hold nothing.
            let harmless = ["a long key", "many parameters", "names that differ little"];
            assert!(
                refused || harmless.contains(&bomb),
                "{what}: {}",
                answer.text
            );
            sent += 1;
        }
    }
    assert!(100 < sent, "only {sent} bodies were sent");
}
