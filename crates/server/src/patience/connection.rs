//! A connection that is given up when nothing moves on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::limits::Limits;

/// Whose turn it is on a connection: the server's while a request is under way, else the client's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_taken: AtomicBool,
    /// How often the turn was taken.
    times: AtomicU64,
    /// Who read in vain while the turn was taken, and must begin to count the time after it.
    reader: AtomicWaker,
}

/// The server's turn, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Turn);

impl Turn {
    /// Takes the turn for a request whose head has come.
    pub(crate) fn take(&self) -> Taken {
        self.0.times.fetch_add(1, Ordering::AcqRel);
        self.0.is_taken.store(true, Ordering::Release);
        Taken(self.clone())
    }

    fn is_taken(&self) -> bool {
        self.0.is_taken.load(Ordering::Acquire)
    }

    fn times(&self) -> u64 {
        self.0.times.load(Ordering::Acquire)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Turn(shared) = &self.0;
        shared.is_taken.store(false, Ordering::Release);
        shared.reader.wake();
    }
}

/// What the server waits for when it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a head, until the time given.
    Start(Option<Instant>),
    /// The rest of a head that has begun.
    Rest(Instant),
}

/// A stream whose reads and writes fail when the client is too slow.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    turn: Turn,
    awaited: Awaited,
    /// How often the turn had been taken when the wait began.
    requests: u64,
    head_time: Duration,
    idle_time: Duration,
    write_time: Duration,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, turn: Turn, limits: &Limits) -> Self {
        Self {
            stream,
            turn,
            awaited: Awaited::Start(None),
            requests: 0,
            head_time: limits.head_time,
            idle_time: limits.idle_time,
            write_time: limits.write_time,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        }
    }

    /// Until when the next byte must come; `None` while a request is under way, whose body has
    /// limits of its own.
    fn read_deadline(&mut self) -> Option<Instant> {
        if self.turn.is_taken() {
            return None;
        }
        let requests = self.turn.times();
        if self.requests != requests {
            self.requests = requests;
            self.awaited = Awaited::Start(None);
        }
        match self.awaited {
            Awaited::Start(Some(end)) | Awaited::Rest(end) => Some(end),
            Awaited::Start(None) => {
                // A connection that has not brought a request yet has no right to be idle.
                let first = requests == 0;
                let time = if first {
                    self.head_time
                } else {
                    self.idle_time
                };
                let end = Instant::now() + time;
                self.awaited = Awaited::Start(Some(end));
                Some(end)
            }
        }
    }

    fn bytes_came(&mut self) {
        if matches!(self.awaited, Awaited::Start(_)) {
            self.awaited = Awaited::Rest(Instant::now() + self.head_time);
        }
    }
}

impl<S: Unpin> Patient<S> {
    /// Lets a write go on, unless the client has taken nothing for too long.
    fn write_with<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.write_alarm.stop();
            return written;
        }
        let end = self.write_alarm.end;
        let end = end.unwrap_or_else(|| Instant::now() + self.write_time);
        if self.write_alarm.rings(end, context) {
            return Poll::Ready(Err(too_slow("took nothing of the answer")));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let deadline = this.read_deadline();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(done) => {
                if deadline.is_some() && filled < buffer.filled().len() {
                    this.bytes_came();
                }
                Poll::Ready(done)
            }
            Poll::Pending => match deadline {
                Some(end) if this.read_alarm.rings(end, context) => {
                    Poll::Ready(Err(too_slow("sent no request")))
                }
                Some(_) => Poll::Pending,
                None => {
                    this.turn.0.reader.register(context.waker());
                    Poll::Pending
                }
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write_with(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write_with(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .write_with(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .write_with(context, |stream, context| stream.poll_shutdown(context))
    }
}

/// A timer that costs nothing until something really has to wait.
#[derive(Debug, Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    end: Option<Instant>,
}

impl Alarm {
    /// Whether `end` has come; if not, the task is woken then.
    fn rings(&mut self, end: Instant, context: &mut Context<'_>) -> bool {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if self.end != Some(end) {
            sleep.as_mut().reset(end);
            self.end = Some(end);
        }
        sleep.as_mut().poll(context).is_ready()
    }

    fn stop(&mut self) {
        self.end = None;
    }
}

fn too_slow(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the client {what} for too long"),
    )
}
