//! Bytes that no client library sends: broken heads, smuggled requests, forged origins, bombs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::json;
use sightline_proof::{Ask, raw};

use crate::rig::{Rig, Running};

/// Memory that a server may take on while it refuses what is too large.
const GROWTH_MAX: u64 = 64 << 20;

/// Sends bytes and reads all that comes until the server closes, or is silent for a while.
fn conversation(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    stream.write_all(bytes).ok();
    let mut said = Vec::new();
    let mut piece = [0; 4_096];
    while let Ok(length) = stream.read(&mut piece) {
        if length == 0 {
            break;
        }
        said.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn assert_well(running: &mut Running) {
    assert!(running.server.is_alive().unwrap());
    let answer = raw(
        &running.server.address,
        b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    assert_eq!(answer.unwrap().status, 200);
    let ask = Ask::s3(Method::GET, "/");
    running.client.disconnect();
    assert_eq!(running.send(&ask).status, 200);
}

/// Two readings of where a request ends are how one is smuggled past a proxy.
#[test]
fn a_request_whose_end_can_be_read_in_two_ways_is_not_answered_twice() {
    let rig = Rig::new();
    let mut running = rig.start();
    let hidden = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let heads = [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            5 + hidden.len()
        ),
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n".to_owned(),
        "content-length: 0\r\ncontent-length: 5\r\n".to_owned(),
        "content-length: 5, 0\r\n".to_owned(),
        "content-length: +0\r\n".to_owned(),
        "content-length: -1\r\n".to_owned(),
        "content-length: 0x0\r\n".to_owned(),
        "content-length: 99999999999999999999\r\n".to_owned(),
        "content-length : 0\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n".to_owned(),
        "transfer-encoding:\u{b}chunked\r\n".to_owned(),
        " folded: yes\r\n".to_owned(),
        "no-colon\r\n".to_owned(),
        "n\u{0}l: 1\r\n".to_owned(),
    ];
    for head in heads {
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n{hidden}");
        let said = conversation(&running.server.address, request.as_bytes());
        let first: u16 = said
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .unwrap_or(400);
        assert!(
            (400..600).contains(&first) && first != 500,
            "{head:?}: {said}"
        );
        assert!(
            !said.ends_with("ok\n"),
            "{head:?} hid a request that was answered: {said}"
        );
    }
    assert_well(&mut running);
}

#[test]
fn a_head_that_is_no_head_is_refused_and_forgotten() {
    let rig = Rig::new();
    let mut running = rig.start();
    let address = running.server.address.clone();
    let line = |line: &str| format!("{line}\r\nhost: a\r\n\r\n").into_bytes();
    let mut heads = vec![
        line("GET / HTTP/9.9"),
        line("GET  / HTTP/1.1"),
        line("GET /a b HTTP/1.1"),
        line("G\u{0}T / HTTP/1.1"),
        line(&format!("{} / HTTP/1.1", "A".repeat(100_000))),
        line(&format!("GET /{} HTTP/1.1", "a".repeat(1 << 20))),
        line(&format!("GET /?{} HTTP/1.1", "a=b&".repeat(100_000))),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(50_000)).into_bytes(),
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "y".repeat(1 << 20)
        )
        .into_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        b"GET / HTTP/1.1\nhost: a\n\n".to_vec(),
        b"GET /%ff%00%gg HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
    ];
    heads.push(line("CONNECT 169.254.169.254:80 HTTP/1.1"));
    for head in heads {
        let said = conversation(&address, &head);
        let shown = String::from_utf8_lossy(&head[..head.len().min(60)]).into_owned();
        let refused = said.is_empty() || !said.starts_with("HTTP/1.1 2");
        assert!(refused, "{shown:?} was answered {said}");
    }
    assert_well(&mut running);
}

