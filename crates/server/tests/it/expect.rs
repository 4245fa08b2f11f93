//! `Expect: 100-continue`: who waits before sending a body is told whether it is worth it.

use http::Method;
use sightline_wire::sigv4::PayloadHash;

use crate::port::Port;
use crate::world::Ask;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// More bytes than are taken before anything is looked up: few cost less than the question.
const LARGE: usize = 100_000;

fn put(bucket: &str) -> Ask {
    Ask::s3(Method::PUT, &format!("/{bucket}/k"), "")
        .with("expect", "100-continue")
        .declaring(PayloadHash::Unsigned)
}

#[tokio::test]
async fn a_body_that_may_come_is_asked_for_and_stored() {
    let port = Port::with(|_| {}).await;
    let ask = put(&port.world.assembly.default_bucket);
    let mut wire = port.connect().await;
    wire.send(&port.head(&ask, 5)).await;
    assert_eq!(wire.answer().await, CONTINUE);
    wire.send(b"hello").await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Nothing of the body is sent in these cases, and no `100` comes before the refusal.
#[tokio::test]
async fn what_cannot_succeed_is_refused_before_its_body() {
    let port = Port::with(|_| {}).await;
    let bucket = port.world.assembly.default_bucket.clone();
    assert!(
        port.ask(&Ask::s3(Method::PUT, &format!("/{bucket}/k"), "x"))
            .await
            .contains("200")
    );
    let six_gib = 6 << 30;
    let cases = [
        (put("nobodys-bucket"), LARGE, "404 ", "NoSuchBucket"),
        (put(&bucket), six_gib, "400 ", "EntityTooLarge"),
        (
            put(&bucket).with("if-none-match", "*"),
            LARGE,
            "412 ",
            "PreconditionFailed",
        ),
        (
            put(&bucket).with("if-match", "\"other\""),
            LARGE,
            "412 ",
            "PreconditionFailed",
        ),
    ];
    for (ask, length, status, code) in cases {
        let mut wire = port.connect().await;
        wire.send(&port.head(&ask, length)).await;
        let answer = wire.answer().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(code), "{answer}");
    }
    let head = String::from_utf8(port.head(&put(&bucket), 5)).unwrap();
    let (before, signature) = head.split_once("Signature=").unwrap();
    let spoilt = format!("{before}Signature={}{}", "0".repeat(64), &signature[64..]);
    let mut wire = port.connect().await;
    wire.send(spoilt.as_bytes()).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
}
