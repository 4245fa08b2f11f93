//! Temporary keys that people ask for: sessions of roles, and of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sightline_types::{Arn, Timestamp};

use crate::directory::Entry;
use crate::holder::{check_tags, counted};
use crate::policy::{Context, Malformed, Policy, PolicyKind};
use crate::{
    AccessKey, Error, Grants, HolderKind, Identity, NewSession, Noun, Permit, RoleSession,
    SessionPolicy, store,
};

/// Characters of the policies that narrow a session, as AWS limits them.
const SESSION_POLICY_MAX: usize = 2_048;

/// Managed policies that narrow a session.
const SESSION_POLICIES_MAX: usize = 10;

/// The longest session that a session may begin, in seconds.
const CHAINED_S_MAX: u32 = 3_600;

/// The longest session of the account's owner, in seconds.
const OWNER_S_MAX: u32 = 3_600;

/// How long a session of oneself lasts where nothing else is asked for, in seconds.
const OWN_SESSION_S: u32 = 43_200;

/// A session of a role to be begun.
#[derive(Clone, Debug)]
pub struct NewRoleSession {
    /// The session's name.
    pub session_name: String,
    /// How long it lasts, in seconds; `None` for the usual time.
    pub duration_s: Option<u32>,
    /// A document that narrows it.
    pub policy: Option<String>,
    /// The ARNs of managed policies that narrow it.
    pub policy_arns: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Who stands behind it.
    pub source_identity: Option<String>,
}

impl Identity {
    /// Begins a session of the role that the permit is for.
    pub async fn assume_role(
        &self,
        permit: &Permit,
        new: NewRoleSession,
    ) -> Result<Arc<AccessKey>, Error> {
        let now = permit.cx().received_at;
        let directory = self.directory();
        let entry = directory.entry_by_arn(permit.resource().as_str());
        let entry = entry
            .filter(|entry| entry.holder.kind() == HolderKind::Role)
            .ok_or_else(|| Error::not_found(Noun::Role, permit.resource().name()))?;
        self.check_session_name(entry, &new.session_name)?;
        let duration_s = self.role_session_s(permit, entry, new.duration_s)?;
        self.check_extras(permit, &new)?;
        let policies = self.session_policies(&new)?;
        let role_name = entry.holder.name.clone();
        let session = NewSession {
            role_name: role_name.clone(),
            session_name: new.session_name,
            grants: Grants::Role(RoleSession {
                role_name,
                policies,
                tags: new.tags,
                source_identity: new.source_identity,
            }),
            expires_at: later(now, duration_s),
        };
        let role_id = entry.holder.id.clone();
        let key = AccessKey::temporary(session, role_id, &self.account, now)?;
        self.begin_recorded(permit, key).await
    }

    /// Begins a session of the caller, who must have signed with a permanent key.
    pub async fn session_token(
        &self,
        permit: &Permit,
        duration_s: Option<u32>,
    ) -> Result<Arc<AccessKey>, Error> {
        let now = permit.cx().received_at;
        let key = self.key(&permit.cx().caller.access_key_id);
        let key = key.filter(|key| key.expires_at.is_none()).ok_or_else(|| {
            let text = "Cannot call GetSessionToken with session credentials";
            Error::Refused(text)
        })?;
        let longest = match key.grants {
            Grants::Everything => OWNER_S_MAX,
            Grants::Only(_) | Grants::User(_) | Grants::Role(_) => u32::MAX,
        };
        let duration_s = duration_s.unwrap_or(OWN_SESSION_S).min(longest);
        let session = NewSession {
            role_name: key.principal.role_name.clone(),
            session_name: key.principal.session_name.clone(),
            grants: key.grants.clone(),
            expires_at: later(now, duration_s),
        };
        let role_id = key.principal.role_id.clone();
        let key = AccessKey::temporary(session, role_id, &self.account, now)?;
        self.begin_recorded(permit, key).await
    }

    /// Begins a session with the event of its permit.
    async fn begin_recorded(
        &self,
        permit: &Permit,
        key: AccessKey,
    ) -> Result<Arc<AccessKey>, Error> {
        let now = permit.cx().received_at;
        let event = permit.event();
        self.begin(key, now, move |tx| Ok(tx.record(&event)?)).await
    }

    /// Keys of users and of the owner are shown as sessions of the default role, so nobody else
    /// may take on such a name there: activity could not tell them apart.
    fn check_session_name(&self, role: &Entry, name: &str) -> Result<(), Error> {
        let directory = self.directory();
        let is_default = role.holder.name == store::DEFAULT_ROLE;
        let is_user = directory.entry_of(HolderKind::User, name).is_some();
        if is_default && (is_user || name == "root") {
            let text = format!(
                "The session name {name} is that of a user, whose keys are shown as sessions of \
                 the role {}: choose another name.",
                role.holder.name
            );
            return Err(Error::Invalid(text));
        }
        Ok(())
    }

    fn role_session_s(
        &self,
        permit: &Permit,
        role: &Entry,
        asked: Option<u32>,
    ) -> Result<u32, Error> {
        let longest = role
            .holder
            .role
            .as_ref()
            .map_or(0, |part| part.max_session_s);
        let asked = asked.unwrap_or(crate::SESSION_S_DEFAULT);
        if longest < asked {
            let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this \
                        role.";
            return Err(Error::Invalid(text.to_owned()));
        }
        let caller = self.key(&permit.cx().caller.access_key_id);
        let chained = caller.is_some_and(|key| matches!(key.grants, Grants::Role(_)));
        if chained && CHAINED_S_MAX < asked {
            let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                        assumed by role chaining";
            return Err(Error::Invalid(text.to_owned()));
        }
        Ok(asked)
    }

    /// Tags and a source identity need permissions of their own.
    fn check_extras(&self, permit: &Permit, new: &NewRoleSession) -> Result<(), Error> {
        check_tags(&new.tags)?;
        let mut facts = Context::default();
        for (key, value) in &new.tags {
            facts.put(&format!("aws:RequestTag/{key}"), value);
        }
        facts.put_all("aws:TagKeys", new.tags.keys().cloned().collect());
        let source = new.source_identity.clone();
        facts.put_all("sts:SourceIdentity", source.into_iter().collect());
        let role: &Arn = permit.resource();
        if !new.tags.is_empty() {
            self.permit_given(permit.cx(), "sts:TagSession", role.clone(), &facts)?;
        }
        if new.source_identity.is_some() {
            self.permit_given(permit.cx(), "sts:SetSourceIdentity", role.clone(), &facts)?;
        }
        Ok(())
    }

    fn session_policies(&self, new: &NewRoleSession) -> Result<Option<Vec<SessionPolicy>>, Error> {
        if SESSION_POLICIES_MAX < new.policy_arns.len() {
            return Err(Error::Quota {
                quota: "PoliciesPerSession",
                max: SESSION_POLICIES_MAX,
            });
        }
        let mut policies = Vec::new();
        if let Some(document) = &new.policy {
            if SESSION_POLICY_MAX < counted(document) {
                return Err(Error::PackedTooLarge(SESSION_POLICY_MAX));
            }
            Policy::parse(document, PolicyKind::Identity)?;
            policies.push(SessionPolicy::Document(document.clone()));
        }
        let directory = self.directory();
        for arn in &new.policy_arns {
            if directory.managed(arn).is_none() {
                let text = format!("Policy {arn} does not exist or is not attachable.");
                return Err(Malformed::new(text).into());
            }
            policies.push(SessionPolicy::Managed(arn.clone()));
        }
        Ok((!policies.is_empty()).then_some(policies))
    }
}

fn later(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus(Duration::from_secs(seconds.into()))
}
