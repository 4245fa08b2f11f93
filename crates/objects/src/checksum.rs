//! The checksums that S3 knows: what a client may send, what is verified, stored and shown.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 as in Ethernet and gzip.
    Crc32,
    /// CRC-32 with the Castagnoli polynomial.
    Crc32c,
    /// CRC-64 as in NVM Express.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// S3's name, such as `CRC32`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Bytes of a value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

impl FromStr for Algorithm {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let named = |algorithm: &Self| algorithm.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(InvalidChecksum)
    }
}

/// A text that is not a checksum of its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a checksum of its algorithm")]
pub struct InvalidChecksum;

/// What a multipart object's checksum is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// The object's bytes.
    FullObject,
    /// The checksums of its parts.
    Composite,
}

/// A checksum with its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    value: Box<[u8]>,
    /// The number of parts, if it was taken over their checksums.
    parts: Option<u32>,
}

impl Checksum {
    /// Reads the Base64 text of a checksum header.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, InvalidChecksum> {
        let (value, parts) = match text.split_once('-') {
            Some((value, parts)) => (value, Some(parts.parse().map_err(|_| InvalidChecksum)?)),
            None => (text, None),
        };
        let value = STANDARD.decode(value).map_err(|_| InvalidChecksum)?;
        if value.len() != algorithm.bytes() {
            return Err(InvalidChecksum);
        }
        Ok(Self {
            algorithm,
            value: value.into(),
            parts,
        })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the checksum is taken over.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        if self.parts.is_some() {
            Coverage::Composite
        } else {
            Coverage::FullObject
        }
    }

    /// The Base64 text, followed by `-` and the number of parts if it was taken over these.
    #[must_use]
    pub fn text(&self) -> String {
        let value = STANDARD.encode(&self.value);
        match self.parts {
            Some(parts) => format!("{value}-{parts}"),
            None => value,
        }
    }

    /// The checksum of an object made of parts with these checksums and sizes, if they allow it.
    pub(crate) fn of_parts(
        algorithm: Algorithm,
        coverage: Coverage,
        parts: &[(&Self, u64)],
    ) -> Option<Self> {
        if parts.iter().any(|(part, _)| part.algorithm != algorithm) {
            return None;
        }
        match coverage {
            Coverage::Composite => {
                let mut hasher = Running::new(algorithm);
                parts
                    .iter()
                    .for_each(|(part, _)| hasher.update(&part.value));
                let count = u32::try_from(parts.len()).ok()?;
                Some(Self {
                    algorithm,
                    value: hasher.finish(),
                    parts: Some(count),
                })
            }
            Coverage::FullObject => {
                let crc = algorithm.crc()?;
                let number = |value: &[u8]| {
                    value
                        .iter()
                        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
                };
                let whole = parts.iter().fold(None, |whole, (part, size)| {
                    let part = number(&part.value);
                    Some(whole.map_or(part, |whole| {
                        crc_fast::checksum_combine(crc, whole, part, *size)
                    }))
                })?;
                Some(Self {
                    algorithm,
                    value: low_bytes(whole, algorithm.bytes()),
                    parts: None,
                })
            }
        }
    }
}

impl fmt::Display for Checksum {
    /// The form in which the store keeps it: `CRC32:` and the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.text())
    }
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let (algorithm, value) = text.split_once(':').ok_or(InvalidChecksum)?;
        Self::parse(algorithm.parse()?, value)
    }
}

/// Reads the Base64 text of a `Content-MD5` header.
pub fn parse_md5(text: &str) -> Result<[u8; 16], InvalidChecksum> {
    let value = STANDARD.decode(text).map_err(|_| InvalidChecksum)?;
    value.try_into().map_err(|_| InvalidChecksum)
}

/// The ETag of a multipart object: the MD5 of its parts' MD5s, and their number.
pub(crate) fn etag_of_parts<'e>(etags: impl Iterator<Item = &'e str>) -> Option<String> {
    let (mut md5, mut count) = (Md5::new(), 0);
    for etag in etags {
        md5.update(hex::decode(etag).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize())))
}

/// Computes all that is wanted of a stream of bytes in one pass.
pub(crate) struct Hasher {
    md5: Md5,
    checksum: Option<Running>,
    size: u64,
}

/// What a [`Hasher`] found.
#[derive(Clone, Debug)]
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Option<Checksum>,
}

