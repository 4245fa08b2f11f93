//! Users and roles: made, changed and deleted with all that is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sightline_meta::Tx;

use crate::policy::{Policy, PolicyKind};
use crate::{Error, Holder, HolderKind, Identity, InUse, Noun, Permit, RolePart, keys, store};

/// Users and roles that one account may have, as AWS limits them.
const USERS_MAX: u64 = 5_000;
const ROLES_MAX: u64 = 1_000;

/// Managed policies that one principal may have, as AWS limits them.
const ATTACHED_MAX: usize = 10;

/// Characters, blanks aside, that the inline policies of one user or role may have together.
const USER_INLINE_MAX: usize = 2_048;
const ROLE_INLINE_MAX: usize = 10_240;

/// Characters, blanks aside, of a trust policy.
const TRUST_MAX: usize = 2_048;

/// Tags of one user or role.
const TAGS_MAX: usize = 50;

/// The bounds of a role's longest session, in seconds.
pub(crate) const SESSION_S: std::ops::RangeInclusive<u32> = 3_600..=43_200;

/// A user or a role to be made.
#[derive(Clone, Debug)]
pub struct NewHolder {
    /// Its name.
    pub name: String,
    /// Its path, `/` for none.
    pub path: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The ARN of the managed policy beyond which its own policies allow nothing.
    pub boundary: Option<String>,
    /// What it has as a role; `None` makes a user.
    pub role: Option<RolePart>,
}

/// What changes about a role.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// What people say of it.
    pub description: Option<String>,
    /// How long its sessions may last.
    pub max_session_s: Option<u32>,
    /// Who may take it on.
    pub trust: Option<String>,
}

impl Identity {
    /// Makes a user or a role.
    pub async fn create_holder(&self, permit: &Permit, new: NewHolder) -> Result<Holder, Error> {
        let kind = match new.role {
            Some(_) => HolderKind::Role,
            None => HolderKind::User,
        };
        check_path(&new.path)?;
        check_tags(&new.tags)?;
        if let Some(role) = &new.role {
            self.check_trust(&role.trust)?;
            check_session(role.max_session_s)?;
        }
        let start = if kind == HolderKind::Role {
            "AROA"
        } else {
            "AIDA"
        };
        let holder = Holder {
            id: keys::unique_id(start)?,
            arn: kind.arn(&self.account, &new.path, &new.name),
            created_at: permit.cx().received_at,
            name: new.name,
            path: new.path,
            tags: new.tags,
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            boundary: new.boundary,
            role: new.role,
        };
        let built_in = self.built_in(holder.boundary.as_deref());
        self.change(permit, move |tx| {
            refuse_taken(tx, kind, &holder.name)?;
            demand_policy(tx, holder.boundary.as_deref(), built_in)?;
            let (quota, max) = match kind {
                HolderKind::User => ("UsersPerAccount", USERS_MAX),
                HolderKind::Role => ("RolesPerAccount", ROLES_MAX),
            };
            if max <= store::count_holders(tx, kind)? {
                let max = usize::try_from(max).unwrap_or(usize::MAX);
                return Err(Error::Quota { quota, max });
            }
            store::put_holder(tx, &holder)?;
            Ok(holder)
        })
        .await
    }

    /// The user or the role with this name.
    pub fn holder(
        &self,
        _permit: &Permit,
        kind: HolderKind,
        name: &str,
    ) -> Result<Arc<Holder>, Error> {
        let directory = self.directory();
        let found = directory.entry_of(kind, name);
        let missing = || Error::not_found(kind.noun(), name);
        found
            .map(|entry| Arc::clone(&entry.holder))
            .ok_or_else(missing)
    }

    /// All users or all roles, in the order of their names.
    #[must_use]
    pub fn holders(&self, _permit: &Permit, kind: HolderKind) -> Vec<Arc<Holder>> {
        let directory = self.directory();
        let entries = directory.entries(kind);
        entries.map(|entry| Arc::clone(&entry.holder)).collect()
    }

    /// Gives a user another name or path. Its keys and policies stay its own.
    pub async fn rename_user(
        &self,
        permit: &Permit,
        name: &str,
        new_name: Option<String>,
        new_path: Option<String>,
    ) -> Result<(), Error> {
        if let Some(path) = &new_path {
            check_path(path)?;
        }
        let (name, account) = (name.to_owned(), self.account.clone());
        self.change(permit, move |tx| {
            let mut user = found(tx, HolderKind::User, &name)?;
            let renamed = new_name.unwrap_or_else(|| user.name.clone());
            if !renamed.eq_ignore_ascii_case(&user.name) {
                refuse_taken(tx, HolderKind::User, &renamed)?;
            }
            store::delete_holder(tx, HolderKind::User, &user.name)?;
            store::rename_keys(tx, &user.name, &renamed)?;
            user.name = renamed;
            user.path = new_path.unwrap_or(user.path);
            user.arn = HolderKind::User.arn(&account, &user.path, &user.name);
            Ok(store::put_holder(tx, &user)?)
        })
        .await
    }

