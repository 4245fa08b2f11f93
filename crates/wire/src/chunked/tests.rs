//! The decoder against AWS's worked examples, botocore's bodies, and every way to cut them.

use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::Deserialize;
use sightline_types::Timestamp;

use super::*;
use crate::sigv4::{Presented, SecretKey};

/// Amazon S3 API Reference, "Transferring Payload in Multiple Chunks" and "Including Trailing
/// Headers": 65 KiB of `a` in two chunks, with these keys and signatures.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20130524T000000Z";
const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const DATA_BYTES: usize = 66_560;

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHUNKS: [(usize, &str); 3] = [
    (
        65_536,
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    ),
    (
        1_024,
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    ),
    (
        0,
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ),
];

const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
const TRAILER_CHUNKS: [(usize, &str); 3] = [
    (
        65_536,
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    ),
    (
        1_024,
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    ),
    (
        0,
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ),
];
const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\
    d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

fn verified(parts: &Parts, secret: &str, date: &str) -> Verified {
    let presented = Presented::parse(parts).unwrap().unwrap();
    let now = Timestamp::from_amz_date(date).unwrap();
    presented
        .verify(parts, None, &SecretKey::new(secret), now)
        .unwrap()
}

fn decoder(parts: &Parts, secret: &str, date: &str) -> Decoder {
    Decoder::of(&verified(parts, secret, date), &parts.headers)
        .unwrap()
        .unwrap()
}

fn example() -> Decoder {
    let request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", DATE)
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", DATA_BYTES)
        .header("content-length", 66_824)
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders=content-encoding;\
                 content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
                 x-amz-storage-class,Signature={SEED}"
            ),
        );
    decoder(&request.body(()).unwrap().into_parts().0, SECRET, DATE)
}

fn trailer_example() -> Decoder {
    let request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", DATE)
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header(
            "x-amz-content-sha256",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        )
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", DATA_BYTES)
        .header("x-amz-trailer", "x-amz-checksum-crc32c")
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders=content-encoding;host;\
                 x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
                 x-amz-trailer,Signature={TRAILER_SEED}"
            ),
        );
    decoder(&request.body(()).unwrap().into_parts().0, SECRET, DATE)
}

/// Frames the data of an example; `end` follows the last chunk's head.
fn framed(chunks: &[(usize, &str)], end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in chunks {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        if *size > 0 {
            body.extend_from_slice(&vec![b'a'; *size]);
            body.extend_from_slice(CRLF);
        }
    }
    body.extend_from_slice(end.as_bytes());
    body
}

/// Decodes a body that arrives in the given pieces.
fn decode<'a>(
    mut decoder: Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, HeaderMap), ChunkedError> {
    let mut data = Vec::new();
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(part) = decoder.decode(&mut input)? {
            assert!(!part.is_empty());
            data.extend_from_slice(&part);
        }
        assert!(input.is_empty());
    }
    Ok((data, decoder.finish()?))
}

#[test]
fn the_worked_example_of_signed_chunks_decodes() {
    let body = framed(&CHUNKS, "\r\n");
    assert_eq!(body.len(), 66_824, "the documented Content-Length");
    let (data, trailers) = decode(example(), [&*body]).unwrap();
    assert_eq!(data, vec![b'a'; DATA_BYTES]);
    assert!(trailers.is_empty());
}

#[test]
fn the_worked_example_of_a_signed_trailer_decodes() {
    let body = framed(&TRAILER_CHUNKS, TRAILER);
    let (data, trailers) = decode(trailer_example(), [&*body]).unwrap();
    assert_eq!(data, vec![b'a'; DATA_BYTES]);
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers["x-amz-checksum-crc32c"], "sOO8/Q==");
}

#[test]
fn no_signed_body_survives_a_change_of_one_byte() {
    for (trailer, body) in [
        (false, framed(&CHUNKS, "\r\n")),
        (true, framed(&TRAILER_CHUNKS, TRAILER)),
    ] {
        let decoder = if trailer { trailer_example } else { example };
        let frames: Vec<usize> = (0..body.len()).filter(|at| body[*at] != b'a').collect();
        let data = [90, 40_000, 65_621, 66_000];
        for at in frames.into_iter().chain(data) {
            let mut changed = body.clone();
            changed[at] ^= 1;
            let result = decode(decoder(), [&*changed]);
            assert!(result.is_err(), "byte {at} makes no difference");
        }
        for end in [0, 10, 89, 70_000.min(body.len() - 1), body.len() - 1] {
            let result = decode(decoder(), [&body[..end]]);
            assert_eq!(result.unwrap_err(), ChunkedError::Truncated, "{end}");
        }
    }
}

