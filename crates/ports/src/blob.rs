//! Immutable byte strings under names that the server itself makes.

use std::io;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

/// Bytes as they arrive or leave, in pieces of the sender's choice.
pub type BlobStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + 'static>>;

/// The name of a blob: 32 lower-case hexadecimal digits, drawn at random by the caller.
///
/// Names given by users never become blob names, so no path can be smuggled through one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(Box<str>);

impl BlobId {
    /// Accepts 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ok = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        ok.then(|| Self(text.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a blob, in bytes from its start. `start <= end <= size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte wanted.
    pub start: u64,
    /// One past the last byte wanted.
    pub end: u64,
}

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob has this name.
    #[error("blob {} does not exist", .0.as_str())]
    NotFound(BlobId),
    /// The bytes being stored could not be read to their end; nothing was kept.
    #[error("the incoming bytes ended early")]
    Source(#[source] io::Error),
    /// The store itself failed.
    #[error("the blob store failed to {action}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Keeps immutable blobs. The metadata of objects (keys, times, types) is not its business, and
/// nor is joining blobs: an object of many parts stays a list of blobs in its engine.
///
/// Promises that the contract suite checks on each implementation:
/// a blob is visible whole or not at all; after `put` returns it survives power loss; a `put`
/// that fails, or is dropped before its source has ended, leaves nothing readable, unless the store
/// is elsewhere and only its answer was lost: then the whole blob may be there, for the collection
/// to find; `delete` of an absent blob succeeds; an open read goes on to its end although the blob
/// is deleted meanwhile, and ends in an error if its bytes do; memory use does not grow with blob
/// size.
#[async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Stores `bytes` durably as `id`, which must be unused, and gives their number.
    async fn put(&self, id: &BlobId, bytes: BlobStream) -> Result<u64, BlobError>;

    /// The bytes of a blob within `range`; a range beyond the end is cut to it.
    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError>;

    /// Removes a blob, now or soon.
    async fn delete(&self, id: &BlobId) -> Result<(), BlobError>;

    /// At most `max` stored blobs whose names come after `after`, ascending; none at the end.
    ///
    /// Serves the collection of blobs that nobody names any more. A blob stored or deleted while
    /// pages are being read may or may not be in them; every other one is there exactly once.
    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError>;
}
