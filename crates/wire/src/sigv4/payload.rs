//! What a request declares about its payload, and the check of a body against it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::error::{SigV4Error, clip};

/// The SHA-256 of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes a whole body.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}

/// The value of `x-amz-content-sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadHash {
    /// The body has this hash.
    Sha256(Sha256Digest),
    /// The body is not signed.
    Unsigned,
    /// An `aws-chunked` body whose chunks are each signed.
    StreamingSigned,
    /// The same with a signed trailer.
    StreamingSignedTrailer,
    /// An `aws-chunked` body that is not signed, with a trailer.
    StreamingUnsignedTrailer,
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const STREAMING: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const STREAMING_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const STREAMING_UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

impl PayloadHash {
    /// Reads the header's value; hashes are lower-case, as every client writes them.
    pub fn parse(text: &[u8]) -> Result<Self, SigV4Error> {
        let known = [
            (UNSIGNED, Self::Unsigned),
            (STREAMING, Self::StreamingSigned),
            (STREAMING_TRAILER, Self::StreamingSignedTrailer),
            (STREAMING_UNSIGNED_TRAILER, Self::StreamingUnsignedTrailer),
        ];
        if let Some((_, hash)) = known.iter().find(|(word, _)| word.as_bytes() == text) {
            return Ok(*hash);
        }
        let mut digest = [0; 32];
        let lower = !text.iter().any(u8::is_ascii_uppercase);
        match hex::decode_to_slice(text, &mut digest) {
            Ok(()) if lower => Ok(Self::Sha256(Sha256Digest(digest))),
            _ => {
                let got = clip(&String::from_utf8_lossy(text));
                Err(SigV4Error::PayloadHashInvalid { got })
            }
        }
    }

    /// Whether the body is framed as `aws-chunked` and must pass the chunk decoder.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        match self {
            Self::Sha256(_) | Self::Unsigned => false,
            Self::StreamingSigned
            | Self::StreamingSignedTrailer
            | Self::StreamingUnsignedTrailer => true,
        }
    }
}

impl fmt::Display for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Unsigned => f.write_str(UNSIGNED),
            Self::StreamingSigned => f.write_str(STREAMING),
            Self::StreamingSignedTrailer => f.write_str(STREAMING_TRAILER),
            Self::StreamingUnsignedTrailer => f.write_str(STREAMING_UNSIGNED_TRAILER),
        }
    }
}

/// Checks a body against its declared hash while it is read.
///
/// A body may be used before it is whole, but nothing may be committed until
/// [`finish`](Self::finish) succeeds. Unsigned bodies are not hashed; `aws-chunked` ones carry
/// their own proof, which the chunk decoder checks.
#[derive(Clone, Debug)]
pub struct PayloadHasher(Option<(Sha256Digest, Sha256)>);

impl PayloadHasher {
    /// Starts the check of one body.
    #[must_use]
    pub fn new(declared: PayloadHash) -> Self {
        match declared {
            PayloadHash::Sha256(digest) => Self(Some((digest, Sha256::new()))),
            PayloadHash::Unsigned
            | PayloadHash::StreamingSigned
            | PayloadHash::StreamingSignedTrailer
            | PayloadHash::StreamingUnsignedTrailer => Self(None),
        }
    }

    /// Takes the next part of the body.
    pub fn update(&mut self, part: &[u8]) {
        if let Some((_, hasher)) = &mut self.0 {
            hasher.update(part);
        }
    }

    /// Compares, once the body has ended.
    pub fn finish(self) -> Result<(), SigV4Error> {
        let Some((declared, hasher)) = self.0 else {
            return Ok(());
        };
        let computed = Sha256Digest(hasher.finalize().into());
        if computed != declared {
            return Err(SigV4Error::PayloadHashMismatch { declared, computed });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declaration_is_printed_as_it_was_read() {
        let hash = sha256(b"hello").to_string();
        for text in [
            &*hash,
            UNSIGNED,
            STREAMING,
            STREAMING_TRAILER,
            STREAMING_UNSIGNED_TRAILER,
        ] {
            assert_eq!(
                PayloadHash::parse(text.as_bytes()).unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn anything_else_is_not_a_declaration() {
        let upper = sha256(b"hello").to_string().to_uppercase();
        let ecdsa = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
        for text in ["", "unsigned-payload", "e3b0", &upper, ecdsa] {
            let error = PayloadHash::parse(text.as_bytes()).unwrap_err();
            assert_eq!(
                error,
                SigV4Error::PayloadHashInvalid {
                    got: text.to_owned()
                }
            );
        }
    }

    #[test]
    fn a_body_is_compared_whole_however_it_arrives() {
        let declared = PayloadHash::Sha256(sha256(b"hello"));
        for (parts, same) in [
            (&[b"hello".as_slice()][..], true),
            (&[b"he", b"", b"llo"], true),
            (&[b"hell"], false),
            (&[b"hello", b"!"], false),
        ] {
            let mut hasher = PayloadHasher::new(declared);
            parts.iter().for_each(|part| hasher.update(part));
            assert_eq!(hasher.finish().is_ok(), same, "{parts:?}");
        }
    }
}
