//! Bodies are gathered to a limit and no further.

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use sightline_api::{Body, BodyFault, Fault, TooLarge, full, read_to_limit, stream as body_of};

fn in_pieces(pieces: &'static [&'static str]) -> Body {
    body_of(stream::iter(pieces).map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let body = || in_pieces(&["ab", "", "cd", "e"]);
    assert_eq!(read_to_limit(body(), 5).await.unwrap(), "abcde");
    let refused = read_to_limit(body(), 4).await;
    assert!(matches!(refused, Err(TooLarge::Limit(4))));
    let refused = read_to_limit(full(Bytes::from_static(b"ab")), 1).await;
    assert!(matches!(refused, Err(TooLarge::Limit(1))));
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_limit() {
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(b"abc")));
    let refused = read_to_limit(body_of(endless), 1_000).await;
    assert!(matches!(refused, Err(TooLarge::Limit(1_000))));
}

#[tokio::test]
async fn the_fault_of_a_body_is_found_by_whoever_read_it() {
    let fault = Fault::new("BadDigest", StatusCode::BAD_REQUEST, "it does not fit");
    let broken = stream::iter([
        Ok(Bytes::from_static(b"abc")),
        Err(BodyFault::into_io(fault)),
    ]);
    let Err(TooLarge::Io(error)) = read_to_limit(body_of(broken), 1_000).await else {
        panic!("the body was read");
    };
    assert_eq!(BodyFault::find(&error).unwrap().code, "BadDigest");
    assert!(BodyFault::find(&io::Error::other("another")).is_none());
}