/// Whom a request says it is for, or comes from, changes nothing.
#[test]
fn forged_hosts_and_origins_change_nothing() {
    let rig = Rig::new();
    let mut running = rig.start();
    let address = running.server.address.clone();
    let forged = [
        "host: evil.example\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n",
        "host: evil.example\r\nhost: 127.0.0.1\r\n",
        "host: 127.0.0.1@evil.example\r\n",
        "host: a\r\nx-forwarded-host: evil.example\r\nx-original-url: /healthz\r\n",
    ];
    for head in forged {
        for first in [
            "GET /",
            "PUT /new-bucket",
            "POST /",
            "DELETE /b",
            "OPTIONS /",
            "TRACE /",
        ] {
            for target in ["", "http://evil.example"] {
                let (method, path) = first.split_once(' ').unwrap();
                let request = format!(
                    "{method} {target}{path} HTTP/1.1\r\n{head}connection: close\r\ncontent-length: 0\r\n\r\n"
                );
                let said = conversation(&address, request.as_bytes());
                assert!(
                    said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"),
                    "{request}: {said}"
                );
                let told = said.to_lowercase();
                assert!(!told.contains("access-control-allow"), "{said}");
                assert!(!told.contains("evil.example"), "{said}");
            }
        }
    }
    // Who asks is known from the connection, whatever the request says.
    let ask = Ask::s3(Method::PUT, "/a-bucket-of-mine")
        .with("x-forwarded-for", "203.0.113.9")
        .with("forwarded", "for=203.0.113.9")
        .with("x-real-ip", "203.0.113.9");
    assert_eq!(running.send(&ask).status, 200);
    let events = running.events(&crate::rig::named("CreateBucket"));
    let record = events[0]["CloudTrailEvent"].as_str().unwrap();
    assert!(
        record.contains("127.0.0.1") && !record.contains("203.0.113.9"),
        "{record}"
    );
    assert_well(&mut running);
}

/// A name with a line's end in it does not become a line of the log.
#[test]
fn no_words_of_a_caller_become_a_line_of_the_log() {
    let rig = Rig::new();
    let mut running = rig.start();
    let address = running.server.address.clone();
    let planted = "PLANTED-LINE";
    let credential =
        format!("AKIA%0A{planted}%0D%0A{planted}%1b%5B2J/20231114/us-east-1/s3/aws4_request");
    let target = format!(
        "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20231114T221320Z\
         &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
    );
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
    let said = conversation(&address, request.as_bytes());
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    let key = format!(
        "/{}/a%0A{planted}%0D{planted}",
        running.server.default_bucket
    );
    let ask = Ask::s3(Method::GET, key).with("user-agent", format!("a\t{planted}"));
    assert_eq!(running.send(&ask).status, 404);
    for line in running.server.said().lines() {
        assert!(!line.starts_with(planted), "{line}");
        assert!(
            !line.contains('\u{1b}') || !line.contains(planted),
            "{line:?}"
        );
    }
    assert_well(&mut running);
}

/// Zeros that are a thousand times smaller on the wire.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..256 {
        encoder.write_all(&[b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn what_is_too_large_is_refused_without_being_kept() {
    let rig = Rig::new();
    let mut running = rig.start();
    assert_well(&mut running);
    let before = running.server.resident_bytes().unwrap();
    let bomb = gzip_bomb();
    let large = vec![b' '; 6 << 20];
    for _ in 0..10 {
        let list = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", &json!({}));
        let bombed = list.clone().with("content-encoding", "gzip");
        for ask in [bombed.body(bomb.clone()), list.body(large.clone())] {
            // The server may close before all of it is sent.
            if let Ok(answer) = running.client.send(&ask) {
                assert!((400..500).contains(&answer.status), "{}", answer.text());
            }
        }
        // A length that is never sent is not reserved.
        let promise = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000000\r\n\r\nabc";
        conversation(&running.server.address, promise.as_bytes());
    }
    let after = running.server.resident_bytes().unwrap();
    assert!(after < before + GROWTH_MAX, "{before} bytes became {after}");
    assert_well(&mut running);
}

/// Clients that send a byte now and then do not keep others out.
#[test]
fn others_are_served_while_many_are_slow() {
    let rig = Rig::new();
    let mut running = rig.start();
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&running.server.address).unwrap();
            stream
                .write_all(b"PUT /b/k HTTP/1.1\r\nhost: a\r\nconte")
                .unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_well(&mut running);
    }
    assert_eq!(slow.len(), 200);
}
