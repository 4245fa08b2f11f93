//! Who asks, and what they may do: keys, users, roles, sessions, policies, and the permit that
//! engines demand.
//!
//! Owns the tables of keys, entities and resource policies. A [`Permit`] can be minted here only,
//! so an engine method that takes one cannot be reached without a decision. This crate must never
//! know how a request is signed; it hands out the secret with which a protocol checks the
//! signature.
//!
//! Start at [`Identity::permit`] for decisions, [`Identity::key`] for authentication and
//! [`policy`] for the language. Everything that a decision needs lies in memory; a change is
//! committed first and then read back as a whole, so memory never runs ahead of the store.

mod access;
mod access_key;
mod builtin;
mod directory;
mod entity;
mod error;
mod grant;
mod holder;
mod keys;
mod managed;
mod permit;
pub mod policy;
mod resource_policy;
mod seal;
mod session;
mod simulate;
mod store;

pub use access_key::LastUse;
pub use entity::{Holder, HolderKind, ManagedPolicy, PolicyVersion, RolePart};
pub use error::{Because, Error, InUse, Noun};
pub use grant::{Grant, Grants, RoleSession, SessionPolicy};
pub use holder::{NewHolder, RoleChange};
pub use keys::{AccessKey, NewSession, Secret};
pub use managed::NewPolicy;
pub use permit::Permit;
pub use resource_policy::forget_resource_policy;
pub use seal::SealError;
pub use session::NewRoleSession;
pub use simulate::{Simulated, Simulation};

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sightline_meta::{Meta, MetaError, Tx};
use sightline_types::{AccountId, Arn, Cx, Region, ResourceRef, Timestamp};

use directory::Directory;
use seal::SealingKey;

/// How long a session of a role may last where its role says nothing else, in seconds.
pub const SESSION_S_DEFAULT: u32 = 3_600;

/// Temporary keys that may be valid at once: each costs memory until it ends.
const SESSIONS_MAX: usize = 50_000;

/// The identity engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Identity {
    meta: Meta,
    account: AccountId,
    region: Region,
    sealing: SealingKey,
    state: Arc<RwLock<State>>,
    uses: Arc<Mutex<access_key::Uses>>,
}

/// What is held in memory, as of one moment.
#[derive(Debug, Default)]
struct State {
    /// The number of the change up to which everything is here.
    generation: i64,
    /// Every key: authentication asks for one on each request.
    keys: HashMap<String, Arc<AccessKey>>,
    directory: Arc<Directory>,
}

impl Identity {
    /// Takes up the store's account, keys, entities and policies, making them at first start.
    ///
    /// The account id is drawn once; `region` may differ from start to start. Secrets are sealed
    /// with the key in `secret_key_file`, which is made when the store has no sealed secrets yet.
    pub async fn open(
        meta: Meta,
        region: Region,
        secret_key_file: &Path,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let sealing = sealing_key(&meta, secret_key_file).await?;
        let seed = store::Seed::draw(now)?;
        let key = sealing.clone();
        let begun = meta.write(move |tx| store::initialise(tx, &seed, &key, now));
        let store::Initialised {
            account,
            were_clear,
        } = begun.await?;
        if were_clear {
            meta.scrub().await?;
        }
        let identity = Self {
            meta,
            account,
            region,
            sealing,
            state: Arc::default(),
            uses: Arc::default(),
        };
        identity.reload().await?;
        Ok(identity)
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

    /// The key with this public half, if it exists; it may have expired or be switched off.
    #[must_use]
    pub fn key(&self, access_key_id: &str) -> Option<Arc<AccessKey>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.keys.get(access_key_id).cloned()
    }

