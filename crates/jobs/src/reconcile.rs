//! The loop that moves every unfinished job on, and picks each up again after a crash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::store::Unfinished;
use crate::workspace::{Workspace, off_the_runtime};
use crate::{Error, JobId, Jobs, JobsOptions, runner, store};

/// How often the loop looks for work that nothing told it of.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the engine's parts share.
pub(crate) struct Shared {
    pub(crate) options: JobsOptions,
    /// Rung when a job is created.
    pub(crate) wake: Notify,
    /// The jobs that run here, and how to ask each to stop.
    active: Mutex<HashMap<JobId, Active>>,
}

/// A job that runs here.
struct Active {
    /// Tells it to stop.
    stop: watch::Sender<bool>,
    /// What moves it, once that is begun.
    task: Option<AbortHandle>,
}

impl Shared {
    pub(crate) fn new(options: JobsOptions) -> Self {
        Self {
            options,
            wake: Notify::new(),
            active: Mutex::default(),
        }
    }

    /// Tells a running job that it shall stop; one that waits learns it from its row.
    pub(crate) fn request_stop(&self, id: &JobId) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = active.get(id) {
            job.stop.send_replace(true);
        }
        self.wake.notify_one();
    }

    /// Takes a job up, unless it runs already or the machine is full.
    fn take_up(&self, due: &Unfinished) -> Option<watch::Receiver<bool>> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = active.get(&due.id) {
            // The request may have been stored just before the job became active, or elsewhere.
            if due.stopping {
                job.stop.send_replace(true);
            }
            return None;
        }
        let room = active.len() < self.options.running_max || !due.needs_room;
        if !room {
            return None;
        }
        let (stop, stopped) = watch::channel(due.stopping);
        active.insert(due.id.clone(), Active { stop, task: None });
        Some(stopped)
    }

    /// Notes what moves a job that was taken up.
    fn moved_by(&self, id: &JobId, task: AbortHandle) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = active.get_mut(id) {
            job.task = Some(task);
        }
    }

    /// Ends the instances of jobs that another server has taken.
    fn let_go(&self, jobs: &[JobId]) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        for id in jobs {
            if let Some(task) = active.remove(id).and_then(|job| job.task) {
                tracing::error!(job = %id.name, "a job was taken by another server");
                task.abort();
            }
        }
    }

    fn lay_down(&self, id: &JobId) {
        self.active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        self.wake.notify_one();
    }
}

impl Jobs {
    /// Runs jobs until `shutdown` turns true.
    ///
    /// Jobs that run then lose their instances with the server; the next start ends them with
    /// that reason.
    pub async fn reconcile(self, mut shutdown: watch::Receiver<bool>) {
        if let Err(error) = self.remove_leftovers().await {
            tracing::error!(%error, "what ended jobs have left could not be removed");
        }
        let mut running = JoinSet::new();
        while !*shutdown.borrow() {
            if let Err(error) = self.start_due(&mut running).await {
                tracing::error!(%error, "unfinished jobs could not be looked up");
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = self.shared.options.clock.sleep(LOOK_EVERY) => {}
                Some(_) = running.join_next() => {}
                _ = shutdown.changed() => {}
            }
        }
        running.shutdown().await;
    }

    /// Removes the directories of jobs that ended just before the server did.
    async fn remove_leftovers(&self) -> Result<(), Error> {
        let options = &self.shared.options;
        let unfinished = options.meta.read(store::unfinished).await?;
        let ids: Vec<JobId> = unfinished.into_iter().map(|job| job.id).collect();
        let root = options.root.clone();
        off_the_runtime("sweep", move || Workspace::remove_others(&root, &ids)).await
    }

    async fn start_due(&self, running: &mut JoinSet<()>) -> Result<(), Error> {
        let due = self.shared.due().await?;
        self.shared.let_go(&due.elsewhere);
        for due in due.here {
            if let Some(stop) = self.shared.take_up(&due) {
                let (shared, job) = (std::sync::Arc::clone(&self.shared), due.id.clone());
                let id = due.id;
                let task = running.spawn(async move {
                    let ran = runner::run(&shared, &id, stop);
                    match std::panic::AssertUnwindSafe(ran).catch_unwind().await {
                        Ok(Ok(())) => {}
                        // The row is unfinished, so the next look takes the job up again.
                        Ok(Err(error)) => {
                            tracing::error!(job = %id.name, %error, "a job could not be moved on");
                            shared.options.clock.sleep(LOOK_EVERY).await;
                        }
                        Err(_) => runner::end_after_panic(&shared, &id).await,
                    }
                    shared.lay_down(&id);
                });
                self.shared.moved_by(&job, task);
            }
        }
        Ok(())
    }
}
