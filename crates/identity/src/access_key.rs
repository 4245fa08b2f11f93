//! The permanent keys of users and of the account's owner.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sightline_types::{Cx, Timestamp};

use crate::keys::{self, Principal};
use crate::{AccessKey, Error, Grants, HolderKind, Identity, Noun, Permit, store};

/// Keys of one user at once: enough to bring in a new one before the old one goes.
const KEYS_MAX: usize = 2;

/// How old the last use of a key may be before it is written down again.
const LAST_USE_EVERY: Duration = Duration::from_secs(60);

/// When and for what a key was used last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// For which service, such as `s3`.
    pub service: String,
    /// In which region.
    pub region: String,
}

/// Uses that are not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    waiting: HashMap<String, LastUse>,
    written_at: Timestamp,
}

impl Identity {
    /// Makes a key for a user, or with `None` for the account's owner.
    pub async fn create_access_key(
        &self,
        permit: &Permit,
        user: Option<&str>,
    ) -> Result<Arc<AccessKey>, Error> {
        let now = permit.cx().received_at;
        let (principal, grants) = match user {
            Some(name) => {
                let user = self.holder(permit, HolderKind::User, name)?;
                let principal = Principal {
                    role_name: store::DEFAULT_ROLE.to_owned(),
                    role_id: user.id.clone(),
                    session_name: user.name.clone(),
                };
                (principal, Grants::User(user.name.clone()))
            }
            None => {
                let root = self.root_key().await?;
                (root.principal.clone(), Grants::Everything)
            }
        };
        let key = AccessKey::permanent(principal, grants, &self.account, now)?;
        let key = Arc::new(key);
        let (made, sealing) = (Arc::clone(&key), self.sealing.clone());
        let of_owner = self.access_keys(permit, None).len();
        self.change(permit, move |tx| {
            let count = match made.user_name() {
                Some(name) => {
                    store::holder(tx, HolderKind::User, name)?
                        .ok_or_else(|| Error::not_found(Noun::User, name))?;
                    usize::try_from(store::count_keys(tx, name)?).unwrap_or(usize::MAX)
                }
                None => of_owner,
            };
            if KEYS_MAX <= count {
                return Err(Error::Quota {
                    quota: "AccessKeysPerUser",
                    max: KEYS_MAX,
                });
            }
            store::insert_key(tx, &made, &sealing)
        })
        .await?;
        Ok(key)
    }

    /// The permanent keys of a user, or of the account's owner, the oldest first.
    #[must_use]
    pub fn access_keys(&self, _permit: &Permit, user: Option<&str>) -> Vec<Arc<AccessKey>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let keys = state.keys.values().filter(|key| is_of(key, user));
        let mut keys: Vec<_> = keys.cloned().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }

    /// The permanent key with this id, of whomever.
    pub fn access_key(&self, _permit: &Permit, id: &str) -> Result<Arc<AccessKey>, Error> {
        let key = self.key(id).filter(|key| key.expires_at.is_none());
        key.ok_or_else(|| Error::not_found(Noun::AccessKey, id))
    }

    /// Switches a key on or off.
    pub async fn set_key_status(
        &self,
        permit: &Permit,
        user: Option<&str>,
        id: &str,
        active: bool,
    ) -> Result<(), Error> {
        let key = self.key_of(permit, user, id)?;
        if !active {
            self.refuse_last(permit, &key)?;
        }
        let id = id.to_owned();
        self.change(permit, move |tx| Ok(store::set_status(tx, &id, active)?))
            .await
    }

    /// Deletes a key.
    pub async fn delete_access_key(
        &self,
        permit: &Permit,
        user: Option<&str>,
        id: &str,
    ) -> Result<(), Error> {
        let key = self.key_of(permit, user, id)?;
        self.refuse_last(permit, &key)?;
        let id = id.to_owned();
        self.change(permit, move |tx| Ok(store::delete_key(tx, &id)?))
            .await
    }

    fn key_of(
        &self,
        permit: &Permit,
        user: Option<&str>,
        id: &str,
    ) -> Result<Arc<AccessKey>, Error> {
        if let Some(name) = user {
            self.holder(permit, HolderKind::User, name)?;
        }
        let key = self.key(id).filter(|key| is_of(key, user));
        key.ok_or_else(|| Error::not_found(Noun::AccessKey, id))
    }

    /// Without a key of its owner the account could not be reached any more.
    fn refuse_last(&self, permit: &Permit, key: &AccessKey) -> Result<(), Error> {
        let others = self.access_keys(permit, None);
        let another = others
            .iter()
            .any(|other| other.active && other.id != key.id);
        if key.grants == Grants::Everything && key.active && !another {
            let text = "This is the last active access key of the account's owner: create \
                        another one first.";
            return Err(Error::Unmodifiable(text.to_owned()));
        }
        Ok(())
    }

    /// When a key was used last; `None` if never.
    pub async fn last_use(&self, _permit: &Permit, id: &str) -> Result<Option<LastUse>, Error> {
        let waiting = {
            let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            uses.waiting.get(id).cloned()
        };
        if waiting.is_some() {
            return Ok(waiting);
        }
        let id = id.to_owned();
        let found = self.meta.read(move |reader| store::last_use(reader, &id));
        Ok(found.await?)
    }

    /// Notes that the caller's key is used, and writes such notes down once a minute.
    pub async fn note_use(&self, cx: &Cx, service: &str) -> Result<(), Error> {
        let permanent = keys::is_permanent(&cx.caller.access_key_id);
        if !permanent {
            return Ok(());
        }
        let due = {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let last = LastUse {
                at: cx.received_at,
                service: service.to_owned(),
                region: cx.region.to_string(),
            };
            uses.waiting.insert(cx.caller.access_key_id.clone(), last);
            let due = LAST_USE_EVERY <= cx.received_at.since(uses.written_at);
            if due {
                uses.written_at = cx.received_at;
            }
            due.then(|| uses.waiting.clone())
        };
        let Some(due) = due else {
            return Ok(());
        };
        self.meta
            .write(move |tx| {
                for (id, last) in &due {
                    store::set_last_use(tx, id, last)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

fn is_of(key: &AccessKey, user: Option<&str>) -> bool {
    let owned = match (user, &key.grants) {
        (Some(wanted), Grants::User(name)) => name.eq_ignore_ascii_case(wanted),
        (None, Grants::Everything) => true,
        (Some(_) | None, _) => false,
    };
    owned && key.expires_at.is_none()
}
