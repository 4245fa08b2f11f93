//! Reading an open blob in pieces, one piece ahead of the receiver.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use futures_util::{Stream, StreamExt};
use rustix::fs::Advice;
use sightline_ports::ByteRange;
use tokio::task::JoinHandle;

/// Bytes read at once: enough that the hop between threads is cheap, little enough that a
/// thousand slow receivers, who hold two pieces each, do not fill the memory.
const PIECE_BYTES: u64 = 256 * 1024;

/// Bytes that the system is asked to fetch before they are read, in one step: so many in flight
/// keep a disk busy while pieces go out. They are the system's memory and not ours.
const AHEAD_BYTES: u64 = 4 * 1024 * 1024;

/// A blob being read, with its first piece at hand.
///
/// It holds the open file, so deleting the blob meanwhile does not disturb it.
pub(crate) struct Reading {
    file: Arc<File>,
    first: Bytes,
    rest: ByteRange,
}

/// Begins to read `file`: checks the range against its size and takes the first piece, so that
/// a small blob costs one trip to a blocking thread.
pub(crate) fn start(file: OwnedFd, range: ByteRange) -> io::Result<Reading> {
    let file = File::from(file);
    let size = file.metadata()?.len();
    let whole = ByteRange {
        start: range.start.min(size),
        end: range.end.min(size),
    };
    let (now, rest) = cut(whole);
    if rest.start < rest.end {
        advise(&file, whole, Advice::Sequential);
        ask_ahead(&file, whole.start, whole);
    }
    let first = read(&file, now)?;
    Ok(Reading {
        file: Arc::new(file),
        first,
        rest,
    })
}

impl Reading {
    /// The bytes from here to the end of the range.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let ahead = Ahead::begin(&self.file, self.rest);
        let first = (!self.first.is_empty()).then_some(Ok(self.first));
        let rest = stream::try_unfold((self.file, ahead), |(file, ahead)| async move {
            let Some(ahead) = ahead else { return Ok(None) };
            let bytes = ahead
                .bytes
                .await
                .unwrap_or_else(|stopped| Err(io::Error::other(stopped)))?;
            let next = Ahead::begin(&file, ahead.rest);
            Ok(Some((bytes, (file, next))))
        });
        stream::iter(first).chain(rest)
    }
}

/// A piece being read on another thread while the receiver is busy with the one before.
struct Ahead {
    bytes: JoinHandle<io::Result<Bytes>>,
    rest: ByteRange,
}

impl Ahead {
    fn begin(file: &Arc<File>, range: ByteRange) -> Option<Self> {
        let (now, rest) = cut(range);
        if now.start == now.end {
            return None;
        }
        let file = Arc::clone(file);
        let task = move || {
            if now.start / AHEAD_BYTES != now.end / AHEAD_BYTES {
                ask_ahead(&file, now.end, rest);
            }
            read(&file, now)
        };
        Some(Self {
            bytes: tokio::task::spawn_blocking(task),
            rest,
        })
    }
}

/// Asks the system for the bytes of two steps from `start` on, as far as they lie in `range`.
fn ask_ahead(file: &File, start: u64, range: ByteRange) {
    let end = range.end.min(start.saturating_add(2 * AHEAD_BYTES));
    advise(file, ByteRange { start, end }, Advice::WillNeed);
}

/// Tells the system what is to come. That it cannot be told is no reason not to read.
fn advise(file: &File, range: ByteRange, advice: Advice) {
    let Some(length) = NonZeroU64::new(range.end.saturating_sub(range.start)) else {
        return;
    };
    if let Err(errno) = rustix::fs::fadvise(file, range.start, Some(length), advice) {
        tracing::debug!(%errno, "a blob is read without advice");
    }
}

/// Splits a range into the piece to read next and what remains after it.
fn cut(range: ByteRange) -> (ByteRange, ByteRange) {
    let end = range.end.max(range.start);
    let middle = end.min(range.start.saturating_add(PIECE_BYTES));
    (
        ByteRange {
            start: range.start,
            end: middle,
        },
        ByteRange { start: middle, end },
    )
}

fn read(file: &File, range: ByteRange) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, range.start)?;
    Ok(piece.into())
}
