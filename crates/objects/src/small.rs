//! Small blobs: bytes that lie with the metadata, so that one commit makes bytes and row durable
//! and one look-up reads both.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use sightline_ports::{BlobError, BlobStream, ByteRange};

/// Bytes of a small blob at most, whatever is configured: what a look-up reads and the one writer
/// copies at once. A file costs two flushes and a trip to a blocking thread whatever its size; a
/// row's bytes are written twice, to the log and to their page.
pub const SMALL_BYTES_MAX: usize = 64 * 1024;

/// What the beginning of some bytes shows of their size.
pub(crate) enum Sized {
    /// They are few, and these.
    Small(Bytes),
    /// They are more.
    Large(BlobStream),
}

/// Reads bytes until they end or are too many to be small.
pub(crate) async fn sized(mut bytes: BlobStream, max: usize) -> Result<Sized, BlobError> {
    let (mut pieces, mut size) = (Vec::new(), 0);
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(BlobError::Source)?;
        size += piece.len();
        pieces.push(piece);
        if max < size {
            let begun = stream::iter(pieces.into_iter().map(Ok));
            return Ok(Sized::Large(begun.chain(bytes).boxed()));
        }
    }
    Ok(Sized::Small(joined(pieces, size)))
}

fn joined(mut pieces: Vec<Bytes>, size: usize) -> Bytes {
    match pieces.pop() {
        Some(only) if pieces.is_empty() => only,
        last => {
            let mut whole = BytesMut::with_capacity(size);
            pieces
                .iter()
                .chain(&last)
                .for_each(|piece| whole.extend_from_slice(piece));
            whole.freeze()
        }
    }
}

/// The bytes of a small blob within `range`, which is cut to them.
pub(crate) fn within(bytes: Vec<u8>, range: ByteRange) -> BlobStream {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (place(range.start), place(range.end));
    let wanted = Bytes::from(bytes).slice(start..end.max(start));
    let piece = (!wanted.is_empty()).then_some(Ok(wanted));
    stream::iter(piece).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn size_of(lengths: &[usize]) -> Option<usize> {
        let pieces: Vec<_> = lengths.iter().map(|n| Ok(vec![7; *n].into())).collect();
        match sized(stream::iter(pieces).boxed(), SMALL_BYTES_MAX).await {
            Ok(Sized::Small(bytes)) => Some(bytes.len()),
            Ok(Sized::Large(bytes)) => {
                let read: Vec<_> = bytes.map(|piece| piece.unwrap().len()).collect().await;
                assert_eq!(read.iter().sum::<usize>(), lengths.iter().sum::<usize>());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn only_bytes_that_end_in_time_are_small() {
        let max = SMALL_BYTES_MAX;
        assert_eq!(size_of(&[]).await, Some(0));
        assert_eq!(size_of(&[max]).await, Some(max));
        assert_eq!(size_of(&[1, 2, max - 3]).await, Some(max));
        assert_eq!(size_of(&[max + 1]).await, None);
        assert_eq!(size_of(&[max, 1, 5000]).await, None);
    }

    #[tokio::test]
    async fn ranges_are_cut_to_the_bytes() {
        for (start, end, wanted) in [(0, 3, 3), (1, 2, 1), (2, 9, 1), (3, 9, 0), (5, u64::MAX, 0)] {
            let pieces: Vec<_> = within(vec![1, 2, 3], ByteRange { start, end })
                .collect()
                .await;
            let read: usize = pieces
                .iter()
                .map(|piece| piece.as_ref().unwrap().len())
                .sum();
            assert_eq!(read, wanted, "{start}..{end}");
        }
    }
}
