//! All entities and policies in memory, ready to decide: what is asked on each request.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sightline_meta::MetaError;

use crate::entity::{Holder, HolderKind, ManagedPolicy};
use crate::policy::{Named, Policy, PolicyKind};
use crate::{SessionPolicy, builtin};

/// A consistent view of every entity and policy. It is replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    holders: BTreeMap<(HolderKind, String), Arc<Entry>>,
    /// Managed policies by ARN, with the version in force made ready.
    managed: BTreeMap<String, (Arc<ManagedPolicy>, Named)>,
    /// The policies of resources by ARN, with their text.
    resources: HashMap<String, (Arc<str>, Named)>,
}

/// A user or a role with its policies made ready.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) holder: Arc<Holder>,
    pub(crate) policies: Vec<Named>,
    /// The policy that bounds them, if one does; none in it if that is not there, to allow nothing.
    pub(crate) boundary: Option<Vec<Named>>,
    pub(crate) trust: Option<Named>,
}

impl Directory {
    pub(crate) fn build(
        holders: Vec<Holder>,
        made: Vec<ManagedPolicy>,
        resources: Vec<(String, String)>,
    ) -> Result<Self, MetaError> {
        let mut directory = Self::default();
        for policy in builtin::policies().into_iter().chain(made) {
            let named = named(&policy.arn, policy.document(), PolicyKind::Identity)?;
            let entry = (Arc::new(policy), named);
            directory.managed.insert(entry.0.arn.clone(), entry);
        }
        for holder in holders {
            let entry = directory.entry(holder)?;
            let key = (entry.holder.kind(), name_key(&entry.holder.name));
            directory.holders.insert(key, Arc::new(entry));
        }
        for (arn, document) in resources {
            let named = named(&arn, &document, PolicyKind::Bucket)?;
            directory.resources.insert(arn, (document.into(), named));
        }
        Ok(directory)
    }

    fn entry(&self, holder: Holder) -> Result<Entry, MetaError> {
        let attached = holder.attached.iter();
        let mut policies: Vec<Named> = attached
            .filter_map(|arn| self.managed.get(arn))
            .map(|(_, named)| named.clone())
            .collect();
        for (name, document) in &holder.inline {
            policies.push(named(name, document, PolicyKind::Identity)?);
        }
        let trust = holder.role.as_ref().map(|role| {
            let name = format!("the trust policy of {}", holder.arn);
            named(&name, &role.trust, PolicyKind::Trust)
        });
        let boundary = holder.boundary.as_ref().map(|arn| {
            let policy = self.managed.get(arn);
            policy.map(|(_, named)| named.clone()).into_iter().collect()
        });
        Ok(Entry {
            boundary,
            trust: trust.transpose()?,
            holder: Arc::new(holder),
            policies,
        })
    }

    pub(crate) fn entry_of(&self, kind: HolderKind, name: &str) -> Option<&Arc<Entry>> {
        self.holders.get(&(kind, name_key(name)))
    }

    pub(crate) fn entry_by_arn(&self, arn: &str) -> Option<&Arc<Entry>> {
        self.holders.values().find(|entry| entry.holder.arn == arn)
    }

    pub(crate) fn entries(&self, kind: HolderKind) -> impl Iterator<Item = &Arc<Entry>> {
        let of_kind = self.holders.iter().filter(move |((k, _), _)| *k == kind);
        of_kind.map(|(_, entry)| entry)
    }

    pub(crate) fn managed(&self, arn: &str) -> Option<&Arc<ManagedPolicy>> {
        self.managed.get(arn).map(|(policy, _)| policy)
    }

    pub(crate) fn managed_policies(&self) -> impl Iterator<Item = &Arc<ManagedPolicy>> {
        self.managed.values().map(|(policy, _)| policy)
    }

    /// The policy of a bucket decides about the bucket and about everything in it.
    pub(crate) fn of_resource(&self, arn: &str) -> Option<&(Arc<str>, Named)> {
        let bucket = match arn.strip_prefix("arn:aws:s3:::") {
            Some(rest) => rest.split_once('/').and_then(|(bucket, _)| {
                let length = arn
                    .len()
                    .checked_sub(rest.len())?
                    .checked_add(bucket.len())?;
                arn.get(..length)
            }),
            None => None,
        };
        self.resources.get(bucket.unwrap_or(arn))
    }

    /// Makes the policies of a session ready. One that is no longer there allows nothing.
    pub(crate) fn narrowed(&self, policies: &[SessionPolicy]) -> Result<Vec<Named>, MetaError> {
        let mut ready = Vec::new();
        for policy in policies {
            match policy {
                SessionPolicy::Document(text) => {
                    ready.push(named("the session's policy", text, PolicyKind::Identity)?);
                }
                SessionPolicy::Managed(arn) => {
                    ready.extend(self.managed.get(arn).map(|(_, named)| named.clone()));
                }
            }
        }
        Ok(ready)
    }
}

/// IAM's names are unique whatever their case.
pub(crate) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

fn named(name: &str, document: &str, kind: PolicyKind) -> Result<Named, MetaError> {
    let policy = Policy::parse(document, kind).map_err(|error| MetaError::Stored {
        what: "policy",
        reason: format!("{name}: {error}"),
    })?;
    Ok(Named {
        name: name.into(),
        policy: Arc::new(policy),
    })
}
