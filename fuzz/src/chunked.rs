//! Framed bodies: how they are cut on their way changes nothing, and frames come off whole.

use bytes::Bytes;
use http::{HeaderMap, Request};
use sightline_types::Timestamp;
use sightline_wire::chunked::{ChunkedError, Decoder};
use sightline_wire::sigv4::{PayloadHash, Presented, SecretKey, Signer, Verified};

use crate::take;

const NOW: i64 = 1_700_000_000_000;

/// Decodes bytes whole and in pieces, and data that it has framed itself.
pub fn chunked(mut data: &[u8]) {
    let (choice, cut) = (take(&mut data), usize::from(take(&mut data)) + 1);
    let payload = match choice % 3 {
        0 => PayloadHash::StreamingUnsignedTrailer,
        1 => PayloadHash::StreamingSigned,
        _ => PayloadHash::StreamingSignedTrailer,
    };
    let declared = usize::from(choice) * 3;
    let whole = decode(payload, declared, data, usize::MAX);
    let pieces = decode(payload, declared, data, cut);
    assert_eq!(whole, pieces, "the cut of {cut} matters");
    if let Ok((bytes, _)) = &whole {
        assert_eq!(bytes.len(), declared);
        assert!(
            payload == PayloadHash::StreamingUnsignedTrailer,
            "a chain was forged"
        );
    }
    let framed = framed(data, cut);
    let read = decode(
        PayloadHash::StreamingUnsignedTrailer,
        data.len(),
        &framed,
        cut,
    );
    assert_eq!(read, Ok((data.to_vec(), HeaderMap::new())));
}

fn framed(data: &[u8], chunk: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in data.chunks(chunk) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

fn decode(
    payload: PayloadHash,
    declared: usize,
    body: &[u8],
    cut: usize,
) -> Result<(Vec<u8>, HeaderMap), ChunkedError> {
    let (verified, headers) = verified(payload, declared);
    let Some(mut decoder) = Decoder::of(&verified, &headers)? else {
        return Err(ChunkedError::LengthUndeclared);
    };
    let mut decoded = Vec::new();
    for piece in body.chunks(cut) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(bytes) = decoder.decode(&mut piece)? {
            decoded.extend_from_slice(&bytes);
            assert!(decoded.len() <= declared, "more came than was declared");
        }
    }
    Ok((decoded, decoder.finish()?))
}

/// A request that was signed and believed, with a body of this kind to come.
fn verified(payload: PayloadHash, declared: usize) -> (Verified, HeaderMap) {
    let (mut parts, ()) = Request::put("http://localhost/bucket/key")
        .header("x-amz-decoded-content-length", declared)
        .body(())
        .expect("a request")
        .into_parts();
    let secret = SecretKey::new("secret");
    let signer = Signer {
        access_key_id: "AKIDEXAMPLE",
        secret: &secret,
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    let now = Timestamp::from_millis(NOW);
    signer
        .sign_headers(&mut parts, payload, now)
        .expect("signed");
    let presented = Presented::parse(&parts).expect("readable").expect("there");
    let verified = presented
        .verify(&parts, None, &secret, now)
        .expect("believed");
    (verified, parts.headers)
}
