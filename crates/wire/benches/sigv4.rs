//! What it costs to believe a request: reading its signature, deriving the key, comparing.

use std::time::Duration;

use divan::{Bencher, black_box};
use http::request::Parts;
use http::{Method, Request};
use sightline_types::Timestamp;
use sightline_wire::sigv4::{PayloadHash, Presented, SecretKey, Signer, sha256};

fn main() {
    divan::main();
}

fn signed_at() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn secret() -> SecretKey {
    SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
}

/// A GET as boto3 sends it, signed in its headers.
fn signed() -> Parts {
    let request = Request::builder()
        .method(Method::GET)
        .uri("http://127.0.0.1:7070/bucket/prefix/part-00017.parquet?x-id=GetObject")
        .header(
            "user-agent",
            "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
        )
        .header(
            "amz-sdk-invocation-id",
            "5a7a4a3a-7a0b-4a4e-9f53-2e1d5f0c4d11",
        )
        .header("amz-sdk-request", "attempt=1");
    let mut parts = request
        .body(())
        .map_or_else(|error| panic!("{error}"), Request::into_parts)
        .0;
    let signer = Signer {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: &secret(),
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    let hash = PayloadHash::Sha256(sha256(b""));
    if let Err(error) = signer.sign_headers(&mut parts, hash, signed_at()) {
        panic!("{error}");
    }
    parts
}

/// Bar: 15 microseconds from the request's head to a believed signature, the key derived anew.
#[divan::bench]
fn verify(bencher: Bencher) {
    let (parts, secret) = (signed(), secret());
    let now = signed_at().plus(Duration::from_secs(1));
    bencher.bench(|| {
        let presented = Presented::parse(black_box(&parts));
        let presented = presented
            .ok()
            .flatten()
            .map(|presented| presented.verify(&parts, None, &secret, now).is_ok());
        assert_eq!(presented, Some(true));
    });
}
