//! Names of buckets and objects, and the URIs made of both.

use std::fmt;
use std::str::FromStr;

/// The longest key in bytes, as S3 has it.
const KEY_BYTES_MAX: usize = 1024;

/// Beginnings and ends of names that S3 keeps for itself.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// A text that names no bucket, object or S3 URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Breaks S3's rules for bucket names.
    #[error("the specified bucket is not valid: {0:?}")]
    Bucket(String),
    /// A key of more than 1,024 bytes.
    #[error("the key is {0} bytes long, more than {KEY_BYTES_MAX}")]
    KeyTooLong(usize),
    /// An empty key, or one with a NUL, which neither XML nor every database can hold.
    #[error("an object key has at least one character and none that is NUL")]
    Key,
    /// The name of no version.
    #[error("{0:?} names no version")]
    Version(String),
    /// Not `s3://bucket` or `s3://bucket/…`.
    #[error("{0:?} is not an S3 URI")]
    Uri(String),
}

/// The name of a bucket: 3 to 63 of `[a-z0-9.-]` by S3's rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Box<str>);

impl BucketName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let length_ok = (3..=63).contains(&text.len());
        let chars_ok = text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        let edges_ok =
            text.bytes().next().is_some_and(word) && text.bytes().last().is_some_and(word);
        let address = text.parse::<std::net::Ipv4Addr>().is_ok();
        let reserved = RESERVED_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix))
            || RESERVED_SUFFIXES
                .iter()
                .any(|suffix| text.ends_with(suffix));
        if !(length_ok && chars_ok && edges_ok) || text.contains("..") || address || reserved {
            return Err(InvalidName::Bucket(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of an object: 1 to 1,024 bytes of any text without NUL.
///
/// It is data and never becomes a path: `a/../b`, `a//b` and `a/b/` are three different keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Box<str>);

impl ObjectKey {
    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if KEY_BYTES_MAX < text.len() {
            return Err(InvalidName::KeyTooLong(text.len()));
        }
        if text.is_empty() || text.contains('\0') {
            return Err(InvalidName::Key);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where something lies in S3: `s3://bucket/path`, whose path is a key, a prefix or empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Uri {
    /// The bucket.
    pub bucket: BucketName,
    /// What follows the slash after the bucket.
    pub path: String,
}

impl S3Uri {
    /// The path as the key of one object.
    pub fn key(&self) -> Result<ObjectKey, InvalidName> {
        self.path.parse()
    }

    /// The URI of `name` below this one, with one slash between.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let folder = self.path.strip_suffix('/').unwrap_or(&self.path);
        let slash = if folder.is_empty() { "" } else { "/" };
        Self {
            bucket: self.bucket.clone(),
            path: format!("{folder}{slash}{name}"),
        }
    }
}

impl FromStr for S3Uri {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let wrong = || InvalidName::Uri(text.chars().take(200).collect());
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if KEY_BYTES_MAX < path.len() {
            return Err(InvalidName::KeyTooLong(path.len()));
        }
        Ok(Self {
            bucket: bucket.parse()?,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        let long = "a".repeat(63);
        for good in [
            "abc",
            "a.b-c",
            "sagemaker-us-east-1-123456789012",
            "1.2.3.4.5",
            &long,
        ] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(64);
        let wrong = [
            "",
            "ab",
            &too_long,
            "Abc",
            "a_c",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--x-s3",
            "..",
            "a/b",
            "a\u{e9}c",
            "abc\n",
        ];
        for wrong in wrong {
            assert!(wrong.parse::<BucketName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_any_text_of_their_length() {
        let longest = "é".repeat(512);
        for good in [
            "a", "/", "a/../b", "a//b", "a/", "%2e", "a\\b", " ", "\u{1}", &longest,
        ] {
            assert_eq!(good.parse::<ObjectKey>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<ObjectKey>(), Err(InvalidName::Key));
        assert_eq!("a\0b".parse::<ObjectKey>(), Err(InvalidName::Key));
        let too_long = format!("{longest}a");
        assert_eq!(
            too_long.parse::<ObjectKey>(),
            Err(InvalidName::KeyTooLong(1025))
        );
    }

    #[test]
    fn uris_are_read_and_joined() {
        let uri: S3Uri = "s3://abc/in/put".parse().unwrap();
        assert_eq!((uri.bucket.as_str(), uri.path.as_str()), ("abc", "in/put"));
        assert_eq!(uri.join("x.csv").to_string(), "s3://abc/in/put/x.csv");
        let folder: S3Uri = "s3://abc/in/".parse().unwrap();
        assert_eq!(folder.join("x.csv").to_string(), "s3://abc/in/x.csv");
        let bare: S3Uri = "s3://abc".parse().unwrap();
        assert_eq!(bare.join("x.csv").to_string(), "s3://abc/x.csv");
        assert!(bare.key().is_err());
        for wrong in [
            "",
            "abc/x",
            "https://abc/x",
            "s3://",
            "s3://A/x",
            "S3://abc/x",
        ] {
            assert!(wrong.parse::<S3Uri>().is_err(), "{wrong}");
        }
    }
}
