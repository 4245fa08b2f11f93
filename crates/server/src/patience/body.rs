//! Bodies that fail when the client is too slow, and bodies that something depends on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::try_unfold;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sightline_api::{Body, pieces, stream};
use tokio::time::{Instant, Sleep, timeout};

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::patience::connection::Taken;

/// What has come of a body, and how long the server has waited for it.
struct Arriving<I> {
    incoming: I,
    bytes: u64,
    waited: Duration,
    end: Instant,
}

/// A body that fails when nothing of it comes for too long, when it comes too slowly on the
/// whole, or when the request as a whole takes too long. A rate is judged once the server has
/// waited for as long as a pause may be.
///
/// Only the time for which the client kept the server waiting counts against its rate, so that a
/// slow disk is not taken for a slow client.
pub(crate) fn patient(body: Incoming, limits: &Limits, metrics: &Arc<Metrics>) -> Body {
    let (pause, rate) = (limits.body_pause, limits.body_bytes_per_second);
    let metrics = Arc::clone(metrics);
    let arriving = Arriving {
        incoming: pieces(body.map_err(io::Error::other).boxed_unsync()),
        bytes: 0,
        waited: Duration::ZERO,
        end: Instant::now() + limits.request_time,
    };
    stream(try_unfold(arriving, move |mut arriving| {
        let metrics = Arc::clone(&metrics);
        async move {
            let began = Instant::now();
            let patience = pause.min(arriving.end.saturating_duration_since(began));
            let Ok(next) = timeout(patience, arriving.incoming.try_next()).await else {
                let text = format!("no byte of the body came for {patience:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            };
            let Some(piece) = next? else {
                return Ok(None);
            };
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            metrics.bytes_received(length);
            arriving.bytes = arriving.bytes.saturating_add(length);
            arriving.waited = arriving.waited.saturating_add(began.elapsed());
            if pause <= arriving.waited && is_too_slow(arriving.bytes, arriving.waited, rate) {
                let text = format!("the body came more slowly than {rate} bytes per second");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Ok(Some((piece, arriving)))
        }
    }))
}

fn is_too_slow(bytes: u64, waited: Duration, bytes_per_second: u64) -> bool {
    let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    bytes < millis.saturating_mul(bytes_per_second) / 1_000
}

/// An answer's body with what must last as long as it does, such as a place in a queue.
pub(crate) struct Guarded<G> {
    body: Body,
    guard: G,
    end: Pin<Box<Sleep>>,
}

/// What hears of the bytes of a body.
pub(crate) trait Hears {
    /// Hears that so many bytes are sent.
    fn sent(&mut self, bytes: u64);
}

impl<G> Guarded<G> {
    /// A body that keeps `guard` until it is dropped, and fails at `end`.
    pub(crate) fn new(body: Body, guard: G, end: Instant) -> Self {
        let end = Box::pin(tokio::time::sleep_until(end));
        Self { body, guard, end }
    }
}

impl<G: Hears + Unpin> http_body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            ready!(this.end.as_mut().poll(context));
            let text = "the request took too long";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, text))));
        };
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            this.guard.sent(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body and the server's turn on its connection, which ends with it.
pub(crate) struct Held {
    body: Body,
    _taken: Taken,
}

impl Held {
    pub(crate) fn new(body: Body, taken: Taken) -> Self {
        Self {
            body,
            _taken: taken,
        }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_too_slow_when_it_owes_bytes() {
        let second = Duration::from_secs(1);
        for (bytes, waited, rate, want) in [
            (499, second * 5, 100, true),
            (500, second * 5, 100, false),
            (0, second * 60, 0, false),
            (49, second / 2, 100, true),
        ] {
            assert_eq!(
                is_too_slow(bytes, waited, rate),
                want,
                "{bytes} in {waited:?}"
            );
        }
    }
}
