//! Managed policies and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use sightline_meta::Tx;
use sightline_types::Timestamp;

use crate::holder::{check_path, check_tags, counted};
use crate::policy::{Policy, PolicyKind};
use crate::{
    Error, Holder, HolderKind, Identity, InUse, ManagedPolicy, Noun, Permit, PolicyVersion, keys,
    store,
};

/// Managed policies that one account may have, as AWS limits them.
const POLICIES_MAX: u64 = 1_500;

/// Versions of one policy.
const VERSIONS_MAX: usize = 5;

/// Characters of a managed policy, blanks aside.
const DOCUMENT_MAX: usize = 6_144;

/// A managed policy to be made.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// Its name.
    pub name: String,
    /// Its path, `/` for none.
    pub path: String,
    /// What people say of it.
    pub description: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What it says.
    pub document: String,
}

impl Identity {
    /// Makes a managed policy.
    pub async fn create_policy(
        &self,
        permit: &Permit,
        new: NewPolicy,
    ) -> Result<ManagedPolicy, Error> {
        check_path(&new.path)?;
        check_tags(&new.tags)?;
        check_document(&new.document)?;
        let now = permit.cx().received_at;
        let version = PolicyVersion {
            document: new.document,
            created_at: now,
        };
        let policy = ManagedPolicy {
            id: keys::unique_id("ANPA")?,
            arn: format!(
                "arn:aws:iam::{}:policy{}{}",
                self.account, new.path, new.name
            ),
            name: new.name,
            path: new.path,
            created_at: now,
            updated_at: now,
            description: new.description,
            tags: new.tags,
            default_version: 1,
            next_version: 2,
            versions: BTreeMap::from([(1, version)]),
        };
        self.change(permit, move |tx| {
            if store::policy(tx, &policy.name)?.is_some() {
                return Err(Error::Taken {
                    noun: Noun::Policy,
                    name: policy.name,
                });
            }
            if POLICIES_MAX <= store::count_policies(tx)? {
                let max = usize::try_from(POLICIES_MAX).unwrap_or(usize::MAX);
                return Err(Error::Quota {
                    quota: "PoliciesPerAccount",
                    max,
                });
            }
            store::put_policy(tx, &policy)?;
            Ok(policy)
        })
        .await
    }

    /// The managed policy with this ARN.
    pub fn policy(&self, _permit: &Permit, arn: &str) -> Result<Arc<ManagedPolicy>, Error> {
        let found = self.directory().managed(arn).cloned();
        found.ok_or_else(|| Error::not_found(Noun::Policy, arn))
    }

    /// All managed policies, built-in ones included, in the order of their ARNs.
    #[must_use]
    pub fn policies(&self, _permit: &Permit) -> Vec<Arc<ManagedPolicy>> {
        self.directory().managed_policies().cloned().collect()
    }

    /// The users and roles that have a managed policy.
    #[must_use]
    pub fn holders_of(&self, _permit: &Permit, arn: &str) -> Vec<Arc<Holder>> {
        let directory = self.directory();
        let kinds = [HolderKind::User, HolderKind::Role];
        let entries = kinds.into_iter().flat_map(|kind| directory.entries(kind));
        let having = entries.filter(|entry| entry.holder.attached.contains(arn));
        having.map(|entry| Arc::clone(&entry.holder)).collect()
    }

    /// The users and roles whose boundary a managed policy is.
    #[must_use]
    pub fn bounded_by(&self, _permit: &Permit, arn: &str) -> Vec<Arc<Holder>> {
        let directory = self.directory();
        let kinds = [HolderKind::User, HolderKind::Role];
        let entries = kinds.into_iter().flat_map(|kind| directory.entries(kind));
        let bounded = entries.filter(|entry| entry.holder.boundary.as_deref() == Some(arn));
        bounded.map(|entry| Arc::clone(&entry.holder)).collect()
    }

