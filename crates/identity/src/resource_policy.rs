//! The policies of resources: kept by ARN, and asked with every decision about the resource.

use sightline_meta::{MetaError, Tx};
use sightline_types::Arn;

use crate::policy::{Malformed, Policy, PolicyKind};
use crate::{Error, HolderKind, Identity, Noun, Permit, store};

/// Bytes that a bucket's policy may have, as AWS limits it.
const BUCKET_POLICY_BYTES_MAX: usize = 20_480;

/// Removes the policy of a resource in the transaction of the engine that makes or deletes the
/// resource, so that no policy outlives it or waits for it.
///
/// It is out of force once [`Identity::refresh_if_changed`] is called after the commit.
pub fn forget_resource_policy(tx: &mut Tx<'_>, resource: &Arn) -> Result<(), MetaError> {
    if store::delete_resource_policy(tx, resource.as_str())? {
        store::bump(tx)?;
    }
    Ok(())
}

impl Identity {
    /// Gives the resource of the permit this policy, in the place of the one it had.
    pub async fn put_resource_policy(
        &self,
        permit: &Permit,
        document: String,
    ) -> Result<(), Error> {
        if BUCKET_POLICY_BYTES_MAX < document.len() {
            return Err(Malformed::new("Policy exceeds the maximum allowed document size.").into());
        }
        let resource = permit.resource().to_string();
        let policy = Policy::parse(&document, PolicyKind::Bucket)?;
        if !policy.lies_within(&resource) {
            return Err(Malformed::new("Policy has invalid resource").into());
        }
        self.check_principals(&policy)?;
        let now = permit.cx().received_at;
        self.change(permit, move |tx| {
            Ok(store::put_resource_policy(tx, &resource, &document, now)?)
        })
        .await
    }

    /// The text of the policy of the permit's resource.
    pub fn resource_policy(&self, permit: &Permit) -> Result<String, Error> {
        let resource = permit.resource().as_str();
        let directory = self.directory();
        let found = directory.of_resource(resource);
        let missing = || Error::not_found(Noun::BucketPolicy, permit.resource().resource());
        found.map(|(text, _)| text.to_string()).ok_or_else(missing)
    }

    /// Removes the policy of the permit's resource; it is not missed.
    pub async fn delete_resource_policy(&self, permit: &Permit) -> Result<(), Error> {
        let resource = permit.resource().to_string();
        self.change(permit, move |tx| {
            store::delete_resource_policy(tx, &resource)?;
            Ok(())
        })
        .await
    }

    /// Refuses principals of this account that do not exist: they would match nobody.
    pub(crate) fn check_principals(&self, policy: &Policy) -> Result<(), Error> {
        let directory = self.directory();
        for arn in policy.principal_arns() {
            let kinds = [HolderKind::User, HolderKind::Role];
            let ours = kinds.iter().any(|kind| {
                let start = kind.arn(&self.account, "/", "");
                arn.starts_with(&start)
            });
            if ours && directory.entry_by_arn(arn).is_none() {
                let text = format!("Invalid principal in policy: \"AWS\":\"{arn}\"");
                return Err(Malformed::new(text).into());
            }
        }
        Ok(())
    }
}
