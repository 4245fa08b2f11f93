//! Payloads that are checked against their signature while they stream.
//!
//! A payload's last proof comes with its last byte. Whoever stores it sees an error instead of
//! the end when the proof fails, and so never commits.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use sightline_api::{Body, BodyFault, Fault, pieces};
use sightline_wire::chunked::{ChunkedError, Decoder};
use sightline_wire::sigv4::{Answer, PayloadHasher};

use crate::claim::Proof;

/// The fault with which an answer of the signature code is given.
pub(crate) fn fault_of(answer: Answer) -> Fault {
    let fault = Fault::new(answer.code, answer.status, answer.message);
    answer
        .details
        .into_iter()
        .fold(fault, |fault, (name, value)| fault.with(name, value))
}

/// The payload of a request whose head is verified, without `aws-chunked` framing.
pub(crate) fn checked(
    proof: &Proof,
    headers: &HeaderMap,
    body: Body,
) -> Result<Body, ChunkedError> {
    let payload = match proof {
        Proof::V4(verified) => match Decoder::of(verified, headers)? {
            Some(decoder) => return Ok(unframed(decoder, body)),
            None => verified.payload,
        },
        Proof::V2(payload) => *payload,
    };
    Ok(hashed(PayloadHasher::new(payload), body))
}

fn hashed(hasher: PayloadHasher, body: Body) -> Body {
    let state = Some((hasher, pieces(body)));
    let frames = stream::try_unfold(state, async |state| {
        let Some((mut hasher, mut incoming)) = state else {
            return Ok(None);
        };
        match incoming.next().await {
            Some(piece) => {
                let piece = piece?;
                hasher.update(&piece);
                Ok(Some((Frame::data(piece), Some((hasher, incoming)))))
            }
            None => {
                hasher
                    .finish()
                    .map_err(|error| BodyFault::into_io(fault_of(error.s3())))?;
                Ok::<_, io::Error>(None)
            }
        }
    });
    StreamBody::new(Box::pin(frames)).boxed_unsync()
}

/// What is decoded of a framed payload so far.
struct Unframing {
    decoder: Option<Decoder>,
    incoming: std::pin::Pin<Box<dyn futures_util::Stream<Item = io::Result<Bytes>> + Send>>,
    ready: VecDeque<Frame<Bytes>>,
}

fn unframed(decoder: Decoder, body: Body) -> Body {
    let state = Unframing {
        decoder: Some(decoder),
        incoming: pieces(body),
        ready: VecDeque::new(),
    };
    let frames = stream::try_unfold(state, async |mut state| {
        loop {
            if let Some(frame) = state.ready.pop_front() {
                return Ok::<_, io::Error>(Some((frame, state)));
            }
            let Some(mut decoder) = state.decoder.take() else {
                return Ok(None);
            };
            match state.incoming.try_next().await? {
                Some(mut input) => {
                    while let Some(data) = decoder.decode(&mut input).map_err(refused)? {
                        state.ready.push_back(Frame::data(data));
                    }
                    state.decoder = Some(decoder);
                }
                None => {
                    let trailers = decoder.finish().map_err(refused)?;
                    state.ready.push_back(Frame::trailers(trailers));
                }
            }
        }
    });
    StreamBody::new(Box::pin(frames)).boxed_unsync()
}

fn refused(error: ChunkedError) -> io::Error {
    BodyFault::into_io(fault_of(error.s3()))
}