    /// The permanent key of the account's owner: that of first start, or where it is gone or
    /// switched off, the newest.
    pub async fn root_key(&self) -> Result<Arc<AccessKey>, Error> {
        let id = self.meta.read(store::root_key_id).await?;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let usable = |key: &&Arc<AccessKey>| {
            key.active && key.expires_at.is_none() && key.grants == Grants::Everything
        };
        let first = id.and_then(|id| state.keys.get(&id)).filter(usable);
        let newest = || {
            let roots = state.keys.values().filter(usable);
            roots.max_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)))
        };
        let missing = || MetaError::Stored {
            what: "root key",
            reason: "it is absent".to_owned(),
        };
        let found = first.or_else(newest).cloned();
        found.ok_or_else(|| missing().into())
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
        let role = self
            .directory()
            .entry_of(HolderKind::Role, &session.role_name)
            .cloned();
        let role_id = match role {
            Some(entry) => entry.holder.id.clone(),
            None => keys::role_id(&session.role_name),
        };
        let key = AccessKey::temporary(session, role_id, &self.account, now)?;
        self.begin(key, now, |_| Ok(())).await
    }

    /// Stores a temporary key and whatever `beside` adds to its transaction.
    async fn begin(
        &self,
        mut key: AccessKey,
        now: Timestamp,
        beside: impl FnOnce(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<AccessKey>, Error> {
        if let Grants::Role(RoleSession {
            policies: Some(policies),
            ..
        }) = &key.grants
        {
            key.narrowed = Some(self.directory().narrowed(policies)?);
        }
        let key = Arc::new(key);
        let (stored, sealing) = (Arc::clone(&key), self.sealing.clone());
        if SESSIONS_MAX <= self.temporary_keys(now) {
            return Err(Error::Quota {
                quota: "SessionsPerAccount",
                max: SESSIONS_MAX,
            });
        }
        let generation = self
            .meta
            .write(move |tx| {
                store::delete_expired(tx, now)?;
                store::insert_key(tx, &stored, &sealing)?;
                beside(tx)?;
                Ok::<_, Error>(store::bump(tx)?)
            })
            .await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.keys.insert(key.id.clone(), Arc::clone(&key));
        state.counted(generation);
        Ok(key)
    }

    /// How many temporary keys are valid; those that have ended are forgotten.
    fn temporary_keys(&self, now: Timestamp) -> usize {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let ended = |key: &AccessKey| key.expires_at.is_some_and(|end| end < now);
        state.keys.retain(|_, key| !ended(key));
        let temporary = state.keys.values().filter(|key| key.expires_at.is_some());
        temporary.count()
    }

    /// Ends a temporary key at once.
    pub async fn end_session(&self, access_key_id: &str) -> Result<(), Error> {
        let id = access_key_id.to_owned();
        let generation = self
            .meta
            .write(move |tx| {
                store::delete_key(tx, &id)?;
                store::bump(tx)
            })
            .await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.keys.remove(access_key_id);
        state.counted(generation);
        Ok(())
    }

    /// The ARN of the role that first start made.
    #[must_use]
    pub fn default_role_arn(&self) -> Arn {
        let role = format!("role/{}", store::DEFAULT_ROLE);
        Arn::global("iam", &self.account, &role)
    }

    /// Takes up what other servers on the same store have changed. Cheap when nothing has.
    ///
    /// Returns whether anything had.
    pub async fn refresh_if_changed(&self) -> Result<bool, Error> {
        let current = self.meta.read(store::generation).await?;
        if current == self.generation() {
            return Ok(false);
        }
        self.reload().await?;
        Ok(true)
    }

    fn generation(&self) -> i64 {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.generation
    }

    fn directory(&self) -> Arc<Directory> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.directory)
    }

    /// Reads everything anew.
    async fn reload(&self) -> Result<(), Error> {
        let sealing = self.sealing.clone();
        let loaded = self
            .meta
            .read(move |reader| store::load(reader, &sealing))
            .await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // A reading that began before another change was taken up would undo it here.
        if state.generation <= loaded.generation {
            let keys = loaded.keys.into_iter();
            *state = State {
                generation: loaded.generation,
                keys: keys.map(|key| (key.id.clone(), Arc::new(key))).collect(),
                directory: Arc::new(loaded.directory),
            };
        }
        Ok(())
    }

    /// Commits a change with the event of its permit, and takes it up.
    async fn change<T: Send + 'static>(
        &self,
        permit: &Permit,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut event = permit.event();
        event.resources = vec![ResourceRef::of(permit.resource())];
        let done = self
            .meta
            .write(move |tx| {
                let done = work(tx)?;
                store::bump(tx)?;
                tx.record(&event)?;
                Ok::<_, Error>(done)
            })
            .await?;
        self.reload().await?;
        Ok(done)
    }
}

impl State {
    /// Counts a change that was made here and is taken up already. Where another server has made
    /// one in between, the number stays behind, and the next refresh reads everything.
    fn counted(&mut self, generation: i64) {
        if self.generation.saturating_add(1) == generation {
            self.generation = generation;
        }
    }
}

/// The key of secrets: that which sealed the store's, or where none are sealed, that in the file
/// or a new one.
async fn sealing_key(meta: &Meta, path: &Path) -> Result<SealingKey, Error> {
    let check = meta.read(store::seal_check).await?;
    match (check, SealingKey::read(path)?) {
        (Some(check), Some(key)) if store::opens(&key, &check) => Ok(key),
        (Some(_), Some(_)) => Err(SealError::Wrong(path.to_owned()).into()),
        (Some(_), None) => Err(SealError::Missing(path.to_owned()).into()),
        (None, Some(key)) => Ok(key),
        (None, None) => Ok(SealingKey::create(path)?),
    }
}
