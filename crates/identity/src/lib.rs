//! Who asks, and what they may do: keys, roles, sessions, and the permit that engines demand.
//!
//! Owns the `access_keys` table and the roles. A [`Permit`] can be minted here only, so an engine
//! method that takes one cannot be reached without a decision. This crate must never know how a
//! request is signed; it hands out the secret with which a protocol checks the signature.
//!
//! Start at [`Identity::permit`] for decisions and [`Identity::key`] for authentication.

mod grant;
mod keys;
mod permit;
mod role;
mod store;

pub use grant::{Grant, Grants};
pub use keys::{AccessKey, NewSession, Secret};
pub use permit::Permit;
pub use role::Role;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sightline_meta::{Meta, MetaError};
use sightline_types::{AccountId, Arn, Cx, ErrorKind, Region, Timestamp};

/// Why identity could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The principal may not do this.
    #[error(
        "User: {principal} is not authorized to perform: {action} on resource: {resource} \
         because no identity-based policy allows the {action} action"
    )]
    Denied {
        /// The principal's ARN.
        principal: String,
        /// The action asked for.
        action: String,
        /// The resource that it was asked for.
        resource: Arn,
    },
    /// No role has this name.
    #[error("The role with name {0} cannot be found.")]
    RoleNotFound(String),
    /// The system gave no randomness to make a key of.
    #[error("could not draw a random key: {0}")]
    Random(String),
    /// The store failed.
    #[error("could not reach the identity store")]
    Meta(#[from] MetaError),
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied { .. } => ErrorKind::Denied,
            Self::RoleNotFound(_) => ErrorKind::NotFound,
            Self::Random(_) => ErrorKind::Internal,
            Self::Meta(source) => source.kind(),
        }
    }
}

/// The identity engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Identity {
    meta: Meta,
    account: AccountId,
    region: Region,
    /// Every valid key: authentication asks for one on each request.
    keys: Arc<RwLock<HashMap<String, Arc<AccessKey>>>>,
}

impl Identity {
    /// Takes up the store's account, keys and roles, making them at first start.
    ///
    /// The account id is drawn once; `region` may differ from start to start.
    pub async fn open(meta: Meta, region: Region, now: Timestamp) -> Result<Self, Error> {
        let seed = store::Seed::draw()?;
        let account = meta
            .write(move |tx| store::initialise(tx, &seed, now))
            .await?;
        let loaded = meta
            .read(move |reader| store::load_keys(reader, now))
            .await?;
        let keys = loaded
            .into_iter()
            .map(|key| (key.id.clone(), Arc::new(key)))
            .collect();
        Ok(Self {
            meta,
            account,
            region,
            keys: Arc::new(RwLock::new(keys)),
        })
    }

    /// The account that every resource of this server belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The region that every resource of this server lies in.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The key with this public half, if it exists; it may have expired.
    #[must_use]
    pub fn key(&self, access_key_id: &str) -> Option<Arc<AccessKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(access_key_id).cloned()
    }

    /// The permanent key that first start made.
    pub async fn root_key(&self) -> Result<Arc<AccessKey>, Error> {
        let id = self.meta.read(store::root_key_id).await?;
        let missing = || MetaError::Stored {
            what: "root key",
            reason: "it is absent".to_owned(),
        };
        id.and_then(|id| self.key(&id))
            .ok_or_else(|| missing().into())
    }

    /// Decides whether the caller may do `action` on `resource`.
    pub fn permit(
        &self,
        cx: &Arc<Cx>,
        action: &'static str,
        resource: Arn,
    ) -> Result<Permit, Error> {
        let allowed = self
            .key(&cx.caller.access_key_id)
            .is_some_and(|key| key.grants.allow(action, resource.as_str()));
        if !allowed {
            return Err(Error::Denied {
                principal: cx.caller.arn.clone(),
                action: action.to_owned(),
                resource,
            });
        }
        Ok(Permit::mint(Arc::clone(cx), action, resource))
    }

    /// The permit of an operation that asks for permission on each thing that it touches.
    ///
    /// It allows nothing but recording what was done.
    #[must_use]
    pub fn defer(&self, cx: &Arc<Cx>, action: &'static str, resource: Arn) -> Permit {
        Permit::mint(Arc::clone(cx), action, resource)
    }

    /// The permit of the platform itself, acting for `cx` in the background.
    ///
    /// For engines' own work, such as staging a job's input; protocols must never call it, and
    /// `xtask tidy` sees to that.
    #[must_use]
    pub fn platform_permit(&self, cx: &Cx, action: &'static str, resource: Arn) -> Permit {
        Permit::of_platform(cx, action, resource)
    }

    /// Makes a temporary key that can do no more than its grants and ends with `expires_at`.
    pub async fn begin_session(
        &self,
        session: NewSession,
        now: Timestamp,
    ) -> Result<Arc<AccessKey>, Error> {
        let key = Arc::new(AccessKey::temporary(session, &self.account)?);
        let stored = Arc::clone(&key);
        self.meta
            .write(move |tx| store::insert_key(tx, &stored, now))
            .await?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.id.clone(), Arc::clone(&key));
        Ok(key)
    }

    /// Ends a temporary key at once.
    pub async fn end_session(&self, access_key_id: &str) -> Result<(), Error> {
        let id = access_key_id.to_owned();
        self.meta
            .write(move |tx| store::delete_key(tx, &id))
            .await?;
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(access_key_id);
        Ok(())
    }

    /// The role with this name.
    pub async fn role(&self, permit: &Permit, name: &str) -> Result<Role, Error> {
        let name = name.to_owned();
        permit.expect_action("iam:GetRole");
        self.meta
            .read(move |reader| store::role(reader, &name))
            .await
    }

    /// The ARN of the role that first start made.
    #[must_use]
    pub fn default_role_arn(&self) -> Arn {
        Arn::global(
            "iam",
            &self.account,
            &format!("role/{}", role::DEFAULT_NAME),
        )
    }
}
