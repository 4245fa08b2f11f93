//! What the operator asks: `/healthz`, `/readyz`, `/metrics`, and the end of a server.

use sightline_config::{Secret, Setting as _};

use crate::port::Port;
use crate::world::Ask;

fn body(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_server_that_can_work_is_ready() {
    let port = Port::with(|_| {}).await;
    let answer = port.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let told = body(&answer);
    assert_eq!(told["ready"], true);
    let parts: Vec<_> = told["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["part"])
        .collect();
    assert_eq!(parts, ["server", "metadata", "objects", "disk", "jobs"]);
}

#[tokio::test]
async fn without_space_a_server_is_not_ready_and_says_why() {
    let port = Port::with(|settings| settings.server.free_disk_bytes = u64::MAX).await;
    let answer = port.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let told = body(&answer);
    assert_eq!(told["parts"][3]["ready"], false);
    assert!(
        told["parts"][3]["reason"]
            .as_str()
            .unwrap()
            .contains("bytes free"),
        "{told}"
    );
    assert!(port.get("/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_happens_is_counted() {
    let port = Port::with(|_| {}).await;
    let jobs = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", "{}");
    for _ in 0..2 {
        assert!(port.ask(&jobs).await.starts_with("HTTP/1.1 200"));
    }
    port.get("/unsigned").await;
    for line in [
        "sightline_requests_total{service=\"sagemaker\",operation=\"ListTrainingJobs\",status=\"200\"} 2",
        "sightline_request_duration_seconds_count{service=\"sagemaker\"} 2",
        "sightline_signatures_refused_total{reason=\"",
        "sightline_ready{part=\"metadata\"} 1",
        "sightline_writer_waiting 0\n",
        "sightline_jobs{phase=\"queued\"} 0\n",
        "sightline_events_delivered_total 0\n",
        "sightline_disk_free_bytes{directory=\"",
        "process_resident_memory_bytes ",
    ] {
        port.metrics_say(line).await;
    }
}

#[tokio::test]
async fn what_is_written_counts_with_its_event() {
    let port = Port::with(|settings| settings.objects.small_bytes_max = 0).await;
    let number = |page: &str, name: &str| -> u64 {
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap()
    };
    let names = [
        "sightline_blobs_written_total",
        "sightline_blob_bytes_written_total",
        "sightline_events_recorded_total",
    ];
    let read = |page: &str| names.map(|name| number(page, name));
    let bucket = port.ask(&Ask::s3(http::Method::PUT, "/counted", "")).await;
    assert!(bucket.starts_with("HTTP/1.1 200"), "{bucket}");
    let before = read(&port.get("/metrics").await);
    let ask = Ask::s3(http::Method::PUT, "/counted/k", vec![b'x'; 700]);
    assert!(port.ask(&ask).await.starts_with("HTTP/1.1 200"));
    // The look at whether objects can be written writes six bytes of its own now and then.
    let after = read(&port.get("/metrics").await);
    let probes = after[0] - before[0] - 1;
    let grown = [
        after[0] - before[0],
        after[1] - before[1],
        after[2] - before[2],
    ];
    assert_eq!(grown, [1 + probes, 700 + 6 * probes, 1]);
    assert!(probes <= 2, "{probes}");
}

#[tokio::test]
async fn metrics_are_for_who_shows_the_token() {
    let port =
        Port::with(|settings| settings.server.metrics_token = Secret::from_text("tok")).await;
    assert!(port.get("/metrics").await.starts_with("HTTP/1.1 403"));
    for (token, status) in [("tok", "200"), ("to", "403"), ("tok2", "403")] {
        let mut wire = port.connect().await;
        let head =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
        wire.send(head.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{token}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_about_to_end_lets_requests_end_and_says_so() {
    let mut port = Port::with(|_| {}).await;
    let bucket = port.world.assembly.default_bucket.clone();
    let put = Ask::s3(http::Method::PUT, &format!("/{bucket}/key"), "")
        .declaring(sightline_wire::sigv4::PayloadHash::Unsigned);
    let mut under_way = port.connect().await;
    under_way.send(&port.head(&put, 10)).await;
    port.metrics_say("sightline_requests_in_flight 1").await;
    port.end();
    let mut not_ready = port.get("/readyz").await;
    while not_ready.starts_with("HTTP/1.1 200") {
        not_ready = port.get("/readyz").await;
    }
    assert!(not_ready.contains("about to end"), "{not_ready}");
    let refused = port
        .ask(&Ask::json("sagemaker", "SageMaker.ListTrainingJobs", "{}"))
        .await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    under_way.send(b"0123456789").await;
    assert!(under_way.answer().await.starts_with("HTTP/1.1 200"));
    port.end().await.unwrap();
}
