//! Bodies: bytes that arrive or leave in pieces, with a bound wherever they are gathered.

use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, Full, StreamBody};

use crate::Fault;

/// A request's or an answer's body.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A failure of a body that has its own answer, such as a hash that does not fit; it travels
/// inside an `io::Error` through whatever reads the body.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct BodyFault(pub Fault);

impl BodyFault {
    /// Wraps the fault for the way through a reader.
    #[must_use]
    pub fn into_io(fault: Fault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Self(fault))
    }

    /// The fault inside an error, if there is one.
    #[must_use]
    pub fn find(error: &io::Error) -> Option<&Fault> {
        error
            .get_ref()?
            .downcast_ref::<Self>()
            .map(|found| &found.0)
    }
}

/// A body has more bytes than its reader takes.
#[derive(Debug, thiserror::Error)]
pub enum TooLarge {
    /// There were more than this many bytes.
    #[error("the body is larger than {0} bytes")]
    Limit(usize),
    /// It ended early.
    #[error("the body could not be read")]
    Io(#[from] io::Error),
}

/// A body without bytes.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of bytes at hand.
#[must_use]
pub fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of bytes to come.
#[must_use]
pub fn stream(bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(bytes.map_ok(Frame::data)).boxed_unsync()
}

/// The bytes of a body in pieces; trailers are left out.
#[must_use]
pub fn pieces(body: Body) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> {
    let frames = BodyStream::new(body);
    Box::pin(frames.try_filter_map(|frame| std::future::ready(Ok(frame.into_data().ok()))))
}

/// All bytes of a body that has at most `max` of them.
pub async fn read_to_limit(body: Body, max: usize) -> Result<Bytes, TooLarge> {
    let mut pieces = pieces(body);
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if max.saturating_sub(whole.len()) < piece.len() {
            return Err(TooLarge::Limit(max));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
