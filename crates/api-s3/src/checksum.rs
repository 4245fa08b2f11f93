//! Checksums in headers, in trailers and in answers, and the payloads that they are of.

use std::future;

use futures_util::TryStreamExt;
use http::HeaderMap;
use http_body_util::BodyStream;
use sightline_api::{Body, Fault, read_to_limit};
use sightline_model_aws::s3::{ChecksumAlgorithm, ChecksumType};
use sightline_objects::{
    Algorithm, Checksum, Coverage, Declared, Payload, Trailer, parse_md5, verify,
};
use sightline_ports::BlobStream;
use sightline_wire::limits::DOCUMENT_BYTES_MAX;

use crate::faults::{fault, invalid_request};

/// The checksums that an input names, each with its text.
macro_rules! sent_checksums {
    ($input:expr) => {
        &[
            (Algorithm::Crc32, $input.checksum_crc32.as_deref()),
            (Algorithm::Crc32c, $input.checksum_crc32_c.as_deref()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64_nvme.as_deref()),
            (Algorithm::Sha1, $input.checksum_sha1.as_deref()),
            (Algorithm::Sha256, $input.checksum_sha256.as_deref()),
        ]
    };
}

/// Names each checksum of an input that this server does not compute, and whether it is there.
macro_rules! unserved_checksums {
    ($input:expr) => {
        &[
            ("x-amz-checksum-sha512", $input.checksum_sha512.is_some()),
            ("x-amz-checksum-md5", $input.checksum_md5.is_some()),
            (
                "x-amz-checksum-xxhash64",
                $input.checksum_xxhash64.is_some(),
            ),
            ("x-amz-checksum-xxhash3", $input.checksum_xxhash3.is_some()),
            (
                "x-amz-checksum-xxhash128",
                $input.checksum_xxhash128.is_some(),
            ),
        ]
    };
}

/// Puts a checksum into the member of an output that is its own.
macro_rules! show_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let text = Some(checksum.text());
            match checksum.algorithm() {
                Algorithm::Crc32 => $output.checksum_crc32 = text,
                Algorithm::Crc32c => $output.checksum_crc32_c = text,
                Algorithm::Crc64Nvme => $output.checksum_crc64_nvme = text,
                Algorithm::Sha1 => $output.checksum_sha1 = text,
                Algorithm::Sha256 => $output.checksum_sha256 = text,
            }
        }
    };
}

pub(crate) use {sent_checksums, show_checksum, unserved_checksums};

/// The one checksum among those that a request may name.
pub(crate) fn sent(texts: &[(Algorithm, Option<&str>)]) -> Result<Option<Checksum>, Fault> {
    let mut named = texts
        .iter()
        .filter_map(|(algorithm, text)| Some((*algorithm, (*text)?)));
    let Some((algorithm, text)) = named.next() else {
        return Ok(None);
    };
    if named.next().is_some() {
        return Err(invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    match Checksum::parse(algorithm, text) {
        Ok(checksum) => Ok(Some(checksum)),
        Err(_) => {
            let header = header_of(algorithm);
            Err(invalid_request(format!(
                "Value for {header} header is invalid."
            )))
        }
    }
}

/// What a checksum is taken over, in the model's words.
pub(crate) fn kind(coverage: Coverage) -> ChecksumType {
    match coverage {
        Coverage::FullObject => ChecksumType::FullObject,
        Coverage::Composite => ChecksumType::Composite,
    }
}

/// An algorithm in the model's words.
pub(crate) fn algorithm(algorithm: Algorithm) -> ChecksumAlgorithm {
    match algorithm {
        Algorithm::Crc32 => ChecksumAlgorithm::Crc32,
        Algorithm::Crc32c => ChecksumAlgorithm::Crc32c,
        Algorithm::Crc64Nvme => ChecksumAlgorithm::Crc64nvme,
        Algorithm::Sha1 => ChecksumAlgorithm::Sha1,
        Algorithm::Sha256 => ChecksumAlgorithm::Sha256,
    }
}

/// Compares a document with its MD5 or checksum. Some operations demand one of them.
pub(crate) async fn verify_document(
    headers: &HeaderMap,
    body: Body,
    demanded: bool,
) -> Result<(), Fault> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let md5 = text("content-md5").map(parse_md5).transpose();
    let md5 = md5.map_err(|_| invalid_digest())?;
    let header = Algorithm::ALL.map(header_of);
    let texts: Vec<_> = Algorithm::ALL
        .into_iter()
        .zip(&header)
        .map(|(algorithm, name)| (algorithm, text(name)))
        .collect();
    let checksum = sent(&texts)?;
    if md5.is_none() && checksum.is_none() {
        return match demanded {
            false => Ok(()),
            true => Err(invalid_request(
                "Missing required header for this request: Content-MD5",
            )),
        };
    }
    let bytes = read_to_limit(body, DOCUMENT_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| invalid_request(error.to_string()))?;
    verify(&bytes, md5, checksum.as_ref()).map_err(|error| fault(error.into()))
}

fn invalid_digest() -> Fault {
    let message = "The Content-MD5 you specified was invalid.";
    Fault::new("InvalidDigest", http::StatusCode::BAD_REQUEST, message)
}

/// What a request says of its payload outside of the payload.
pub(crate) struct Said<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) content_length: Option<i64>,
    pub(crate) content_md5: Option<&'r str>,
    pub(crate) checksum: Option<Checksum>,
}

