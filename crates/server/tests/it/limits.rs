//! Every limit, attacked over a real socket.

use std::time::Duration;

use http::Method;
use sightline_wire::sigv4::PayloadHash;

use crate::port::Port;
use crate::world::Ask;

const PAUSE: Duration = Duration::from_millis(60);

fn identity() -> Ask {
    Ask::form("sts", "Action=GetCallerIdentity&Version=2011-06-15")
}

fn jobs() -> Ask {
    Ask::json("sagemaker", "SageMaker.ListTrainingJobs", "{}")
}

fn buckets() -> Ask {
    Ask::s3(Method::GET, "/", "")
}

/// An upload whose body may be anything.
fn upload(port: &Port) -> Ask {
    let bucket = &port.world.assembly.default_bucket;
    Ask::s3(Method::PUT, &format!("/{bucket}/key"), "").declaring(PayloadHash::Unsigned)
}

fn stored(port: &Port) -> Ask {
    let bucket = &port.world.assembly.default_bucket;
    Ask::s3(Method::GET, &format!("/{bucket}/key"), "")
}

#[tokio::test]
async fn a_head_may_be_so_long_and_have_so_many_headers() {
    let port = Port::with(|settings| {
        settings.limits.head_bytes_max = 8_192;
        settings.limits.headers_max = 16;
        settings.limits.uri_bytes_max = 2_048;
    })
    .await;
    for (head, status) in [
        (
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(2_048)),
            "414 ",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
                "a".repeat(9_000)
            ),
            "431 ",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(16)),
            "431 ",
        ),
    ] {
        let mut wire = port.connect().await;
        wire.send(head.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    assert!(port.ask(&identity()).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_document_may_be_so_long() {
    let port = Port::with(|_| {}).await;
    let large = Ask::json(
        "sagemaker",
        "SageMaker.ListTrainingJobs",
        " ".repeat(5 << 20),
    );
    let mut wire = port.connect().await;
    wire.send(&port.head(&large, large.body.len())).await;
    wire.send(&large.body[..(4 << 20) + 1]).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("RequestEntityTooLarge"), "{answer}");
}

#[tokio::test]
async fn who_sends_a_head_byte_by_byte_is_cut_off() {
    let port = Port::with(|settings| settings.limits.head_timeout_ms = 200).await;
    let mut silent = port.connect().await;
    let mut slow = port.connect().await;
    for byte in b"GET /hea" {
        slow.send(&[*byte]).await;
        tokio::time::sleep(PAUSE).await;
        if slow.is_cut_off() {
            break;
        }
    }
    slow.is_closed().await;
    silent.is_closed().await;
}

#[tokio::test]
async fn a_connection_may_be_idle_longer_than_a_head_may_take_but_not_for_ever() {
    let port = Port::with(|settings| {
        settings.limits.head_timeout_ms = 100;
        settings.limits.idle_timeout_ms = 600;
    })
    .await;
    let mut wire = port.connect().await;
    for _ in 0..2 {
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(wire.answer().await.ends_with("ok\n"));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    wire.is_closed().await;
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_given_up_and_nothing_is_stored() {
    let port = Port::with(|settings| settings.limits.body_pause_max_ms = 150).await;
    let mut wire = port.connect().await;
    wire.send(&port.head(&upload(&port), 100)).await;
    wire.send(b"ten bytes.").await;
    let answer = wire.answer().await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(port.ask(&stored(&port)).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let port = Port::with(|settings| {
        settings.limits.body_pause_max_ms = 300;
        settings.limits.body_bytes_per_second = 1_000;
    })
    .await;
    let mut wire = port.connect().await;
    wire.send(&port.head(&upload(&port), 1_000)).await;
    let mut dripped = 0;
    while !wire.is_cut_off() && dripped < 100 {
        wire.try_send(b"x").await;
        dripped += 1;
        tokio::time::sleep(PAUSE).await;
    }
    assert!(dripped < 50, "{dripped} bytes dripped through");
    assert!(port.ask(&stored(&port)).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_request_as_a_whole_may_take_so_long() {
    let port = Port::with(|settings| settings.limits.request_timeout_ms = 400).await;
    let mut wire = port.connect().await;
    wire.send(&port.head(&upload(&port), 1_000)).await;
    let mut dripped = 0;
    while !wire.is_cut_off() && dripped < 100 {
        wire.try_send(b"x").await;
        dripped += 1;
        tokio::time::sleep(PAUSE).await;
    }
    assert!(dripped < 50, "{dripped} bytes dripped through");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let port = Port::with(|settings| settings.limits.write_timeout_ms = 300).await;
    let mut put = upload(&port);
    put.body = vec![7; 16 << 20].into();
    assert!(port.ask(&put).await.starts_with("HTTP/1.1 200"));
    let mut wire = port.connect().await;
    wire.send(&port.head(&stored(&port), 0)).await;
    port.metrics_say("operation=\"GetObject\",status=\"200\"} 1")
        .await;
    port.metrics_say("sightline_requests_in_flight 0").await;
    drop(wire);
}

#[tokio::test]
async fn with_all_connections_taken_the_operator_is_still_answered() {
    let port = Port::with(|settings| settings.limits.connections_max = 2).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut wire = port.connect().await;
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        wire.answer().await;
        idle.push(wire);
    }
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert!(port.get(probe).await.starts_with("HTTP/1.1 200"), "{probe}");
    }
    let refused = port.ask(&buckets()).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("ServiceUnavailable"), "{refused}");
    idle.clear();
    port.metrics_say("sightline_connections 1\n").await;
    assert!(port.ask(&buckets()).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn one_address_may_have_so_many_connections() {
    let port = Port::with(|settings| settings.limits.peer_connections_max = 1).await;
    let mut first = port.connect().await;
    first
        .send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    first.answer().await;
    assert!(port.ask(&buckets()).await.starts_with("HTTP/1.1 503"));
    drop(first);
    port.metrics_say("sightline_connections 1\n").await;
    assert!(port.ask(&buckets()).await.starts_with("HTTP/1.1 200"));
}

/// What each protocol says to one who must wait.
async fn all_are_throttled(port: &Port) {
    for (ask, status, code) in [
        (jobs(), "400", "ThrottlingException"),
        (identity(), "400", "<Code>Throttling</Code>"),
        (buckets(), "503", "<Code>SlowDown</Code>"),
    ] {
        let answer = port.ask(&ask).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(code), "{answer}");
        assert!(
            answer.to_lowercase().contains("\r\nretry-after: 1\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn one_principal_may_make_so_many_requests_at_once() {
    let port = Port::with(|settings| settings.limits.principal_requests_max = 1).await;
    let mut under_way = port.connect().await;
    under_way.send(&port.head(&upload(&port), 10)).await;
    port.metrics_say("sightline_requests_in_flight 1").await;
    all_are_throttled(&port).await;
    under_way.send(b"0123456789").await;
    assert!(under_way.answer().await.starts_with("HTTP/1.1 200"));
    assert!(port.ask(&jobs()).await.starts_with("HTTP/1.1 200"));
    port.metrics_say("throttled_total{reason=\"concurrency\"} 3")
        .await;
}

#[tokio::test]
async fn one_principal_may_make_so_many_requests_per_second() {
    let port = Port::with(|settings| {
        settings.limits.principal_requests_per_second = 2;
        settings.limits.principal_burst_max = 3;
    })
    .await;
    for _ in 0..3 {
        assert!(port.ask(&jobs()).await.starts_with("HTTP/1.1 200"));
    }
    all_are_throttled(&port).await;
    port.world.clock.advance(Duration::from_millis(500));
    assert!(port.ask(&jobs()).await.starts_with("HTTP/1.1 200"));
    all_are_throttled(&port).await;
}

/// An unsigned flood in somebody's name must not use up their share.
#[tokio::test]
async fn what_is_not_signed_counts_against_nobody() {
    let port = Port::with(|settings| {
        settings.limits.principal_requests_per_second = 1;
        settings.limits.principal_burst_max = 1;
    })
    .await;
    for _ in 0..5 {
        let head = String::from_utf8(port.head(&buckets(), 0)).unwrap();
        let forged = head.replace("Signature=", "Signature=0");
        let mut wire = port.connect().await;
        wire.send(forged.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(
            !answer.starts_with("HTTP/1.1 2") && !answer.contains("SlowDown"),
            "{answer}"
        );
    }
    assert!(port.ask(&buckets()).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn there_may_be_so_many_requests_at_once() {
    let port = Port::with(|settings| settings.limits.requests_max = 1).await;
    let mut under_way = port.connect().await;
    under_way.send(&port.head(&upload(&port), 10)).await;
    port.metrics_say("sightline_requests_in_flight 1").await;
    for ask in [jobs(), identity(), buckets()] {
        let answer = port.ask(&ask).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("ServiceUnavailable"), "{answer}");
    }
    assert!(port.get("/healthz").await.ends_with("ok\n"));
    under_way.send(b"0123456789").await;
    assert!(under_way.answer().await.starts_with("HTTP/1.1 200"));
    assert!(port.ask(&jobs()).await.starts_with("HTTP/1.1 200"));
}