#[test]
fn chunks_cannot_be_swapped_or_dropped() {
    let dropped = framed(&[CHUNKS[0], CHUNKS[2]], "\r\n");
    let declared = DATA_BYTES as u64;
    let error = decode(example(), [&*dropped]).unwrap_err();
    assert_eq!(error, ChunkedError::LengthMismatch { declared });
    let swapped = framed(&[CHUNKS[1], CHUNKS[0], CHUNKS[2]], "\r\n");
    let error = decode(example(), [&*swapped]).unwrap_err();
    assert_eq!(error, ChunkedError::ChunkSignature { index: 0 });
    let late = framed(&[CHUNKS[0], (CHUNKS[1].0, CHUNKS[2].1), CHUNKS[2]], "\r\n");
    let error = decode(example(), [&*late]).unwrap_err();
    assert_eq!(error, ChunkedError::ChunkSignature { index: 1 });
}

/// A decoder without signatures, as clients use over TLS.
fn unsigned(declared: u64, announced: &[&str]) -> Decoder {
    Decoder {
        state: State::Head,
        chain: None,
        trailer_signed: false,
        announced: announced.iter().map(|name| name.parse().unwrap()).collect(),
        trailers: HeaderMap::new(),
        trailer_bytes: 0,
        line: Vec::new(),
        declared,
        decoded: 0,
    }
}

#[track_caller]
fn check(declared: u64, body: &str, expected: Result<&str, ChunkedError>) {
    let decoder = unsigned(declared, &["x-amz-checksum-crc32"]);
    let result = decode(decoder, [body.as_bytes()]);
    let data = result.map(|(data, _)| String::from_utf8(data).unwrap());
    assert_eq!(data, expected.map(str::to_owned), "{body:?}");
}

#[test]
fn unsigned_bodies_decode_by_their_frames_alone() {
    let end = "0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
    check(0, end, Ok(""));
    check(5, &format!("5\r\nhello\r\n{end}"), Ok("hello"));
    check(5, &format!("2\r\nhe\r\n003\r\nllo\r\n{end}"), Ok("hello"));
    check(
        26,
        &format!("1A\r\nabcdefghijklmnopqrstuvwxyz\r\n{end}"),
        Ok("abcdefghijklmnopqrstuvwxyz"),
    );
    check(3, &format!("3\r\n\r\n\n\r\n{end}"), Ok("\r\n\n"));
}

#[test]
fn malformed_bodies_are_refused_by_name() {
    let end = "0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
    let mismatch = ChunkedError::LengthMismatch { declared: 5 };
    let cases = [
        (format!("4\r\nhell\r\n{end}"), mismatch.clone()),
        (format!("6\r\nhello!\r\n{end}"), mismatch),
        (format!("5\r\nhello{end}"), ChunkedError::MalformedChunk),
        (format!("5\nhello\r\n{end}"), ChunkedError::MalformedChunk),
        (
            format!("+5\r\nhello\r\n{end}"),
            ChunkedError::MalformedChunk,
        ),
        (format!("\r\nhello\r\n{end}"), ChunkedError::MalformedChunk),
        (
            format!("5;chunk-signature=0\r\nhello\r\n{end}"),
            ChunkedError::MalformedChunk,
        ),
        (
            "5\r\nhello\r\n0\r\n\r\n".into(),
            ChunkedError::MalformedTrailer,
        ),
        (
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32\r\n\r\n".into(),
            ChunkedError::MalformedTrailer,
        ),
        (
            "5\r\nhello\r\n0\r\nx-other:1\r\n\r\n".into(),
            ChunkedError::MalformedTrailer,
        ),
        (format!("5\r\nhello\r\n{end}x"), ChunkedError::BytesAfterEnd),
        ("5\r\nhello\r\n".into(), ChunkedError::Truncated),
        (
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n".into(),
            ChunkedError::Truncated,
        ),
        ("0".repeat(HEAD_BYTES_MAX + 1), ChunkedError::HeadTooLong),
        (
            "ffffffffffffffff\r\n".into(),
            ChunkedError::ChunkTooLarge { bytes: u64::MAX },
        ),
        (
            format!(
                "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{}",
                "A".repeat(TRAILER_BYTES_MAX)
            ),
            ChunkedError::TrailerTooLong,
        ),
    ];
    for (body, error) in cases {
        assert!(!error.s3().code.is_empty());
        check(5, &body, Err(error));
    }
}

