//! Activity: what happened, by whom, to what, and the proof that the record of it is whole.
//!
//! Owns the trail: log files and signed digests in a bucket, in the form that CloudTrail gives
//! them, with the tables `trail`, `trail_files`, `trail_digests` and `trail_keys`. Reads the
//! events of `meta`, which engines and the front door write. It must never know what an event
//! means. Start at [`Audit::lookup`] for questions, [`Audit::deliver`] for the trail,
//! [`Audit::prune`] for its end in the store, and [`Audit::verify`] for the proof.

mod delivery;
mod digest;
mod error;
mod files;
mod keys;
mod lookup;
mod retention;
mod store;
mod trail;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sightline_identity::{Identity, Permit};
use sightline_meta::{Meta, Reader, outbox};
use sightline_objects::Objects;
use sightline_ports::Clock;
use sightline_types::Timestamp;
use tokio::sync::Mutex;

pub use error::Error;
pub use keys::PublicKey;
pub use lookup::EventsQuery;
pub use retention::Retention;
pub use sightline_meta::outbox::{Attribute, Recorded};
pub use trail::{TRAIL_NAME, Trail};
pub use verify::{Finding, KeptFrom, Place, Report};

use retention::Size;

/// What the audit engine stands on.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Where events are.
    pub meta: Meta,
    /// Whose account it is.
    pub identity: Identity,
    /// Where the trail's files go.
    pub objects: Objects,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where the private halves of the keys that sign digests lie.
    pub keys_dir: PathBuf,
    /// How long an event may wait to be delivered.
    pub delivery_interval: Duration,
    /// How much time a digest covers.
    pub digest_interval: Duration,
    /// How much of what is delivered stays in the store.
    pub retention: Retention,
}

/// The audit engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Audit {
    options: Arc<AuditOptions>,
    trail: Trail,
    /// Held while files are delivered or keys changed, which take turns.
    delivering: Arc<Mutex<()>>,
    size: Arc<Mutex<Size>>,
}

/// The numbers of the last event that is recorded, and of the last that is in the trail's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last event.
    pub recorded: i64,
    /// The last that was delivered.
    pub delivered: i64,
}

/// How the trail is doing.
#[derive(Clone, Debug)]
pub struct TrailStatus {
    /// Since when there are log files.
    pub started_at: Timestamp,
    /// When the last log file was delivered.
    pub delivered_at: Option<Timestamp>,
    /// Until when there are digests.
    pub digested_until: Timestamp,
}

impl Audit {
    /// Makes the engine over its stores.
    pub fn new(options: AuditOptions) -> Result<Self, Error> {
        let identity = &options.identity;
        Ok(Self {
            trail: Trail::of(identity.account(), identity.region())?,
            options: Arc::new(options),
            delivering: Arc::default(),
            size: Arc::default(),
        })
    }

    /// The trail, which every server has.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// How the trail is doing; `None` before its first delivery.
    pub async fn trail_status(&self, permit: &Permit) -> Result<Option<TrailStatus>, Error> {
        permit.expect_action("cloudtrail:GetTrailStatus");
        let state = self.options.meta.read(store::state).await?;
        Ok(state.map(|state| TrailStatus {
            started_at: state.created_at,
            delivered_at: state.delivered_at,
            digested_until: state.digested_until,
        }))
    }

    /// How far events are recorded and delivered, for whoever watches the server; no protocol
    /// reaches it.
    pub async fn progress(&self) -> Result<Progress, Error> {
        let read = |reader: &Reader<'_>| {
            let delivered = store::state(reader)?.map_or(0, |state| state.delivered.seq);
            Ok::<_, Error>(Progress {
                recorded: outbox::head(reader)?.seq,
                delivered,
            })
        };
        self.options.meta.read(read).await
    }

    /// The keys that signed between two times, or that sign, the newest first.
    pub async fn public_keys(
        &self,
        permit: &Permit,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<PublicKey>, Error> {
        permit.expect_action("cloudtrail:ListPublicKeys");
        let now = self.options.clock.now();
        let (from, until) = (from.unwrap_or(now), until.unwrap_or(now));
        if until < from {
            return Err(Error::EmptyRange { from, until });
        }
        let mut keys = self.options.meta.read(store::keys).await?;
        keys.retain(|key| key.valid_from <= until && key.valid_until.is_none_or(|end| from <= end));
        Ok(keys)
    }
}
