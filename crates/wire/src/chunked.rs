//! Bodies framed as `aws-chunked`: sizes, chunk signatures and a trailer.
//!
//! S3 clients frame a body so when they do not know its hash in advance. Each chunk is
//! `<size in hex>[;chunk-signature=<hex>]\r\n<bytes>\r\n`; an empty chunk ends the data, and
//! trailer lines `name:value\r\n` and an empty line end the body. A chunk's signature covers the
//! one before it, starting from the request's own, so chunks can be neither dropped nor swapped.
//!
//! The decoder keeps no data: bytes are handed out as they arrive, **before** their chunk's
//! signature is known. Whoever stores them must not commit before [`Decoder::finish`] succeeds.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::sigv4::{Answer, PayloadHash, Sha256Digest, Signature, SigningKey, Verified, sha256};

#[cfg(test)]
mod tests;

/// A chunk's head is at most 16 digits and a signature, 97 bytes; more is not a head.
const HEAD_BYTES_MAX: usize = 256;

/// The largest object that one request may carry, so also the largest chunk: some clients frame
/// a whole body as one.
const CHUNK_BYTES_MAX: u64 = 5 << 30;

/// Trailers hold a checksum or two and a signature.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Names that `x-amz-trailer` may announce.
const TRAILERS_MAX: usize = 16;

const CRLF: &[u8] = b"\r\n";

const TRAILER_SIGNATURE: HeaderName = HeaderName::from_static("x-amz-trailer-signature");

/// Why a framed body is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkedError {
    /// `x-amz-decoded-content-length` is absent or not a number.
    #[error("the request does not declare its decoded length")]
    LengthUndeclared,
    /// A chunk does not begin or end as it must.
    #[error("a chunk is malformed")]
    MalformedChunk,
    /// A line exceeds its limit.
    #[error("a chunk's head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// A chunk exceeds its limit.
    #[error("a chunk of {bytes} bytes exceeds the limit")]
    ChunkTooLarge {
        /// The size in the chunk's head.
        bytes: u64,
    },
    /// A chunk's signature does not continue the chain.
    #[error("the signature of chunk {index} does not match")]
    ChunkSignature {
        /// The chunk's place, from 0.
        index: u64,
    },
    /// The trailer exceeds its limit.
    #[error("the trailer is longer than {TRAILER_BYTES_MAX} bytes")]
    TrailerTooLong,
    /// The trailer is unreadable, or not the one announced by `x-amz-trailer`.
    #[error("the trailer is malformed")]
    MalformedTrailer,
    /// The trailer's signature does not continue the chain.
    #[error("the signature of the trailer does not match")]
    TrailerSignature,
    /// The data is not as long as declared.
    #[error("the data is not {declared} bytes long as declared")]
    LengthMismatch {
        /// The length that the request declares.
        declared: u64,
    },
    /// The body ended before its last chunk or its trailer did.
    #[error("the body is truncated")]
    Truncated,
    /// More follows where the body should end.
    #[error("bytes follow the end of the body")]
    BytesAfterEnd,
}

impl ChunkedError {
    /// S3's answer.
    #[must_use]
    pub fn s3(&self) -> Answer {
        let (code, status, text) = match self {
            Self::LengthUndeclared => (
                "MissingContentLength",
                StatusCode::LENGTH_REQUIRED,
                "You must provide the Content-Length HTTP header.",
            ),
            Self::ChunkTooLarge { .. } => (
                "EntityTooLarge",
                StatusCode::BAD_REQUEST,
                "Your proposed upload exceeds the maximum allowed size",
            ),
            Self::ChunkSignature { .. } | Self::TrailerSignature => (
                "SignatureDoesNotMatch",
                StatusCode::FORBIDDEN,
                "The request signature we calculated does not match the signature you provided. \
                 Check your key and signing method.",
            ),
            Self::TrailerTooLong | Self::MalformedTrailer => (
                "MalformedTrailerError",
                StatusCode::BAD_REQUEST,
                "The request contained trailing data that was not well-formed or did not conform \
                 to our published schema.",
            ),
            Self::MalformedChunk | Self::HeadTooLong | Self::BytesAfterEnd => (
                "InvalidRequest",
                StatusCode::BAD_REQUEST,
                "The request body is not well-formed aws-chunked content.",
            ),
            Self::LengthMismatch { .. } | Self::Truncated => (
                "IncompleteBody",
                StatusCode::BAD_REQUEST,
                "You did not provide the number of bytes specified by the Content-Length HTTP \
                 header",
            ),
        };
        Answer {
            code,
            status,
            message: text.to_owned(),
            details: Vec::new(),
        }
    }
}

