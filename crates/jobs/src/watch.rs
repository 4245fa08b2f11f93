//! Waiting for the instances of a job, and making them end when they must.

use std::time::Duration;

use sightline_ports::{Clock, Exit, InstanceReport, RunningJob, Signal};
use tokio::sync::watch;

use crate::phase::Outcome;

/// How long a program may take to end after being asked to, as AWS allows.
const STOP_GRACE: Duration = Duration::from_secs(120);

/// How the instances of a job ended.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Why they were made to end, unless one of them had failed or all ended by themselves.
    pub(crate) ending: Option<Outcome>,
    /// The first one that failed. Those that end badly afterwards were made to.
    pub(crate) failed: Option<InstanceReport>,
    /// What all of them reported beside.
    pub(crate) notes: Vec<String>,
}

/// Waits for the instances, stopping them on request, at the limit, or when one has failed.
pub(crate) async fn watch(
    clock: &dyn Clock,
    runtime_max: Duration,
    stop: watch::Receiver<bool>,
    mut running: Box<dyn RunningJob>,
) -> Watched {
    let mut watched = Watched::default();
    let limit = clock.sleep(runtime_max);
    let stop = turned_true(stop);
    tokio::pin!(limit, stop);
    loop {
        tokio::select! {
            report = running.next_exit() => {
                let Some(mut report) = report else { return watched };
                watched.notes.append(&mut report.notes);
                if report.exit != Exit::Code(0) {
                    watched.failed = Some(report);
                    break;
                }
            }
            () = &mut stop => {
                watched.ending = Some(Outcome::Stopped);
                break;
            }
            () = &mut limit => {
                watched.ending = Some(Outcome::TimedOut);
                break;
            }
        }
    }
    watched.notes.extend(end(clock, running).await);
    watched
}

/// Asks the instances to end, kills those that do not, and gives what they reported beside.
async fn end(clock: &dyn Clock, mut running: Box<dyn RunningJob>) -> Vec<String> {
    running.signal(Signal::Terminate).await;
    let mut notes = Vec::new();
    let mut killed = false;
    let grace = clock.sleep(STOP_GRACE);
    tokio::pin!(grace);
    loop {
        tokio::select! {
            report = running.next_exit() => match report {
                Some(report) => notes.extend(report.notes),
                None => return notes,
            },
            () = &mut grace, if !killed => {
                killed = true;
                running.signal(Signal::Kill).await;
            }
        }
    }
}

/// Returns once the flag is true; never, if whoever could set it is gone.
pub(crate) async fn turned_true(mut flag: watch::Receiver<bool>) {
    if flag.wait_for(|set| *set).await.is_err() {
        std::future::pending::<()>().await;
    }
}
