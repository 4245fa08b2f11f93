//! The texts of log files and digest files, and how they are packed.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::Error;

/// Bytes that a file may inflate to; ours stay far below.
const INFLATED_BYTES_MAX: u64 = 256 << 20;

/// The hash of every file, in hexadecimal.
pub(crate) fn hash_of(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The text of a log file with these records.
pub(crate) fn log_text<'r>(records: impl Iterator<Item = &'r str>) -> String {
    let mut text = String::from("{\"Records\":[");
    for (place, record) in records.enumerate() {
        if 0 < place {
            text.push(',');
        }
        text.push_str(record);
    }
    text.push_str("]}");
    text
}

/// The records of a log file, each as it was written.
pub(crate) fn records_of(text: &str) -> Result<Vec<&str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Log<'t> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'t RawValue>,
    }
    let log: Log<'_> = serde_json::from_str(text)?;
    Ok(log.records.into_iter().map(RawValue::get).collect())
}

/// Compresses a text. The same text always gives the same bytes.
pub(crate) fn pack(text: &str) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Io {
        what: "compress a file of the trail",
        source,
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    encoder.finish().map_err(failed)
}

/// The text that [`pack`] compressed; `None` if the bytes are not all of one.
pub(crate) fn unpack(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let inflated = GzDecoder::new(bytes)
        .take(INFLATED_BYTES_MAX)
        .read_to_string(&mut text);
    let whole = |length: &usize| u64::try_from(*length).is_ok_and(|n| n < INFLATED_BYTES_MAX);
    inflated.ok().filter(whole).map(|_| text)
}

/// A digest file. Members that CloudTrail does not have come last in their group: they bind the
/// numbers and the chain of events, and the compressed bytes, to the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Digest {
    pub(crate) aws_account_id: String,
    pub(crate) digest_start_time: String,
    pub(crate) digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    pub(crate) digest_s3_bucket: String,
    #[serde(rename = "digestS3Object")]
    pub(crate) digest_s3_object: String,
    pub(crate) digest_public_key_fingerprint: String,
    pub(crate) digest_signature_algorithm: String,
    pub(crate) newest_event_time: Option<String>,
    pub(crate) oldest_event_time: Option<String>,
    #[serde(rename = "previousDigestS3Bucket")]
    pub(crate) previous_digest_s3_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    pub(crate) previous_digest_s3_object: Option<String>,
    pub(crate) previous_digest_hash_value: Option<String>,
    pub(crate) previous_digest_hash_algorithm: Option<String>,
    pub(crate) previous_digest_signature: Option<String>,
    pub(crate) log_files: Vec<LogFile>,
}

/// A log file as a digest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFile {
    #[serde(rename = "s3Bucket")]
    pub(crate) s3_bucket: String,
    #[serde(rename = "s3Object")]
    pub(crate) s3_object: String,
    pub(crate) hash_value: String,
    pub(crate) hash_algorithm: String,
    pub(crate) newest_event_time: String,
    pub(crate) oldest_event_time: String,
    pub(crate) object_hash_value: String,
    pub(crate) first_sequence_number: i64,
    pub(crate) last_sequence_number: i64,
    pub(crate) chain_hash_value: String,
}

impl Digest {
    /// The text that is signed for a digest with this body.
    pub(crate) fn signed_text(&self, body: &str) -> String {
        let previous = self.previous_digest_signature.as_deref();
        format!(
            "{}\n{}/{}\n{}\n{}",
            self.digest_end_time,
            self.digest_s3_bucket,
            self.digest_s3_object,
            hash_of(body),
            previous.unwrap_or("null"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_of_a_log_file_as_they_went_in() {
        let records = [r#"{"a":"x,]}","b":[1, 2]}"#, r#"{"c":null}"#];
        let packed = pack(&log_text(records.into_iter())).unwrap();
        assert_eq!(packed, pack(&log_text(records.into_iter())).unwrap());
        let text = unpack(&packed).unwrap();
        assert_eq!(records_of(&text).unwrap(), records);
        assert!(unpack(packed.split_last().unwrap().1).is_none());
    }
}
