//! An object's bytes, kind and names, all of which follow from its version's number.

use http::Method;
use md5::{Digest as _, Md5};

use super::history::Version;
use crate::{Answer, Ask, Dice};

/// The least size of a part that is not the last one.
const PART_BYTES_MIN: u64 = 5 << 20;

/// Sizes on either side of every limit at which a store may change its ways.
const SIZES: [u64; 12] = [
    0, 1, 100, 4_095, 4_096, 20_000, 65_535, 65_536, 65_537, 131_073, 262_145, 1_500_000,
];

/// How a version is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// An upload with one part.
    OnePart,
    /// An upload with two parts; dear, so rare.
    TwoParts,
}

/// The number of a version, which carries its form.
pub(crate) fn version(number: u64, form: Form) -> Version {
    let form = match form {
        Form::Whole => 0,
        Form::OnePart => 1,
        Form::TwoParts => 2,
    };
    number * 4 + form
}

pub(crate) fn form(version: Version) -> Form {
    match version % 4 {
        0 => Form::Whole,
        1 => Form::OnePart,
        _ => Form::TwoParts,
    }
}

/// The bytes of a version, part by part.
pub(crate) fn parts(version: Version) -> Vec<Vec<u8>> {
    let mut dice = Dice::part(0x0B1E_C700, version);
    let odd = dice.below(7);
    let size = dice.pick(&SIZES).copied().unwrap_or_default();
    let sizes = match form(version) {
        Form::Whole => vec![size],
        Form::OnePart => vec![size + odd],
        Form::TwoParts => vec![PART_BYTES_MIN + odd, 1 + size % 5_000],
    };
    sizes
        .into_iter()
        .map(|size| bytes(&mut dice, size))
        .collect()
}

fn bytes(dice: &mut Dice, size: u64) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&dice.roll().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// The entity tag that S3 gives a version.
pub(crate) fn etag(version: Version) -> String {
    let sums: Vec<Vec<u8>> = parts(version)
        .iter()
        .map(|part| Md5::digest(part).to_vec())
        .collect();
    match form(version) {
        Form::Whole => format!("\"{}\"", hex::encode(sums.concat())),
        Form::OnePart | Form::TwoParts => {
            format!(
                "\"{}-{}\"",
                hex::encode(Md5::digest(sums.concat())),
                sums.len()
            )
        }
    }
}

/// The headers with which a version is written.
pub(crate) fn labelled(ask: Ask, version: Version) -> Ask {
    ask.with("x-amz-meta-version", version)
        .with("content-type", format!("text/v{version}"))
}

/// The request that reads a key.
pub(crate) fn read(bucket: &str, key: &str) -> Ask {
    Ask::s3(Method::GET, format!("/{bucket}/{key}"))
}

/// The version that an answer holds, after every byte and label of it has been compared.
pub(crate) fn version_in(answer: &Answer) -> Result<Option<Version>, String> {
    if answer.status == 404 && answer.code() == "NoSuchKey" {
        return Ok(None);
    }
    if answer.status != 200 {
        return Err(format!("was answered {}: {}", answer.status, answer.text()));
    }
    let told = answer.header("x-amz-meta-version");
    let version = told
        .parse()
        .map_err(|_| format!("lost its metadata: {told:?}"))?;
    let wanted = parts(version).concat();
    if answer.body != wanted {
        let same = answer.body.iter().zip(&wanted).take_while(|(a, b)| a == b);
        return Err(format!(
            "is torn: version {version} has {} bytes, {} came, alike up to {}",
            wanted.len(),
            answer.body.len(),
            same.count()
        ));
    }
    for (header, wanted) in [
        ("etag", etag(version)),
        ("content-type", format!("text/v{version}")),
    ] {
        let got = answer.header(header);
        if got != wanted {
            return Err(format!(
                "of version {version} has {header} {got}, not {wanted}"
            ));
        }
    }
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_each_time_and_unlike_others() {
        let one = version(9, Form::OnePart);
        assert_eq!(parts(one), parts(one));
        assert_ne!(parts(one), parts(version(10, Form::OnePart)));
        assert!(etag(one).ends_with("-1\""));
    }

    #[test]
    fn an_answer_with_one_byte_changed_is_torn() {
        let version = version(3, Form::Whole);
        let mut answer = Answer {
            status: 200,
            headers: http::HeaderMap::new(),
            body: parts(version).concat(),
        };
        for (name, value) in [
            ("x-amz-meta-version", version.to_string()),
            ("content-type", format!("text/v{version}")),
            ("etag", etag(version)),
        ] {
            answer.headers.insert(name, value.parse().unwrap());
        }
        assert_eq!(version_in(&answer), Ok(Some(version)));
        answer.body.push(0);
        assert!(version_in(&answer).unwrap_err().contains("torn"));
    }
}
