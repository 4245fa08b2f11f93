//! The one thread that writes, and how it commits many changes with one flush to disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::Connection;

use crate::outbox::{self, Sealed};
use crate::{MetaError, Tx};

/// Changes that wait for the writer; a full queue makes callers wait.
pub(crate) const QUEUE_LENGTH_MAX: usize = 1024;

/// Changes in one commit. More would let the first of them wait too long for its answer.
const GROUP_LENGTH_MAX: usize = 256;

/// Called after the commit with its outcome; delivers the answer to whoever waits.
type Deliver = Box<dyn FnOnce(Result<(), MetaError>) + Send>;

/// Runs one change; says whether to keep it, and how to answer after the commit.
type Change = Box<dyn FnOnce(&mut Tx<'_>) -> (bool, Deliver) + Send>;

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
            let result = work(tx);
            let keep = result.is_ok();
            let deliver = move |committed: Result<(), MetaError>| match committed {
                Ok(()) => answer(result),
                // A change that failed by itself keeps its own reason.
                Err(error) => answer(result.and(Err(E::from(error)))),
            };
            (keep, Box::new(deliver))
        }))
    }
}

/// Serves changes until every sender is gone.
pub(crate) fn run(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_LENGTH_MAX {
            match queue.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        commit_group(&mut connection, group);
    }
}

fn commit_group(connection: &mut Connection, group: Vec<Job>) {
    let mut waiting = Vec::with_capacity(group.len());
    let outcome = run_group(connection, group, &mut waiting).map_err(|error| reasons(&error));
    for deliver in waiting {
        deliver(outcome.clone().map_err(MetaError::Commit));
    }
}

/// The whole chain of reasons, since only a text can be told to everyone who waits.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        text = format!("{text}: {reason}");
        source = reason.source();
    }
    text
}

fn run_group(
    connection: &mut Connection,
    group: Vec<Job>,
    waiting: &mut Vec<Deliver>,
) -> Result<(), MetaError> {
    let mut transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut events = Vec::with_capacity(group.len());
    for job in group {
        match job {
            Job::Change(change) => run_change(&mut transaction, change, &mut events, waiting)?,
            Job::Event(event, deliver) => {
                events.push(event);
                waiting.push(deliver);
            }
        }
    }
    outbox::append(&mut Tx::new(&transaction), events)?;
    Ok(transaction.commit()?)
}

fn run_change(
    transaction: &mut rusqlite::Transaction<'_>,
    change: Change,
    events: &mut Vec<Sealed>,
    waiting: &mut Vec<Deliver>,
) -> Result<(), MetaError> {
    let savepoint = transaction.savepoint()?;
    let mut tx = Tx::new(&savepoint);
    let ran = catch_unwind(AssertUnwindSafe(|| change(&mut tx)));
    let recorded = std::mem::take(&mut tx.events);
    match ran {
        Ok((true, deliver)) => {
            savepoint.commit()?;
            events.extend(recorded);
            waiting.push(deliver);
        }
        Ok((false, deliver)) => {
            drop(savepoint);
            waiting.push(deliver);
        }
        // Its answer channel is dropped with it, which the caller sees as `Abandoned`.
        Err(_) => tracing::error!("a change panicked and was rolled back"),
    }
    Ok(())
}

/// The sending side of the writer's queue.
pub(crate) type Queue = SyncSender<Job>;
