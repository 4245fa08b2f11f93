//! The one thread that writes, and how it commits many changes with one flush to disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender};

use crate::load::Counters;
use crate::outbox::{self, Sealed};
use crate::session::{Place, Session};
use crate::{MetaError, Tx};

/// Changes that wait for the writer; a full queue makes callers wait.
pub(crate) const QUEUE_LENGTH_MAX: usize = 1024;

/// Changes in one commit. More would let the first of them wait too long for its answer.
const GROUP_LENGTH_MAX: usize = 256;

/// Called after the commit with its outcome; delivers the answer to whoever waits.
type Deliver = Box<dyn FnOnce(Result<(), MetaError>) + Send>;

/// Runs one change, or refuses it; says whether to keep it, and how to answer after the commit.
type Change = Box<dyn FnOnce(Result<&mut Tx<'_>, MetaError>) -> (bool, Deliver) + Send>;

/// Work for the writer.
pub(crate) enum Job {
    /// A change with the events that it records.
    Change(Change),
    /// An event of something that changed nothing.
    Event(Sealed, Deliver),
}

impl Job {
    /// Wraps `work` so that `answer` hears its result once the commit is durable.
    pub(crate) fn new<T, E>(
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        answer: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        E: From<MetaError> + Send + 'static,
    {
        Self::Change(Box::new(move |tx| {
            let result = tx.map_err(E::from).and_then(work);
            let keep = result.is_ok();
            let deliver = move |committed: Result<(), MetaError>| match committed {
                Ok(()) => answer(result),
                // A change that failed by itself keeps its own reason.
                Err(error) => answer(result.and(Err(E::from(error)))),
            };
            (keep, Box::new(deliver))
        }))
    }

    /// Answers without running the change.
    fn refuse(self, error: MetaError) {
        match self {
            Self::Change(change) => {
                let (_, deliver) = change(Err(error));
                deliver(Ok(()));
            }
            Self::Event(_, deliver) => deliver(Err(error)),
        }
    }
}

/// What is known of a change before the commit of its group.
struct Waiting {
    deliver: Deliver,
    /// Why the change was undone although it succeeded by itself.
    undone: Option<MetaError>,
}

/// Opens the store, says how that went, and serves changes until every sender is gone.
pub(crate) fn run(
    place: Place,
    opened: &SyncSender<Result<(), MetaError>>,
    queue: &Receiver<Job>,
    counters: &Counters,
) {
    let mut writer = match place.open() {
        Ok(session) => Writer {
            place,
            session: Some(session),
        },
        Err(error) => {
            // Whoever opens the store waits for this.
            drop(opened.send(Err(error)));
            return;
        }
    };
    drop(opened.send(Ok(())));
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_LENGTH_MAX {
            match queue.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        writer.commit_group(group, counters);
    }
}

/// The writing side of a store, and its connection while that is sound.
struct Writer {
    place: Place,
    session: Option<Session>,
}

impl Writer {
    fn commit_group(&mut self, group: Vec<Job>, counters: &Counters) {
        let length = group.len();
        let session = match self.begin() {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(%error, changes = group.len(), "changes were refused");
                group
                    .into_iter()
                    .for_each(|job| job.refuse(error.of_group()));
                counters.tried(length, false);
                return;
            }
        };
        let mut waiting = Vec::with_capacity(group.len());
        let outcome = run_group(&session, group, &mut waiting);
        // After a failed commit of either kind nothing more can come of the transaction.
        if outcome.is_ok() || session.rollback() {
            self.session = Some(session);
        }
        counters.tried(length, outcome.is_ok());
        for Waiting { deliver, undone } in waiting {
            let failed = outcome.as_ref().err().map(MetaError::of_group);
            deliver(undone.or(failed).map_or(Ok(()), Err));
        }
    }

    /// A session in a transaction. The one kept may have lost its server since it was used.
    fn begin(&mut self) -> Result<Session, MetaError> {
        if let Some(session) = self.session.take() {
            match session.begin_write() {
                Ok(()) => return Ok(session),
                Err(MetaError::Unreachable(_)) => {}
                Err(error) => {
                    self.session = session.rollback().then_some(session);
                    return Err(error);
                }
            }
        }
        let session = self.place.connect()?;
        session.begin_write()?;
        Ok(session)
    }
}

/// Runs the changes of a group and commits. On an error nothing of it was kept, unless the error
/// says otherwise; changes that had not begun are refused.
fn run_group(
    session: &Session,
    group: Vec<Job>,
    waiting: &mut Vec<Waiting>,
) -> Result<(), MetaError> {
    let mut events = Vec::with_capacity(group.len());
    let mut group = group.into_iter();
    let ran = group.by_ref().try_for_each(|job| match job {
        Job::Change(change) => run_change(session, change, &mut events, waiting),
        Job::Event(event, deliver) => {
            events.push(event);
            let undone = None;
            waiting.push(Waiting { deliver, undone });
            Ok(())
        }
    });
    if let Err(error) = ran {
        group.for_each(|job| job.refuse(error.of_group()));
        return Err(error);
    }
    outbox::append(&mut Tx::new(session), events)?;
    session.commit()
}

fn run_change(
    session: &Session,
    change: Change,
    events: &mut Vec<Sealed>,
    waiting: &mut Vec<Waiting>,
) -> Result<(), MetaError> {
    if let Err(error) = session.begin_change() {
        Job::Change(change).refuse(error.of_group());
        return Err(error);
    }
    let mut tx = Tx::new(session);
    let ran = catch_unwind(AssertUnwindSafe(|| change(Ok(&mut tx))));
    let recorded = std::mem::take(&mut tx.events);
    let (keep, deliver) = match ran {
        Ok((keep, deliver)) => (keep, Some(deliver)),
        // Its answer channel is dropped with it, which the caller sees as `Abandoned`.
        Err(_) => {
            tracing::error!("a change panicked and was rolled back");
            (false, None)
        }
    };
    // A change that hid the failure of one of its statements cannot be kept.
    let undone = keep.then(|| session.keep_change().err()).flatten();
    let ended = if keep && undone.is_none() {
        events.extend(recorded);
        Ok(())
    } else {
        session.undo_change()
    };
    waiting.extend(deliver.map(|deliver| Waiting { deliver, undone }));
    ended
}

/// The sending side of the writer's queue.
pub(crate) type Queue = SyncSender<Job>;
