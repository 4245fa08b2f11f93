//! What a server does now and again beside its requests and jobs, when it shares its store.

use std::sync::Arc;
use std::time::Duration;

use sightline_identity::Identity;
use sightline_meta::Meta;
use sightline_objects::Objects;
use sightline_ports::Clock;
use tokio::sync::watch;

/// How soon a key or policy that was changed at one server counts at the others.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Rounds of refreshing between two collections of blobs that nothing names: ten minutes.
const ROUNDS_PER_COLLECTION: u32 = 600;

/// The upkeep of one server.
#[derive(Debug)]
pub struct Upkeep {
    pub(crate) meta: Meta,
    pub(crate) identity: Identity,
    pub(crate) objects: Objects,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Goes on until `shutdown` turns true. A store of this server alone needs none.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        if self.meta.server().is_none() {
            return;
        }
        let mut rounds: u32 = 0;
        while !*shutdown.borrow() {
            if let Err(error) = self.identity.refresh_if_changed().await {
                tracing::warn!(%error, "what other servers changed of identities is not known");
            }
            rounds += 1;
            if ROUNDS_PER_COLLECTION <= rounds {
                rounds = 0;
                self.collect().await;
            }
            tokio::select! {
                () = self.clock.sleep(REFRESH_EVERY) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    async fn collect(&self) {
        if let Err(error) = self.objects.collect_orphans().await {
            tracing::warn!(%error, "blobs that nothing names could not be collected");
        }
    }
}