    /// Deletes a managed policy that nobody has and that has one version.
    pub async fn delete_policy(&self, permit: &Permit, arn: &str) -> Result<(), Error> {
        let arn = own(arn)?;
        self.change(permit, move |tx| {
            let policy = found(tx, &arn)?;
            let holders = [
                store::holders(tx, HolderKind::User)?,
                store::holders(tx, HolderKind::Role)?,
            ];
            let mut holders = holders.iter().flatten();
            let bounds = |holder: &Holder| holder.boundary.as_ref() == Some(&arn);
            if holders.any(|holder| holder.attached.contains(&arn) || bounds(holder)) {
                return Err(Error::InUse(InUse::Holders));
            }
            if 1 < policy.versions.len() {
                return Err(Error::InUse(InUse::Versions));
            }
            Ok(store::delete_policy(tx, &policy.name)?)
        })
        .await
    }

    /// Adds a version to a policy, and puts it in force if asked to. Gives its number.
    pub async fn create_version(
        &self,
        permit: &Permit,
        arn: &str,
        document: String,
        set_as_default: bool,
    ) -> Result<u32, Error> {
        check_document(&document)?;
        let now = permit.cx().received_at;
        self.edit_policy(permit, arn, move |policy| {
            if VERSIONS_MAX <= policy.versions.len() {
                return Err(Error::VersionsFull(VERSIONS_MAX));
            }
            let number = policy.next_version;
            policy.next_version = number.saturating_add(1);
            let version = PolicyVersion {
                document,
                created_at: now,
            };
            policy.versions.insert(number, version);
            if set_as_default {
                put_in_force(policy, number, now);
            }
            Ok(number)
        })
        .await
    }

    /// Deletes a version that is not in force.
    pub async fn delete_version(
        &self,
        permit: &Permit,
        arn: &str,
        version: &str,
    ) -> Result<(), Error> {
        let version = version.to_owned();
        self.edit_policy(permit, arn, move |policy| {
            let (number, _) = policy.version(&version)?;
            if number == policy.default_version {
                return Err(Error::InUse(InUse::DefaultVersion));
            }
            policy.versions.remove(&number);
            Ok(())
        })
        .await
    }

    /// Puts a version in force.
    pub async fn set_default_version(
        &self,
        permit: &Permit,
        arn: &str,
        version: &str,
    ) -> Result<(), Error> {
        let (version, now) = (version.to_owned(), permit.cx().received_at);
        self.edit_policy(permit, arn, move |policy| {
            let (number, _) = policy.version(&version)?;
            put_in_force(policy, number, now);
            Ok(())
        })
        .await
    }

    async fn edit_policy<T: Send + 'static>(
        &self,
        permit: &Permit,
        arn: &str,
        edit: impl FnOnce(&mut ManagedPolicy) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let arn = own(arn)?;
        self.change(permit, move |tx| {
            let mut policy = found(tx, &arn)?;
            let done = edit(&mut policy)?;
            store::put_policy(tx, &policy)?;
            Ok(done)
        })
        .await
    }
}

impl ManagedPolicy {
    /// The version with this id, such as `v2`, and its number.
    pub fn version(&self, id: &str) -> Result<(u32, &PolicyVersion), Error> {
        let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
        let found = number.and_then(|number| Some((number, self.versions.get(&number)?)));
        found.ok_or_else(|| Error::not_found(Noun::PolicyVersion, id))
    }
}

fn put_in_force(policy: &mut ManagedPolicy, number: u32, now: Timestamp) {
    policy.default_version = number;
    policy.updated_at = now;
}

/// Refuses to change what the server provides.
fn own(arn: &str) -> Result<String, Error> {
    if arn.starts_with(crate::builtin::ARN_START) {
        let text = format!("Policy {arn} is provided by the server and cannot be changed.");
        return Err(Error::Unmodifiable(text));
    }
    Ok(arn.to_owned())
}

fn found(tx: &Tx<'_>, arn: &str) -> Result<ManagedPolicy, Error> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let found = store::policy(tx, name)?.filter(|policy| policy.arn == arn);
    found.ok_or_else(|| Error::not_found(Noun::Policy, arn))
}

fn check_document(document: &str) -> Result<(), Error> {
    if DOCUMENT_MAX < counted(document) {
        return Err(Error::Quota {
            quota: "PolicySize",
            max: DOCUMENT_MAX,
        });
    }
    Policy::parse(document, PolicyKind::Identity)?;
    Ok(())
}
