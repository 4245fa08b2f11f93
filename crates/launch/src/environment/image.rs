//! The name of an image, taken apart.

use std::fmt;
use std::str::FromStr;

/// SageMaker's own limit for an image URI.
const URI_LENGTH_MAX: usize = 255;

/// An image URI without its registry: the registry names an account and a region, and the same
/// image lies in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageName {
    repository: String,
    tag: Option<String>,
}

/// A text that names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not read as [registry/]repository[:tag][@digest]")]
pub(super) struct NotAnImage;

impl ImageName {
    /// The repository, such as `sagemaker-scikit-learn`; it may hold slashes.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if the URI has one.
    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{tag}", self.repository),
            None => f.write_str(&self.repository),
        }
    }
}

impl FromStr for ImageName {
    type Err = NotAnImage;

    fn from_str(uri: &str) -> Result<Self, NotAnImage> {
        if uri.len() > URI_LENGTH_MAX {
            return Err(NotAnImage);
        }
        let (named, digest) = match uri.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (uri, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(NotAnImage);
        }
        let path = match named.split_once('/') {
            Some((first, rest)) if is_registry(first) => rest,
            Some(_) | None => named,
        };
        // A colon before the last slash would belong to a registry's port.
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let parts_ok = repository.split('/').all(is_repository_part);
        if !parts_ok || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(NotAnImage);
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }
}

/// The rule of container tools: a first part with a dot or a port, or `localhost`, is a host.
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn is_repository_part(part: &str) -> bool {
    let chars_ok = part
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    let edges_ok = part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part.ends_with(|c: char| c.is_ascii_alphanumeric());
    chars_ok && edges_ok
}

fn is_tag(tag: &str) -> bool {
    let chars_ok = tag
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    (1..=128).contains(&tag.len()) && chars_ok && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: Option<(&str, Option<&str>)>) {
        let got = uri.parse::<ImageName>().ok();
        let got = got.as_ref().map(|image| (image.repository(), image.tag()));
        assert_eq!(got, expected, "{uri}");
    }

    #[test]
    fn account_and_region_do_not_matter() {
        let expected = Some(("sagemaker-scikit-learn", Some("0.20.0-cpu-py3")));
        check(
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:0.20.0-cpu-py3",
            expected,
        );
        check(
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:0.20.0-cpu-py3",
            expected,
        );
        check("sagemaker-scikit-learn:0.20.0-cpu-py3", expected);
        check(
            "localhost:5000/sagemaker-scikit-learn:0.20.0-cpu-py3",
            expected,
        );
        check("localhost/sagemaker-scikit-learn:0.20.0-cpu-py3", expected);
    }

    #[test]
    fn tag_and_digest_are_optional() {
        let digest = "a".repeat(64);
        check(
            "156813124566.dkr.ecr.us-east-1.amazonaws.com/analyzer",
            Some(("analyzer", None)),
        );
        check("team/image", Some(("team/image", None)));
        check("example.com:5000/team/image", Some(("team/image", None)));
        check(
            &format!("team/image@sha256:{digest}"),
            Some(("team/image", None)),
        );
        check(
            &format!("team/image:1@sha256:{digest}"),
            Some(("team/image", Some("1"))),
        );
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let long = format!("a:{}", "1".repeat(URI_LENGTH_MAX));
        for uri in [
            "",
            ":tag",
            "image:",
            "image:ta g",
            "Image",
            "a//b",
            "a/../b",
            "-a",
            "image@sha256:12",
            "image@",
            "example.com/",
            "a:1:2",
            long.as_str(),
        ] {
            check(uri, None);
        }
    }
}