#[test]
fn a_decoder_that_failed_does_not_finish() {
    let mut decoder = unsigned(0, &[]);
    decoder
        .decode(&mut Bytes::from_static(b"0\r\n\r\nx"))
        .unwrap_err();
    assert_eq!(decoder.finish().unwrap_err(), ChunkedError::Truncated);
}

#[test]
fn a_framed_body_must_declare_its_length() {
    for wrong in ["", "-1", "+1", "1.5", "99999999999999999999"] {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-decoded-content-length", wrong.parse().unwrap());
        assert_eq!(
            declared_length(&headers),
            Err(ChunkedError::LengthUndeclared),
            "{wrong}"
        );
    }
    let answer = ChunkedError::LengthUndeclared.s3();
    assert_eq!(
        (answer.code, answer.status.as_u16()),
        ("MissingContentLength", 411)
    );
}

#[derive(Deserialize)]
struct Oracle {
    now: String,
    secret: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<(String, usize)>,
}

#[test]
fn what_botocore_frames_decodes() {
    // Cases made by oracles/sigv4.py; `make oracles` regenerates them.
    let oracle: Oracle =
        serde_json::from_str(include_str!("../../../../oracles/sigv4.json")).unwrap();
    let expected = [
        (b"hello".repeat(10), "x-amz-checksum-crc32"),
        (Vec::new(), "x-amz-checksum-crc32"),
        (vec![b'z'; 1_100_000], "x-amz-checksum-sha256"),
    ];
    let framed = |case: &&Case| {
        case.headers
            .iter()
            .any(|(_, value)| value.contains("TRAILER"))
    };
    let cases: Vec<&Case> = oracle.cases.iter().filter(framed).collect();
    assert_eq!(cases.len(), expected.len());
    for (case, (data, trailer)) in cases.into_iter().zip(expected) {
        let mut request = Request::builder().method(&*case.method).uri(&*case.target);
        for (name, value) in &case.headers {
            request = request.header(name, value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let bytes = case
            .body
            .iter()
            .map(|(run, times)| hex::decode(run).unwrap().repeat(*times));
        let body: Vec<u8> = bytes.flatten().collect();
        let decoder = decoder(&parts, &oracle.secret, &oracle.now);
        assert_eq!(decoder.declared_bytes(), data.len() as u64);
        let (decoded, trailers) = decode(decoder, body.chunks(1_000)).unwrap();
        assert!(decoded == data, "{}", case.name);
        assert!(trailers.contains_key(trailer), "{}", case.name);
    }
}

/// Cuts `body` at the given places.
fn cut<'a>(body: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(&body[start..place]);
        start = place;
    }
    pieces.push(&body[start..]);
    pieces
}

proptest! {
    /// Networks cut bodies anywhere; good and bad ones alike must not notice.
    #[test]
    fn every_cut_of_a_body_decodes_alike(
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        change in prop::option::of((any::<Index>(), any::<u8>())),
    ) {
        let mut body = framed(&TRAILER_CHUNKS, TRAILER);
        if let Some((at, byte)) = change {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let whole = decode(trailer_example(), [&*body]);
        prop_assert!(whole == decode(trailer_example(), cut(&body, &cuts)));
    }

    /// The same for bodies near the edges of the grammar, byte by byte.
    #[test]
    fn nonsense_is_refused_alike_in_one_piece_and_in_many(
        body in "([0-3]\r\n|[ab]{1,3}\r\n|0\r\n|x-amz-checksum-crc32:a\r\n|\r\n|;|\n){0,8}",
        declared in 0..6_u64,
    ) {
        let decoder = || unsigned(declared, &["x-amz-checksum-crc32"]);
        let whole = decode(decoder(), [body.as_bytes()]);
        prop_assert_eq!(whole, decode(decoder(), body.as_bytes().chunks(1)));
    }
}
