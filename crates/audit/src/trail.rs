//! The one trail: its names, and where its files lie.

use sightline_objects::BucketName;
use sightline_types::{AccountId, Arn, Region, Timestamp};

use crate::Error;

/// What the trail is called.
pub const TRAIL_NAME: &str = "sightline";

/// The trail that every server has: all events of its account and region, validated by digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    account: AccountId,
    region: Region,
    /// The trail's ARN.
    pub arn: Arn,
    /// The bucket that its files are delivered to.
    pub bucket: BucketName,
}

impl Trail {
    /// The trail of an account in a region.
    pub fn of(account: &AccountId, region: &Region) -> Result<Self, Error> {
        let arn = format!("arn:aws:cloudtrail:{region}:{account}:trail/{TRAIL_NAME}");
        let bucket = format!("cloudtrail-{region}-{account}");
        Ok(Self {
            account: account.clone(),
            region: region.clone(),
            arn: arn.parse().map_err(|_| Error::Name(arn))?,
            bucket: bucket.parse().map_err(|_| Error::Name(bucket))?,
        })
    }

    /// The account whose events it holds.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The region whose events it holds.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Whether clients mean this trail by `name`: its name or its ARN.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        name == TRAIL_NAME || name == self.arn.as_str()
    }

    /// The key of the log file that is delivered at `at` and whose text has this hash.
    ///
    /// CloudTrail tells files of one minute apart by 16 letters and digits; taking them from the
    /// hash gives a file that is delivered again the same name.
    pub(crate) fn log_key(&self, at: Timestamp, hash: &str) -> String {
        let (account, region) = (&self.account, &self.region);
        let unique = hash.get(..16).unwrap_or(hash);
        format!(
            "AWSLogs/{account}/CloudTrail/{region}/{}/{account}_CloudTrail_{region}_{}_{unique}.json.gz",
            at.format("%Y/%m/%d"),
            at.format("%Y%m%dT%H%MZ"),
        )
    }

    /// The key of the digest file of the period that ends at `end`.
    pub(crate) fn digest_key(&self, end: Timestamp) -> String {
        let (account, region) = (&self.account, &self.region);
        format!(
            "AWSLogs/{account}/CloudTrail-Digest/{region}/{}/\
             {account}_CloudTrail-Digest_{region}_{TRAIL_NAME}_{region}_{}.json.gz",
            end.format("%Y/%m/%d"),
            end.amz_date(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_cloudtrail_names_them() {
        let (account, region) = (
            "123456789012".parse().unwrap(),
            "eu-west-1".parse().unwrap(),
        );
        let trail = Trail::of(&account, &region).unwrap();
        let at: Timestamp = "2026-11-28T02:05:07Z".parse().unwrap();
        assert_eq!(
            trail.log_key(at, "0123456789abcdef0123"),
            "AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/28/\
             123456789012_CloudTrail_eu-west-1_20261128T0205Z_0123456789abcdef.json.gz"
        );
        assert_eq!(
            trail.digest_key(at),
            "AWSLogs/123456789012/CloudTrail-Digest/eu-west-1/2026/11/28/\
             123456789012_CloudTrail-Digest_eu-west-1_sightline_eu-west-1_20261128T020507Z.json.gz"
        );
    }
}
