//! Bytes on their way in: limited, hashed and compared with what their request says of them.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use sightline_ports::BlobStream;
use tokio::task::JoinHandle;

use crate::PayloadError;
use crate::checksum::{Algorithm, Checksum, Digests, Hasher};

/// Bytes that one request may store, as S3 has it.
pub const PAYLOAD_BYTES_MAX: u64 = 5 << 30;

/// So few bytes are hashed where they end; a trip to another thread costs more.
const INLINE_BYTES: usize = 16 * 1024;

/// Bytes hashed by one trip to another thread, while those after them arrive and are passed on.
const BATCH_BYTES: usize = 512 * 1024;

/// Pieces in such a batch, so that a sender of tiny pieces cannot make us hold many.
const BATCH_PIECES: usize = 256;

/// Bytes read from a file at once.
const FILE_PIECE_BYTES: u64 = 256 * 1024;

/// The bytes of an object or part, and what is declared of them.
pub struct Payload {
    /// The bytes.
    pub bytes: BlobStream,
    /// Their number, if declared.
    pub length: Option<u64>,
    /// Their MD5, if declared.
    pub md5: Option<[u8; 16]>,
    /// Their checksum, if one is declared or wanted.
    pub checksum: Declared,
}

/// What a request says of its checksum.
#[derive(Clone, Debug)]
pub enum Declared {
    /// Nothing.
    Nothing,
    /// It is this.
    Value(Checksum),
    /// It is of this algorithm and follows the bytes.
    Trailing(Algorithm, Trailer),
}

/// The place in which a checksum appears that follows the bytes it is of.
///
/// Whoever makes the stream of bytes sets it before that stream ends.
#[derive(Clone, Debug, Default)]
pub struct Trailer(Arc<OnceLock<String>>);

impl Trailer {
    /// Puts the Base64 text in its place; the first one stays.
    pub fn set(&self, text: String) {
        self.0.get_or_init(|| text);
    }

    fn checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        self.0
            .get()
            .and_then(|text| Checksum::parse(algorithm, text).ok())
    }
}

impl Payload {
    /// Bytes of which nothing is declared.
    #[must_use]
    pub fn new(bytes: BlobStream) -> Self {
        Self {
            bytes,
            length: None,
            md5: None,
            checksum: Declared::Nothing,
        }
    }

    /// Bytes at hand.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(stream::iter([Ok(bytes)]).boxed())
    }

    /// The bytes of an open file from its present position to its end.
    #[must_use]
    pub fn file(file: File) -> Self {
        let pieces = stream::try_unfold(file, |file| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = Vec::new();
                (&file).take(FILE_PIECE_BYTES).read_to_end(&mut piece)?;
                Ok::<_, io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
            });
            read.await.map_err(io::Error::other)?
        });
        Self::new(pieces.boxed())
    }

    /// The algorithm of the declared checksum.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match &self.checksum {
            Declared::Nothing => None,
            Declared::Value(checksum) => Some(checksum.algorithm()),
            Declared::Trailing(algorithm, _) => Some(*algorithm),
        }
    }

    /// The bytes as a stream that fails unless they are what is declared, and the place in which
    /// their digests appear once it has ended. `wanted` is computed if no checksum is declared.
    pub(crate) fn checked(self, wanted: Option<Algorithm>) -> (BlobStream, Arc<OnceLock<Digests>>) {
        let hashing = Hashing::new(self.algorithm().or(wanted));
        let digests = Arc::new(OnceLock::new());
        let check = Check {
            payload: self,
            hashing,
            size: 0,
            digests: Arc::clone(&digests),
        };
        (stream::try_unfold(check, Check::step).boxed(), digests)
    }
}

/// Compares bytes at hand with what is declared of them.
pub fn verify(
    bytes: &[u8],
    md5: Option<[u8; 16]>,
    checksum: Option<&Checksum>,
) -> Result<(), PayloadError> {
    let mut hasher = Hasher::new(checksum.map(Checksum::algorithm));
    hasher.update(bytes);
    let digests = hasher.finish();
    if md5.is_some_and(|md5| md5 != digests.md5) {
        return Err(PayloadError::Md5);
    }
    match checksum {
        Some(declared) if digests.checksum.as_ref() != Some(declared) => {
            Err(PayloadError::Checksum(declared.algorithm()))
        }
        Some(_) | None => Ok(()),
    }
}

