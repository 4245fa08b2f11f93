//! What a server does now and again beside its requests and jobs.

use std::sync::Arc;
use std::time::Duration;

use sightline_config::Objects as ObjectSettings;
use sightline_identity::Identity;
use sightline_meta::Meta;
use sightline_objects::Objects;
use sightline_ports::Clock;
use sightline_types::{Arn, Timestamp};
use tokio::sync::watch;

use crate::own_request::own_request;

/// How soon a key or policy that was changed at one server counts at the others.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How often what is left over is collected, and what counts as that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leftovers {
    /// The time between two collections.
    every: Duration,
    /// How old an unfinished upload may be; `None` for any age.
    upload_age_ms: Option<i64>,
}

/// The upkeep of one server.
#[derive(Clone, Debug)]
pub struct Upkeep {
    pub(crate) meta: Meta,
    pub(crate) identity: Identity,
    pub(crate) objects: Objects,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) leftovers: Leftovers,
}

impl Leftovers {
    /// As the operator wants it.
    pub(crate) fn of(settings: &ObjectSettings) -> Self {
        let age_ms = settings.upload_days_max.saturating_mul(DAY_MS);
        Self {
            every: Duration::from_secs(settings.collection_seconds),
            upload_age_ms: i64::try_from(age_ms).ok().filter(|age| 0 < *age),
        }
    }
}

impl Upkeep {
    /// Goes on until `shutdown` turns true.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        tokio::join!(
            self.refresh(shutdown.clone()),
            self.collect_for_ever(shutdown)
        );
    }

    /// Takes up what other servers change. A store of this server alone needs none of that.
    async fn refresh(&self, mut shutdown: watch::Receiver<bool>) {
        if self.meta.server().is_none() {
            return;
        }
        while !*shutdown.borrow() {
            if let Err(error) = self.identity.refresh_if_changed().await {
                tracing::warn!(%error, "what other servers changed of identities is not known");
            }
            self.pause(REFRESH_EVERY, &mut shutdown).await;
        }
    }

    async fn collect_for_ever(&self, mut shutdown: watch::Receiver<bool>) {
        while !*shutdown.borrow() {
            self.pause(self.leftovers.every, &mut shutdown).await;
            tokio::select! {
                () = self.collect() => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    async fn pause(&self, time: Duration, shutdown: &mut watch::Receiver<bool>) {
        tokio::select! {
            () = self.clock.sleep(time) => {}
            _ = shutdown.changed() => {}
        }
    }

    /// Ends uploads that are too old, and deletes blobs that nothing names.
    pub async fn collect(&self) {
        match self.expire_uploads().await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "abandoned uploads were ended"),
            Err(error) => tracing::warn!(%error, "abandoned uploads could not be ended"),
        }
        if let Err(error) = self.objects.collect_orphans().await {
            tracing::warn!(%error, "blobs that nothing names could not be collected");
        }
    }

    async fn expire_uploads(&self) -> Result<usize, crate::StartError> {
        let Some(age_ms) = self.leftovers.upload_age_ms else {
            return Ok(0);
        };
        let before = self.clock.now().millis().saturating_sub(age_ms);
        let cx = own_request(&self.identity, self.clock.as_ref(), "AbortMultipartUpload").await?;
        let action = "s3:AbortMultipartUpload";
        let permit = self
            .identity
            .platform_permit(&cx, action, Arn::s3("*", None));
        let before = Timestamp::from_millis(before);
        Ok(self.objects.expire_uploads(&permit, before).await?)
    }
}