    /// Changes what only roles have.
    pub async fn change_role(
        &self,
        permit: &Permit,
        name: &str,
        change: RoleChange,
    ) -> Result<(), Error> {
        if let Some(trust) = &change.trust {
            self.check_trust(trust)?;
        }
        if let Some(seconds) = change.max_session_s {
            check_session(seconds)?;
        }
        self.edit(permit, HolderKind::Role, name, move |role| {
            let missing = || Error::not_found(Noun::Role, &role.name);
            let part = role.role.as_mut().ok_or_else(missing)?;
            part.description = change.description.or(part.description.take());
            part.max_session_s = change.max_session_s.unwrap_or(part.max_session_s);
            part.trust = change.trust.unwrap_or_else(|| part.trust.clone());
            Ok(())
        })
        .await
    }

    /// Deletes a user or a role that has neither policies nor keys any more.
    pub async fn delete_holder(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
    ) -> Result<(), Error> {
        if kind == HolderKind::Role && name.eq_ignore_ascii_case(store::DEFAULT_ROLE) {
            let text = format!(
                "Cannot delete the role {}: every key of this server is shown as a session of it.",
                store::DEFAULT_ROLE
            );
            return Err(Error::Unmodifiable(text));
        }
        let name = name.to_owned();
        self.change(permit, move |tx| {
            let holder = found(tx, kind, &name)?;
            if kind == HolderKind::User && 0 < store::count_keys(tx, &holder.name)? {
                return Err(Error::InUse(InUse::Keys));
            }
            if !holder.attached.is_empty() {
                return Err(Error::InUse(InUse::Attached));
            }
            if !holder.inline.is_empty() {
                return Err(Error::InUse(InUse::Inline));
            }
            Ok(store::delete_holder(tx, kind, &holder.name)?)
        })
        .await
    }

    /// Adds tags to a user or a role, in the place of those with the same keys.
    pub async fn tag_holder(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.edit(permit, kind, name, move |holder| {
            holder.tags.extend(tags);
            check_tags(&holder.tags)
        })
        .await
    }

    /// Removes tags from a user or a role; absent ones are not missed.
    pub async fn untag_holder(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        tag_keys: Vec<String>,
    ) -> Result<(), Error> {
        self.edit(permit, kind, name, move |holder| {
            holder.tags.retain(|key, _| !tag_keys.contains(key));
            Ok(())
        })
        .await
    }

    /// Attaches a managed policy; one that is attached stays so.
    pub async fn attach(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        policy_arn: String,
    ) -> Result<(), Error> {
        let built_in = self.built_in(Some(&policy_arn));
        let name = name.to_owned();
        self.change(permit, move |tx| {
            let mut holder = found(tx, kind, &name)?;
            demand_policy(tx, Some(&policy_arn), built_in)?;
            holder.attached.insert(policy_arn);
            if ATTACHED_MAX < holder.attached.len() {
                let quota = match kind {
                    HolderKind::User => "PoliciesPerUser",
                    HolderKind::Role => "PoliciesPerRole",
                };
                let max = ATTACHED_MAX;
                return Err(Error::Quota { quota, max });
            }
            Ok(store::put_holder(tx, &holder)?)
        })
        .await
    }

    /// Detaches a managed policy.
    pub async fn detach(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        policy_arn: String,
    ) -> Result<(), Error> {
        self.edit(permit, kind, name, move |holder| {
            let was_there = holder.attached.remove(&policy_arn);
            let missing = || Error::not_found(Noun::Attachment, &policy_arn);
            was_there.then_some(()).ok_or_else(missing)
        })
        .await
    }

    /// Gives a user or a role a boundary, in the place of the one that it has; `None` takes it away.
    pub async fn set_boundary(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        policy_arn: Option<String>,
    ) -> Result<(), Error> {
        let built_in = self.built_in(policy_arn.as_deref());
        let name = name.to_owned();
        self.change(permit, move |tx| {
            let mut holder = found(tx, kind, &name)?;
            demand_policy(tx, policy_arn.as_deref(), built_in)?;
            holder.boundary = policy_arn;
            Ok(store::put_holder(tx, &holder)?)
        })
        .await
    }