/// Refuses a payload whose length is not said.
pub(crate) fn expect_length(headers: &HeaderMap, content_length: Option<i64>) -> Result<(), Fault> {
    let decoded = headers.get("x-amz-decoded-content-length");
    let decoded = decoded.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if content_length.is_some() || decoded.is_some() {
        return Ok(());
    }
    let message = "You must provide the Content-Length HTTP header.";
    let status = http::StatusCode::LENGTH_REQUIRED;
    Err(Fault::new("MissingContentLength", status, message))
}

/// The payload of a request with everything that is declared of it.
pub(crate) fn payload(body: Body, said: Said<'_>) -> Result<Payload, Fault> {
    let text = |name: &str| said.headers.get(name).and_then(|value| value.to_str().ok());
    // Framed as aws-chunked, a body is longer than the object in it.
    let unframed = text("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
    let length = unframed.or_else(|| said.content_length.and_then(|n| u64::try_from(n).ok()));
    let md5 = said.content_md5.map(parse_md5).transpose();
    let md5 = md5.map_err(|_| invalid_digest())?;
    let trailing = text("x-amz-trailer").and_then(trailing);
    let checksum = match (said.checksum, trailing) {
        (Some(checksum), None) => Declared::Value(checksum),
        (None, Some(algorithm)) => Declared::Trailing(algorithm, Trailer::default()),
        (None, None) if text("x-amz-sdk-checksum-algorithm").is_some() => {
            return Err(invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* \
                 or x-amz-trailer headers were found.",
            ));
        }
        (None, None) => Declared::Nothing,
        (Some(_), Some(_)) => {
            return Err(invalid_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                 allowed.",
            ));
        }
    };
    let bytes = bytes(body, &checksum);
    Ok(Payload {
        bytes,
        length,
        md5,
        checksum,
    })
}

/// The algorithm of the checksum that a request announces to follow its payload.
fn trailing(announced: &str) -> Option<Algorithm> {
    let announces = |algorithm: &Algorithm| {
        let header = header_of(*algorithm);
        announced
            .split(',')
            .any(|name| name.trim().eq_ignore_ascii_case(&header))
    };
    Algorithm::ALL.into_iter().find(announces)
}

fn header_of(algorithm: Algorithm) -> String {
    format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase())
}

/// The data of a body. A checksum among its trailers is put in its place on the way.
fn bytes(body: Body, declared: &Declared) -> BlobStream {
    let expected = match declared {
        Declared::Trailing(algorithm, trailer) => Some((header_of(*algorithm), trailer.clone())),
        Declared::Nothing | Declared::Value(_) => None,
    };
    let data = BodyStream::new(body).try_filter_map(move |frame| {
        let data = frame.into_data().map_err(|frame| {
            let (Some((header, trailer)), Ok(trailers)) = (&expected, frame.into_trailers()) else {
                return;
            };
            if let Some(text) = trailers.get(header).and_then(|value| value.to_str().ok()) {
                trailer.set(text.to_owned());
            }
        });
        future::ready(Ok(data.ok()))
    });
    Box::pin(data)
}