impl Digests {
    /// The ETag of an object stored in one request.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Option<Algorithm>) -> Self {
        Self {
            md5: Md5::new(),
            checksum: algorithm.map(Running::new),
            size: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        self.size += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Digests {
        let checksum = self.checksum.map(|running| Checksum {
            algorithm: running.algorithm,
            value: running.finish(),
            parts: None,
        });
        Digests {
            size: self.size,
            md5: self.md5.finalize().into(),
            checksum,
        }
    }
}

/// A checksum being computed.
struct Running {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        let state = match (algorithm, algorithm.crc()) {
            (_, Some(crc)) => State::Crc(crc_fast::Digest::new(crc)),
            (Algorithm::Sha1, None) => State::Sha1(Sha1::new()),
            (_, None) => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha1(sha1) => sha1.update(bytes),
            State::Sha256(sha256) => sha256.update(bytes),
        }
    }

    fn finish(self) -> Box<[u8]> {
        match self.state {
            State::Crc(crc) => low_bytes(crc.finalize(), self.algorithm.bytes()),
            State::Sha1(sha1) => sha1.finalize().as_slice().into(),
            State::Sha256(sha256) => sha256.finalize().as_slice().into(),
        }
    }
}

/// The last `count` bytes of `number` in network order.
fn low_bytes(number: u64, count: usize) -> Box<[u8]> {
    let bytes = number.to_be_bytes();
    bytes[bytes.len().saturating_sub(count)..].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(Some(algorithm));
        hasher.update(bytes);
        hasher.finish().checksum.unwrap()
    }

    #[test]
    fn values_agree_with_the_published_check_values() {
        // The check values of the CRC catalogue and of FIPS 180 for `123456789`.
        let cases = [
            (Algorithm::Crc32, "cbf43926"),
            (Algorithm::Crc32c, "e3069283"),
            (Algorithm::Crc64Nvme, "ae8b14860a799888"),
            (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (
                Algorithm::Sha256,
                "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
            ),
        ];
        for (algorithm, expected) in cases {
            let checksum = of(algorithm, b"123456789");
            assert_eq!(
                hex::encode(&checksum.value),
                expected,
                "{}",
                algorithm.name()
            );
            assert_eq!(checksum.to_string().parse(), Ok(checksum));
        }
    }

    #[test]
    fn full_object_checksums_of_parts_are_those_of_the_whole() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let pieces: Vec<_> = bytes.chunks(3_333).collect();
            let sums: Vec<_> = pieces.iter().map(|piece| of(algorithm, piece)).collect();
            let parts: Vec<_> = sums
                .iter()
                .zip(&pieces)
                .map(|(sum, piece)| (sum, piece.len() as u64))
                .collect();
            let whole = Checksum::of_parts(algorithm, Coverage::FullObject, &parts).unwrap();
            assert_eq!(whole, of(algorithm, &bytes), "{}", algorithm.name());
        }
        assert!(Checksum::of_parts(Algorithm::Sha1, Coverage::FullObject, &[]).is_none());
    }

    #[test]
    fn composite_checksums_cover_the_checksums_of_the_parts() {
        let (one, two) = (of(Algorithm::Sha256, b"one"), of(Algorithm::Sha256, b"two"));
        let parts = [(&one, 3), (&two, 3)];
        let got = Checksum::of_parts(Algorithm::Sha256, Coverage::Composite, &parts).unwrap();
        let joined = [&one.value[..], &two.value].concat();
        assert_eq!(
            got.text(),
            format!("{}-2", of(Algorithm::Sha256, &joined).text())
        );
        assert!(Checksum::of_parts(Algorithm::Crc32, Coverage::Composite, &parts).is_none());
    }

    #[test]
    fn texts_of_another_length_are_refused() {
        for wrong in ["", "AAAA", "AAAAAAAA", "not base64", "AAAAAA==-x"] {
            assert!(Checksum::parse(Algorithm::Crc32, wrong).is_err(), "{wrong}");
        }
        assert!(Checksum::parse(Algorithm::Crc32, "AAAAAA==").is_ok());
        assert!(parse_md5("AAAA").is_err());
    }

    #[test]
    fn the_etag_of_parts_is_the_md5_of_their_md5s() {
        // Computed with `hashlib.md5(md5(b'a') + md5(b'b')).hexdigest()`.
        let etags = [
            "0cc175b9c0f1b6a831c399e269772661",
            "92eb5ffee6ae2fec3ad71c777531578f",
        ];
        let got = etag_of_parts(etags.into_iter());
        assert_eq!(got.as_deref(), Some("96e024ba2074fe77e8e965ba43a704be-2"));
    }
}