    /// Whether a policy is one of those that the server itself provides.
    fn built_in(&self, policy_arn: Option<&str>) -> bool {
        let directory = self.directory();
        let policy = policy_arn.and_then(|arn| directory.managed(arn));
        policy.is_some_and(|policy| policy.is_built_in())
    }

    /// Gives a user or a role a policy of its own, in the place of that with the same name.
    pub async fn put_inline(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        policy: (String, String),
    ) -> Result<(), Error> {
        let (policy_name, document) = policy;
        Policy::parse(&document, PolicyKind::Identity)?;
        self.edit(permit, kind, name, move |holder| {
            holder.inline.insert(policy_name, document);
            let max = match kind {
                HolderKind::User => USER_INLINE_MAX,
                HolderKind::Role => ROLE_INLINE_MAX,
            };
            let size: usize = holder.inline.values().map(|text| counted(text)).sum();
            if max < size {
                return Err(Error::InlineTooLarge {
                    noun: kind.word(),
                    name: holder.name.clone(),
                    max,
                });
            }
            Ok(())
        })
        .await
    }

    /// Removes a policy of a user's or a role's own.
    pub async fn delete_inline(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        policy_name: String,
    ) -> Result<(), Error> {
        self.edit(permit, kind, name, move |holder| {
            let removed = holder.inline.remove(&policy_name);
            let missing = || Error::not_found(kind.inline_noun(), &policy_name);
            removed.map(|_| ()).ok_or_else(missing)
        })
        .await
    }

    /// Changes one user or role in a transaction.
    async fn edit(
        &self,
        permit: &Permit,
        kind: HolderKind,
        name: &str,
        edit: impl FnOnce(&mut Holder) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.change(permit, move |tx| {
            let mut holder = found(tx, kind, &name)?;
            edit(&mut holder)?;
            Ok(store::put_holder(tx, &holder)?)
        })
        .await
    }

    fn check_trust(&self, trust: &str) -> Result<(), Error> {
        if TRUST_MAX < counted(trust) {
            return Err(Error::Quota {
                quota: "ACLSizePerRole",
                max: TRUST_MAX,
            });
        }
        let policy = Policy::parse(trust, PolicyKind::Trust)?;
        self.check_principals(&policy)
    }
}

fn found(tx: &Tx<'_>, kind: HolderKind, name: &str) -> Result<Holder, Error> {
    let found = store::holder(tx, kind, name)?;
    found.ok_or_else(|| Error::not_found(kind.noun(), name))
}

/// Fails unless the policy, if one is named, is there.
fn demand_policy(tx: &Tx<'_>, policy_arn: Option<&str>, built_in: bool) -> Result<(), Error> {
    match policy_arn {
        Some(arn) if !built_in && !store::has_arn(tx, arn)? => {
            Err(Error::not_found(Noun::Policy, arn))
        }
        Some(_) | None => Ok(()),
    }
}

fn refuse_taken(tx: &Tx<'_>, kind: HolderKind, name: &str) -> Result<(), Error> {
    // The owner's sessions bear this name, and activity must not take one for the other.
    let reserved = kind == HolderKind::User && name.eq_ignore_ascii_case("root");
    if reserved || store::holder(tx, kind, name)?.is_some() {
        return Err(Error::Taken {
            noun: kind.noun(),
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// The characters of a document that count toward its size: IAM leaves blanks out.
pub(crate) fn counted(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A path begins and ends with a slash, as the model's pattern says; it must also be short.
pub(crate) fn check_path(path: &str) -> Result<(), Error> {
    let shape_ok = path.starts_with('/') && path.ends_with('/') && path.len() <= 512;
    let chars_ok = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    (shape_ok && chars_ok).then_some(()).ok_or_else(|| {
        let text = "The specified value for path is invalid. It must begin and end with / and \
                    contain only alphanumeric characters and/or / characters.";
        Error::Invalid(text.to_owned())
    })
}

fn check_session(seconds: u32) -> Result<(), Error> {
    SESSION_S.contains(&seconds).then_some(()).ok_or_else(|| {
        let text = format!(
            "1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to \
             satisfy constraint: Member must have value between {} and {}",
            SESSION_S.start(),
            SESSION_S.end()
        );
        Error::Invalid(text)
    })
}

pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if TAGS_MAX < tags.len() {
        return Err(Error::Quota {
            quota: "TagsPerEntity",
            max: TAGS_MAX,
        });
    }
    let reserved = |key: &String| key.to_ascii_lowercase().starts_with("aws:");
    if tags.keys().any(reserved) {
        let text = "A tag key begins with aws:, which is reserved.";
        return Err(Error::Invalid(text.to_owned()));
    }
    Ok(())
}
