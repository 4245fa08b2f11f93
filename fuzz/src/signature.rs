//! Signatures: none that was not made with the secret holds, and every one that was does.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use sightline_types::Timestamp;
use sightline_wire::sigv2;
use sightline_wire::sigv4::{PayloadHash, Presented, SecretKey, Signer, sha256};

use crate::take;

/// When all of this happens.
const NOW: i64 = 1_700_000_000_000;

/// Reads a request's signature, disbelieves it, then signs the request and believes that.
pub fn signature(mut data: &[u8]) {
    let choice = take(&mut data);
    let Some(mut parts) = request(choice, data) else {
        return;
    };
    let now = Timestamp::from_millis(NOW);
    let secret = SecretKey::new("a secret that the fuzzer does not know");
    let body = sha256(b"");
    if let Ok(Some(presented)) = Presented::parse(&parts) {
        let believed = presented.verify(&parts, Some(&body), &secret, now);
        assert!(believed.is_err(), "a signature without the secret holds");
        if let Err(error) = believed {
            assert!(!error.to_string().contains(secret.expose()));
            assert!(!error.s3().message.contains(secret.expose()));
        }
    }
    if let Ok(Some(presented)) = sigv2::Presented::parse(&mut parts.clone()) {
        assert!(
            presented.verify(&secret, now).is_err(),
            "a V2 signature without the secret"
        );
    }
    for name in [
        "authorization",
        "x-amz-date",
        "x-amz-content-sha256",
        "x-amz-security-token",
        "host",
    ] {
        parts.headers.remove(name);
    }
    let signer = Signer {
        access_key_id: "AKIDEXAMPLE",
        secret: &secret,
        session_token: None,
        region: "us-east-1",
        service: if choice & 1 == 0 { "s3" } else { "sagemaker" },
    };
    let signed = if choice & 2 == 0 {
        signer.sign_headers(&mut parts, PayloadHash::Sha256(body), now)
    } else {
        signer.presign(&mut parts, Duration::from_secs(60), now)
    };
    if signed.is_err() {
        return;
    }
    // A request that had parts of a signature in its query presents two, or one that is broken.
    let Ok(Some(presented)) = Presented::parse(&parts) else {
        return;
    };
    let believed = presented.verify(&parts, Some(&body), &secret, now);
    assert!(
        believed.is_ok(),
        "a signature of ours does not hold: {believed:?} for {parts:?}"
    );
    let other = SecretKey::new("another secret");
    assert!(presented.verify(&parts, Some(&body), &other, now).is_err());
    let late = now.plus(Duration::from_secs(3_600));
    assert!(
        presented
            .verify(&parts, Some(&body), &secret, late)
            .is_err()
    );
}

fn request(choice: u8, data: &[u8]) -> Option<Parts> {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let target = lines.next().unwrap_or_default();
    let method = if choice & 4 == 0 {
        Method::GET
    } else {
        Method::PUT
    };
    let uri = format!("http://localhost{target}");
    let (mut parts, ()) = Request::builder()
        .method(method)
        .uri(uri)
        .body(())
        .ok()?
        .into_parts();
    for line in lines.take(64) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            parts.headers.append(name, value);
        }
    }
    Some(parts)
}