/// A payload being passed on and hashed.
struct Check {
    payload: Payload,
    hashing: Hashing,
    size: u64,
    digests: Arc<OnceLock<Digests>>,
}

impl Check {
    async fn step(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let Some(piece) = self.payload.bytes.next().await.transpose()? else {
            let hasher = self.hashing.end().await?;
            Self::finish(self.payload, hasher.finish(), &self.digests).map_err(io::Error::other)?;
            return Ok(None);
        };
        self.size = self.size.saturating_add(piece.len() as u64);
        if PAYLOAD_BYTES_MAX < self.size {
            return Err(io::Error::other(PayloadError::TooLarge {
                max: PAYLOAD_BYTES_MAX,
            }));
        }
        self.hashing = self.hashing.update(piece.clone()).await?;
        Ok(Some((piece, self)))
    }

    fn finish(
        payload: Payload,
        digests: Digests,
        place: &OnceLock<Digests>,
    ) -> Result<(), PayloadError> {
        if let Some(declared) = payload.length
            && declared != digests.size
        {
            return Err(PayloadError::Length { declared });
        }
        if payload.md5.is_some_and(|md5| md5 != digests.md5) {
            return Err(PayloadError::Md5);
        }
        let declared = match payload.checksum {
            Declared::Nothing => None,
            Declared::Value(checksum) => Some(checksum),
            Declared::Trailing(algorithm, trailer) => {
                let missing = PayloadError::ChecksumMissing(algorithm);
                Some(trailer.checksum(algorithm).ok_or(missing)?)
            }
        };
        if let Some(declared) = declared
            && digests.checksum.as_ref() != Some(&declared)
        {
            return Err(PayloadError::Checksum(declared.algorithm()));
        }
        place.get_or_init(|| digests);
        Ok(())
    }
}

/// Bytes being hashed beside their way on, a batch behind it.
struct Hashing {
    hasher: Hashes,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
}

/// Where the hasher is.
enum Hashes {
    AtHand(Box<Hasher>),
    OnAnotherThread(JoinHandle<Box<Hasher>>),
}

impl Hashing {
    fn new(algorithm: Option<Algorithm>) -> Self {
        Self {
            hasher: Hashes::AtHand(Box::new(Hasher::new(algorithm))),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes one more piece, and where that completes a batch waits for the one before.
    async fn update(mut self, piece: Bytes) -> io::Result<Self> {
        self.waiting_bytes = self.waiting_bytes.saturating_add(piece.len());
        self.waiting.push(piece);
        if self.waiting_bytes < BATCH_BYTES && self.waiting.len() < BATCH_PIECES {
            return Ok(self);
        }
        self.send().await
    }

    /// Has what waits hashed on another thread.
    async fn send(self) -> io::Result<Self> {
        let hasher = self.hasher.at_hand().await?;
        let pieces = self.waiting;
        let task = tokio::task::spawn_blocking(move || updated(hasher, &pieces));
        Ok(Self {
            hasher: Hashes::OnAnotherThread(task),
            waiting: Vec::new(),
            waiting_bytes: 0,
        })
    }

    /// The hasher of all pieces.
    async fn end(mut self) -> io::Result<Box<Hasher>> {
        if INLINE_BYTES < self.waiting_bytes {
            self = self.send().await?;
        }
        let hasher = self.hasher.at_hand().await?;
        Ok(updated(hasher, &self.waiting))
    }
}

impl Hashes {
    async fn at_hand(self) -> io::Result<Box<Hasher>> {
        match self {
            Self::AtHand(hasher) => Ok(hasher),
            Self::OnAnotherThread(task) => task.await.map_err(io::Error::other),
        }
    }
}

fn updated(mut hasher: Box<Hasher>, pieces: &[Bytes]) -> Box<Hasher> {
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher
}
