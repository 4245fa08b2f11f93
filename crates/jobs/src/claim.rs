//! Which of the servers that share a store moves which job.
//!
//! A job belongs to the server that took it up, for as long as that server lives. A server that was
//! lost leaves its jobs to the others; should it only have been late, it finds that they are not
//! its any more, lets go of them, and can change nothing about them.

use sightline_meta::lease;
use sightline_meta::{MetaError, Tx};

use crate::reconcile::{LOOK_EVERY, Shared};
use crate::store::Unfinished;
use crate::{Error, JobId, store};

/// The jobs that have not ended, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Those to be moved here.
    pub(crate) here: Vec<Unfinished>,
    /// Those that other servers move.
    pub(crate) elsewhere: Vec<JobId>,
}

impl Shared {
    /// Takes what this server has room for of the jobs that nobody moves.
    pub(crate) async fn due(&self) -> Result<Due, Error> {
        let meta = &self.options.meta;
        let Some(server) = meta.server().map(str::to_owned) else {
            return Ok(Due {
                here: meta.read(store::unfinished).await?,
                elsewhere: Vec::new(),
            });
        };
        let room = self.options.running_max;
        let claimed = meta.write(move |tx| claim(tx, &server, room)).await;
        Ok(claimed?)
    }

    /// Changes a job of this server, trying again for as long as the store cannot be reached: what
    /// the job has come to must not be lost with a connection. So `work` may happen twice.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        id: &JobId,
        work: impl Fn(&mut Tx<'_>) -> Result<T, MetaError> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let meta = &self.options.meta;
        loop {
            let (work, id) = (work.clone(), id.clone());
            let server = meta.server().map(str::to_owned);
            let changed = meta.write(move |tx| {
                let is_ours = match &server {
                    Some(server) => store::is_moved_by(tx, &id, server)?,
                    None => true,
                };
                if is_ours {
                    Ok(work(tx)?)
                } else {
                    Err(Error::Elsewhere(id))
                }
            });
            match changed.await {
                Err(Error::Meta(
                    error @ (MetaError::Unreachable(_) | MetaError::OutcomeUnknown(_)),
                )) => {
                    tracing::warn!(%error, "a job waits for the store");
                    self.options.clock.sleep(LOOK_EVERY).await;
                }
                done => return done,
            }
        }
    }
}

fn claim(tx: &mut Tx<'_>, server: &str, running_max: usize) -> Result<Due, MetaError> {
    let now = tx.database_time()?;
    let may_judge = lease::stay_alive(tx, server, now)?;
    let jobs = store::unfinished(tx)?;
    let is_ours = |job: &&Unfinished| job.server.as_deref() == Some(server);
    let mut room = running_max.saturating_sub(jobs.iter().filter(is_ours).count());
    let mut due = Due::default();
    for job in jobs {
        let free = match job.server.as_deref() {
            Some(owner) if owner == server => {
                due.here.push(job);
                continue;
            }
            Some(owner) => may_judge && !lease::is_alive(tx, owner, now)?,
            None => true,
        };
        if free && (0 < room || !job.needs_room) {
            room = room.saturating_sub(1);
            store::set_server(tx, &job.id, server)?;
            due.here.push(job);
        } else {
            due.elsewhere.push(job.id);
        }
    }
    Ok(due)
}
