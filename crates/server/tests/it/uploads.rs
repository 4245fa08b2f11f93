//! Objects whose bytes are proven only with their last one.

use bytes::Bytes;
use http::Method;
use sightline_wire::sigv4::{PayloadHash, sha256};

use crate::world::{Answer, Ask, World};

fn target(world: &World) -> String {
    format!("/{}/key", world.assembly.default_bucket)
}

async fn get(world: &World) -> Answer {
    world.ask(Ask::s3(Method::GET, &target(world), "")).await
}

async fn assert_stored(world: &World, expected: &str) {
    let got = get(world).await;
    assert_eq!((got.status, got.text.as_str()), (200, expected));
}

async fn assert_absent(world: &World) {
    let got = get(world).await;
    assert_eq!((got.status, got.code()), (404, "NoSuchKey".to_owned()));
}

/// A put framed as `aws-chunked`, without its frames.
fn framed(world: &World, decoded: &str) -> Ask {
    Ask::s3(Method::PUT, &target(world), "")
        .with("content-encoding", "aws-chunked")
        .with("x-amz-decoded-content-length", decoded.len())
}

#[tokio::test]
async fn a_body_with_the_signed_hash_is_stored() {
    let world = World::new().await;
    let ask = Ask::s3(Method::PUT, &target(&world), "the bytes");
    assert_eq!(world.ask(ask).await.status, 200);
    assert_stored(&world, "the bytes").await;
}

#[tokio::test]
async fn a_body_with_another_hash_than_the_signed_one_stores_nothing() {
    let world = World::new().await;
    let ask = Ask::s3(Method::PUT, &target(&world), "the bytes")
        .declaring(PayloadHash::Sha256(sha256(b"other bytes")));
    let answer = world.ask(ask).await;
    let got = (answer.status, answer.code());
    assert_eq!(got, (400, "XAmzContentSHA256Mismatch".to_owned()));
    assert_absent(&world).await;
}

/// Sends two chunks and the empty last one, each signed after the one before.
async fn put_in_signed_chunks(world: &World, spoil: impl Fn(String) -> String) -> Answer {
    let ask = framed(world, "hello, world").declaring(PayloadHash::StreamingSigned);
    let parts = world.signed(&ask, world.root());
    let authorization = parts.headers["authorization"].to_str().unwrap();
    let (_, seed) = authorization.rsplit_once("Signature=").unwrap();
    let mut before = seed.to_owned();
    let mut body = String::new();
    for chunk in ["hello, ", "world", ""] {
        before = world.chunk_signature(&before, chunk.as_bytes());
        let size = chunk.len();
        body.push_str(&format!("{size:x};chunk-signature={before}\r\n{chunk}\r\n"));
    }
    world.send(parts, spoil(body).into()).await
}

#[tokio::test]
async fn a_body_in_signed_chunks_is_stored_without_its_frames() {
    let world = World::new().await;
    let answer = put_in_signed_chunks(&world, |body| body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_stored(&world, "hello, world").await;
    let kept = get(&world).await.headers.get("content-encoding").cloned();
    assert_eq!(kept, None, "the framing is not the object's encoding");
}

#[tokio::test]
async fn a_changed_chunk_stores_nothing() {
    let world = World::new().await;
    let answer = put_in_signed_chunks(&world, |body| body.replace("world", "wormy")).await;
    let got = (answer.status, answer.code());
    assert_eq!(got, (403, "SignatureDoesNotMatch".to_owned()));
    assert_absent(&world).await;
}

#[tokio::test]
async fn a_body_that_ends_before_its_last_chunk_stores_nothing() {
    let world = World::new().await;
    let cut = |body: String| body[..body.rfind("0;chunk").unwrap()].to_owned();
    let answer = put_in_signed_chunks(&world, cut).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "IncompleteBody".to_owned())
    );
    assert_absent(&world).await;
}

/// CRC32 of `hello, world`, by `base64(zlib.crc32(...).to_bytes(4, "big"))`.
const CRC32: &str = "/6tyOg==";

fn unsigned_with_trailer(world: &World, crc32: &str) -> Ask {
    let mut ask = framed(world, "hello, world")
        .with("x-amz-trailer", "x-amz-checksum-crc32")
        .declaring(PayloadHash::StreamingUnsignedTrailer);
    let body = format!("c\r\nhello, world\r\n0\r\nx-amz-checksum-crc32:{crc32}\r\n\r\n");
    ask.body = Bytes::from(body);
    ask
}

#[tokio::test]
async fn a_body_with_a_checksum_behind_it_is_stored_without_its_frames() {
    let world = World::new().await;
    let answer = world.ask(unsigned_with_trailer(&world, CRC32)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["x-amz-checksum-crc32"], CRC32);
    assert_stored(&world, "hello, world").await;
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_behind_it_stores_nothing() {
    let world = World::new().await;
    let answer = world.ask(unsigned_with_trailer(&world, "AAAAAA==")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "BadDigest".to_owned())
    );
    assert_absent(&world).await;
}
