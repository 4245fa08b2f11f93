//! The instances of one job, as its owner holds them.

use std::sync::Arc;

use async_trait::async_trait;
use sightline_ports::{InstanceReport, RunningJob, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::instance::{Instance, Reins};
use super::uids::UidLease;

/// A started job. Dropping it ends every instance.
#[derive(Debug)]
pub(super) struct SandboxJob {
    reports: mpsc::Receiver<InstanceReport>,
    reins: Vec<Arc<Reins>>,
    followers: JoinSet<()>,
}

impl SandboxJob {
    /// Follows `instances`; `user` is theirs alone until all have ended.
    pub(super) fn follow(instances: Vec<Instance>, user: Option<UidLease>) -> Self {
        let user = Arc::new(user);
        let (sender, reports) = mpsc::channel(instances.len().max(1));
        let reins = instances.iter().map(Instance::reins).collect();
        let mut followers = JoinSet::new();
        for instance in instances {
            let (sender, user) = (sender.clone(), Arc::clone(&user));
            followers.spawn(async move {
                let report = instance.follow().await;
                drop(user);
                if let Err(unheard) = sender.send(report).await {
                    tracing::debug!(report = ?unheard.0, "an instance ended unobserved");
                }
            });
        }
        Self {
            reports,
            reins,
            followers,
        }
    }
}

#[async_trait]
impl RunningJob for SandboxJob {
    async fn next_exit(&mut self) -> Option<InstanceReport> {
        self.reports.recv().await
    }

    async fn signal(&mut self, signal: Signal) {
        for reins in &self.reins {
            match signal {
                Signal::Terminate => reins.terminate().await,
                Signal::Kill => reins.kill(),
            }
        }
    }
}

impl Drop for SandboxJob {
    fn drop(&mut self) {
        for reins in &self.reins {
            reins.kill();
        }
        // They collect what the kill leaves: exit statuses, groups, the user id.
        self.followers.detach_all();
    }
}
