//! The policies that the server itself provides, under AWS's own account `aws`.
//!
//! Those with AWS's names cover what their namesakes do of the services that the server speaks;
//! what they say is theirs to read with `GetPolicyVersion`.

use std::collections::BTreeMap;

use sightline_types::Timestamp;

use crate::entity::{ManagedPolicy, PolicyVersion};

/// What the ARNs of built-in policies begin with.
pub(crate) const ARN_START: &str = "arn:aws:iam::aws:policy/";

/// The policy of the role that first start makes.
pub(crate) const OF_DEFAULT_ROLE: &str = "arn:aws:iam::aws:policy/SightlineJob";

struct BuiltIn {
    name: &'static str,
    description: &'static str,
    document: &'static str,
}

macro_rules! built_in {
    ($name:literal, $description:literal) => {
        BuiltIn {
            name: $name,
            description: $description,
            document: include_str!(concat!("../policies/", $name, ".json")),
        }
    };
}

const BUILT_IN: &[BuiltIn] = &[
    built_in!("AdministratorAccess", "Everything."),
    built_in!("PowerUserAccess", "Everything but access itself."),
    built_in!("ReadOnlyAccess", "Reads everything."),
    built_in!("SecurityAudit", "Reads settings and activity, no data."),
    built_in!("AmazonS3FullAccess", "Everything in S3."),
    built_in!("AmazonS3ReadOnlyAccess", "Reads everything in S3."),
    built_in!(
        "AmazonSageMakerFullAccess",
        "Trains and serves, with data in buckets whose name or key has sagemaker in it."
    ),
    built_in!("AmazonSageMakerReadOnly", "Sees training and serving."),
    built_in!(
        "AmazonSageMakerFeatureStoreAccess",
        "Writes the offline store of features."
    ),
    built_in!("IAMFullAccess", "Everything in IAM."),
    built_in!("IAMReadOnlyAccess", "Reads everything in IAM."),
    built_in!("CloudWatchLogsReadOnlyAccess", "Reads logs."),
    built_in!("AWSCloudTrail_ReadOnlyAccess", "Reads activity."),
    built_in!("SightlineAdministrator", "Everything."),
    built_in!(
        "SightlineDataScientist",
        "Works with data, jobs and models; changes nobody's access but one's own keys."
    ),
    built_in!(
        "SightlineReader",
        "Sees all work and data, changes nothing."
    ),
    built_in!(
        "SightlineAuditor",
        "Sees activity, access and settings, and no data."
    ),
    built_in!("SightlineJob", "What a job's role needs."),
];

/// Every built-in policy.
pub(crate) fn policies() -> Vec<ManagedPolicy> {
    BUILT_IN.iter().map(policy).collect()
}

fn policy(built_in: &BuiltIn) -> ManagedPolicy {
    let version = PolicyVersion {
        document: built_in.document.trim_end().to_owned(),
        created_at: Timestamp::EPOCH,
    };
    ManagedPolicy {
        name: built_in.name.to_owned(),
        path: "/".to_owned(),
        id: id(built_in.name),
        arn: format!("{ARN_START}{}", built_in.name),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        description: Some(built_in.description.to_owned()),
        tags: BTreeMap::new(),
        default_version: 1,
        next_version: 2,
        versions: BTreeMap::from([(1, version)]),
    }
}

/// `ANPA` and 17 characters that follow from the name.
fn id(name: &str) -> String {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    let padded = letters.chain(std::iter::repeat(b'X')).take(17);
    let tail = padded.map(|b| char::from(b.to_ascii_uppercase()));
    "ANPA".chars().chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, PolicyKind};

    #[test]
    fn every_built_in_policy_is_a_policy_with_a_name_of_its_own() {
        let all = policies();
        for policy in &all {
            let parsed = Policy::parse(policy.document(), PolicyKind::Identity);
            assert!(parsed.is_ok(), "{}: {parsed:?}", policy.name);
            assert_eq!(policy.id.len(), 21, "{}", policy.id);
            assert!(policy.is_built_in());
        }
        let mut names: Vec<&str> = all.iter().map(|policy| policy.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().any(|policy| policy.arn == OF_DEFAULT_ROLE));
    }
}