/// Takes the frames off one body, whatever pieces it arrives in.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    chain: Option<Chain>,
    /// Set when a trailer must be signed.
    trailer_signed: bool,
    announced: Vec<HeaderName>,
    trailers: HeaderMap,
    trailer_bytes: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    declared: u64,
    decoded: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Data { left: u64 },
    DataEnd,
    Trailer,
    Done,
    Failed,
}

/// The chain of chunk signatures.
#[derive(Debug)]
struct Chain {
    key: SigningKey,
    date: String,
    scope: String,
    previous: Signature,
    /// The signature in the current chunk's head.
    claimed: Vec<u8>,
    data: Sha256,
    index: u64,
}

impl Decoder {
    /// Makes the decoder of a verified request's body; `None` if the body is not framed.
    pub fn of(verified: &Verified, headers: &HeaderMap) -> Result<Option<Self>, ChunkedError> {
        let (signed, trailer) = match verified.payload {
            PayloadHash::Sha256(_) | PayloadHash::Unsigned => return Ok(None),
            PayloadHash::StreamingSigned => (true, false),
            PayloadHash::StreamingSignedTrailer => (true, true),
            PayloadHash::StreamingUnsignedTrailer => (false, true),
        };
        Ok(Some(Self {
            state: State::Head,
            chain: signed.then(|| Chain::of(verified)),
            trailer_signed: signed && trailer,
            announced: if trailer {
                announced(headers)?
            } else {
                Vec::new()
            },
            trailers: HeaderMap::new(),
            trailer_bytes: 0,
            line: Vec::new(),
            declared: declared_length(headers)?,
            decoded: 0,
        }))
    }

    /// The length of the data, as the request declares it.
    #[must_use]
    pub fn declared_bytes(&self) -> u64 {
        self.declared
    }

    /// Takes the next piece of data out of `input`; `None` once `input` is used up.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkedError> {
        let result = self.advance(input);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Confirms that the body was whole and authentic, and gives its trailers.
    pub fn finish(self) -> Result<HeaderMap, ChunkedError> {
        if self.state != State::Done {
            return Err(ChunkedError::Truncated);
        }
        Ok(self.trailers)
    }

    fn advance(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkedError> {
        while !input.is_empty() {
            match self.state {
                State::Head => {
                    if self.read_line(input, HEAD_BYTES_MAX, ChunkedError::HeadTooLong)? {
                        self.begin_chunk()?;
                    }
                }
                State::Data { left } => return self.take_data(left, input).map(Some),
                State::DataEnd => {
                    if self.read_line(input, CRLF.len(), ChunkedError::MalformedChunk)? {
                        self.line.clear();
                        self.state = State::Head;
                    }
                }
                State::Trailer => {
                    let room = TRAILER_BYTES_MAX - self.trailer_bytes;
                    if self.read_line(input, room, ChunkedError::TrailerTooLong)? {
                        self.take_trailer()?;
                    }
                }
                State::Done => return Err(ChunkedError::BytesAfterEnd),
                State::Failed => return Err(ChunkedError::Truncated),
            }
        }
        Ok(None)
    }

    /// Moves bytes to `line` up to a line's end, and says whether it was reached. A line of more
    /// than `max` bytes is `too_long`, whether or not its end is in sight.
    fn read_line(
        &mut self,
        input: &mut Bytes,
        max: usize,
        too_long: ChunkedError,
    ) -> Result<bool, ChunkedError> {
        let room = max.saturating_sub(self.line.len());
        let window = input.iter().take(room);
        let end = window.copied().position(|byte| byte == b'\n');
        let taken = end.map_or(input.len(), |at| at + 1);
        if taken > room {
            return Err(too_long);
        }
        self.line.extend_from_slice(&input[..taken]);
        input.advance(taken);
        if end.is_none() {
            return Ok(false);
        }
        let kept = self
            .line
            .strip_suffix(CRLF)
            .ok_or(ChunkedError::MalformedChunk)?
            .len();
        self.line.truncate(kept);
        Ok(true)
    }

    fn begin_chunk(&mut self) -> Result<(), ChunkedError> {
        let head = std::mem::take(&mut self.line);
        let (size, extension) = match head.iter().position(|byte| *byte == b';') {
            Some(at) => (&head[..at], Some(&head[at + 1..])),
            None => (&head[..], None),
        };
        let size = chunk_size(size).ok_or(ChunkedError::MalformedChunk)?;
        match (&mut self.chain, extension) {
            (None, None) => {}
            (Some(chain), Some(extension)) => {
                let claimed = extension.strip_prefix(b"chunk-signature=");
                chain.claimed = claimed.ok_or(ChunkedError::MalformedChunk)?.to_vec();
            }
            (None, Some(_)) | (Some(_), None) => return Err(ChunkedError::MalformedChunk),
        }
        if size > CHUNK_BYTES_MAX {
            return Err(ChunkedError::ChunkTooLarge { bytes: size });
        }
        let declared = self.declared;
        let left = declared - self.decoded;
        if size > left || (size == 0 && left > 0) {
            return Err(ChunkedError::LengthMismatch { declared });
        }
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.state = State::Trailer;
        self.chain.as_mut().map_or(Ok(()), Chain::check_chunk)
    }

    fn take_data(&mut self, left: u64, input: &mut Bytes) -> Result<Bytes, ChunkedError> {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let piece = input.split_to(size);
        self.decoded += size as u64;
        let left = left - size as u64;
        self.state = if left > 0 {
            State::Data { left }
        } else {
            State::DataEnd
        };
        if let Some(chain) = &mut self.chain {
            chain.data.update(&piece);
            if left == 0 {
                chain.check_chunk()?;
            }
        }
        Ok(piece)
    }

    fn take_trailer(&mut self) -> Result<(), ChunkedError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_trailer();
        }
        self.trailer_bytes += line.len() + CRLF.len();
        let malformed = ChunkedError::MalformedTrailer;
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(malformed.clone())?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| malformed.clone())?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        let value = value.map_err(|_| malformed.clone())?;
        let expected =
            self.announced.contains(&name) || self.trailer_signed && name == TRAILER_SIGNATURE;
        if !expected || self.trailers.insert(name, value).is_some() {
            return Err(malformed);
        }
        Ok(())
    }

    fn end_trailer(&mut self) -> Result<(), ChunkedError> {
        let signature = self.trailers.remove(TRAILER_SIGNATURE);
        if self
            .announced
            .iter()
            .any(|name| !self.trailers.contains_key(name))
        {
            return Err(ChunkedError::MalformedTrailer);
        }
        if let Some(chain) = self.chain.as_ref().filter(|_| self.trailer_signed) {
            let claimed = signature.ok_or(ChunkedError::MalformedTrailer)?;
            chain.check_trailer(&self.trailers, claimed.as_bytes())?;
        }
        self.state = State::Done;
        Ok(())
    }
}

