//! Keys that this server does not know yet, because another one on the store has just made them.
//!
//! What others change is taken up every second. A program may use its new key sooner than that, so
//! before a key is called unknown the store is asked once more. However many unknown keys are
//! claimed, it is asked by one request at a time, and those that wait meanwhile share the answer.

use std::sync::atomic::{AtomicU64, Ordering};

use sightline_identity::{Error, Identity};
use tokio::sync::Mutex;

/// Asks the store for those who claim to be known elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    asking: Mutex<()>,
    /// How often the store was asked, counted when that begins.
    asked: AtomicU64,
}

impl Newcomers {
    /// Returns once everything is known that the store had when this was called.
    pub(crate) async fn look_again(&self, identity: &Identity) -> Result<(), Error> {
        let before = self.asked.load(Ordering::SeqCst);
        let _one = self.asking.lock().await;
        // One that waited for this lock too may have begun to ask after this was called.
        if before < self.asked.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        identity.refresh_if_changed().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sightline_meta::{Meta, MetaOptions};
    use sightline_types::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_crowd_of_unknown_keys_asks_the_store_a_few_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.sqlite");
        let meta = Meta::open(&MetaOptions { path }).unwrap();
        let region = "us-east-1".parse().unwrap();
        let secret_key = dir.path().join("key");
        let identity = Identity::open(meta, region, &secret_key, Timestamp::EPOCH);
        let identity = identity.await.unwrap();
        let newcomers = Newcomers::default();
        let crowd = (0..1_000).map(|_| newcomers.look_again(&identity));
        for outcome in futures_util::future::join_all(crowd).await {
            outcome.unwrap();
        }
        let asked = newcomers.asked.load(Ordering::SeqCst);
        assert!((1..=2).contains(&asked), "{asked}");
        newcomers.look_again(&identity).await.unwrap();
        assert_eq!(newcomers.asked.load(Ordering::SeqCst), asked + 1);
    }
}
