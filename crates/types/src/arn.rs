//! Amazon resource names: `arn:aws:service:region:account:resource`.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, Region};

/// A text that is not an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ARN")]
pub struct InvalidArn(pub String);

/// The name of one resource, or with `*` of many, across services.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn(Box<str>);

impl Arn {
    /// Names a regional resource: `arn:aws:{service}:{region}:{account}:{resource}`.
    #[must_use]
    pub fn new(service: &str, region: &Region, account: &AccountId, resource: &str) -> Self {
        Self(format!("arn:aws:{service}:{region}:{account}:{resource}").into())
    }

    /// Names a resource of a service without regions, such as IAM.
    #[must_use]
    pub fn global(service: &str, account: &AccountId, resource: &str) -> Self {
        Self(format!("arn:aws:{service}::{account}:{resource}").into())
    }

    /// Names a bucket, or with `key` an object in it; S3's ARNs carry neither region nor account.
    #[must_use]
    pub fn s3(bucket: &str, key: Option<&str>) -> Self {
        match key {
            None => Self(format!("arn:aws:s3:::{bucket}").into()),
            Some(key) => Self(format!("arn:aws:s3:::{bucket}/{key}").into()),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service part, such as `sagemaker`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.0.split(':').nth(2).unwrap_or_default()
    }

    /// The resource part, everything after the fifth colon.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.splitn(6, ':').nth(5).unwrap_or_default()
    }

    /// The resource's own name: what follows the first `/` of the resource part.
    #[must_use]
    pub fn name(&self) -> &str {
        let resource = self.resource();
        resource.split_once('/').map_or(resource, |(_, name)| name)
    }
}

impl FromStr for Arn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let shape_ok = matches!(parts.as_slice(), ["arn", partition, service, _, _, resource]
            if partition.starts_with("aws") && !service.is_empty() && !resource.is_empty());
        if !shape_ok || text.len() > 2048 {
            return Err(InvalidArn(text.chars().take(200).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let arn: Arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/a:b/c"
            .parse()
            .unwrap();
        assert_eq!(arn.service(), "sagemaker");
        assert_eq!(arn.resource(), "training-job/a:b/c");
        assert_eq!(arn.name(), "a:b/c");
        assert_eq!(Arn::s3("b", Some("k/l")).as_str(), "arn:aws:s3:::b/k/l");
    }

    #[test]
    fn texts_that_name_nothing_are_refused() {
        for wrong in [
            "",
            "arn",
            "arn:aws:s3",
            "arn:gcp:s3:::b",
            "arn:aws::::b",
            "arn:aws:s3:::",
        ] {
            assert!(wrong.parse::<Arn>().is_err(), "{wrong}");
        }
    }
}