impl Chain {
    fn of(verified: &Verified) -> Self {
        Self {
            key: verified.key.clone(),
            date: verified.date.clone(),
            scope: verified.credential.scope(),
            previous: verified.signature,
            claimed: Vec::new(),
            data: Sha256::new(),
            index: 0,
        }
    }

    /// Compares the chunk that has just ended with the signature in its head.
    fn check_chunk(&mut self) -> Result<(), ChunkedError> {
        let data = Sha256Digest(self.data.finalize_reset().into());
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{data}",
            self.date,
            self.scope,
            self.previous.as_str(),
            sha256(b"")
        );
        let signature = self.key.sign(text.as_bytes());
        if !signature.matches(&self.claimed) {
            return Err(ChunkedError::ChunkSignature { index: self.index });
        }
        self.previous = signature;
        self.index += 1;
        Ok(())
    }

    fn check_trailer(&self, trailers: &HeaderMap, claimed: &[u8]) -> Result<(), ChunkedError> {
        let mut pairs: Vec<(&str, &[u8])> = trailers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        pairs.sort_unstable();
        let mut canonical = Vec::new();
        for (name, value) in pairs {
            canonical.extend_from_slice(name.as_bytes());
            canonical.push(b':');
            canonical.extend_from_slice(value);
            canonical.push(b'\n');
        }
        let text = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}",
            self.date,
            self.scope,
            self.previous.as_str(),
            sha256(&canonical)
        );
        if !self.key.sign(text.as_bytes()).matches(claimed) {
            return Err(ChunkedError::TrailerSignature);
        }
        Ok(())
    }
}

/// Reads up to 16 hexadecimal digits, and no sign.
fn chunk_size(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| digits)
}

fn declared_length(headers: &HeaderMap) -> Result<u64, ChunkedError> {
    let mut values = headers.get_all("x-amz-decoded-content-length").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ChunkedError::LengthUndeclared);
    };
    let text = value.to_str().map_err(|_| ChunkedError::LengthUndeclared)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or(ChunkedError::LengthUndeclared)
}

/// The trailers that `x-amz-trailer` announces.
fn announced(headers: &HeaderMap) -> Result<Vec<HeaderName>, ChunkedError> {
    let mut names = Vec::new();
    for value in &headers.get_all("x-amz-trailer") {
        for name in value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
        {
            if name.is_empty() {
                continue;
            }
            let name = HeaderName::from_bytes(name).map_err(|_| ChunkedError::MalformedTrailer)?;
            if names.len() == TRAILERS_MAX || name == TRAILER_SIGNATURE {
                return Err(ChunkedError::MalformedTrailer);
            }
            names.push(name);
        }
    }
    Ok(names)
}
