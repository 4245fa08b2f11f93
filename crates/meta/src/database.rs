//! Opening the store, writing through the one writer, reading from a pool of snapshots.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sightline_types::Event;
use tokio::sync::{Semaphore, oneshot};

use crate::outbox::Sealed;
use crate::writer::{self, Job, Queue};
use crate::{MetaError, Reader, Tx, migrate};

/// Snapshots that can be read at once; further readers wait for one.
const READERS_MAX: usize = 4;

/// How long a statement waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the store lives.
#[derive(Clone, Debug)]
pub struct MetaOptions {
    /// The database file; it and its directory are created if absent.
    pub path: PathBuf,
}

/// The metadata store. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Meta {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    queue: Queue,
    idle_readers: Mutex<Vec<Connection>>,
    reader_slots: Arc<Semaphore>,
}

impl Meta {
    /// Opens the store, bringing its schema up to date first.
    pub fn open(options: &MetaOptions) -> Result<Self, MetaError> {
        let mut connection = connect(&options.path)?;
        migrate::run(&mut connection)?;
        let (queue, jobs) = mpsc::sync_channel(writer::QUEUE_LENGTH_MAX);
        std::thread::Builder::new()
            .name("meta-writer".to_owned())
            .spawn(move || writer::run(connection, &jobs))
            .map_err(|error| MetaError::Commit(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared {
                path: options.path.clone(),
                queue,
                idle_readers: Mutex::new(Vec::new()),
                reader_slots: Arc::new(Semaphore::new(READERS_MAX)),
            }),
        })
    }

    /// Runs `work` in a transaction and returns once its commit has reached the disk.
    ///
    /// Changes of several callers share a commit; an error from `work` undoes its own only.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<MetaError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Job::new(work, move |result| {
            // The caller may have gone away; the change stands all the same.
            drop(answer.send(result));
        });
        self.enqueue(job).await?;
        answered.await.map_err(|_| E::from(MetaError::Abandoned))?
    }

    /// Records something that changed nothing, and returns once that has reached the disk.
    pub async fn record(&self, event: &Event) -> Result<(), MetaError> {
        let sealed = Sealed::of(event)?;
        let (answer, answered) = oneshot::channel();
        let deliver = move |committed| drop(answer.send(committed));
        self.enqueue(Job::Event(sealed, Box::new(deliver))).await?;
        answered.await.map_err(|_| MetaError::Abandoned)?
    }

    async fn enqueue(&self, job: Job) -> Result<(), MetaError> {
        let rejected = match self.shared.queue.try_send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::TrySendError::Disconnected(_)) => return Err(MetaError::Abandoned),
            Err(mpsc::TrySendError::Full(job)) => job,
        };
        let queue = self.shared.queue.clone();
        tokio::task::spawn_blocking(move || queue.send(rejected))
            .await
            .map_err(|_| MetaError::Abandoned)?
            .map_err(|_| MetaError::Abandoned)
    }

    /// Runs `work` on a consistent snapshot of everything committed so far.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<MetaError> + Send + 'static,
    {
        let slots = Arc::clone(&self.shared.reader_slots);
        let slot = slots
            .acquire_owned()
            .await
            .map_err(|_| E::from(MetaError::Abandoned))?;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let result = shared.read_now(work);
            drop(slot);
            result
        });
        done.await.map_err(|_| E::from(MetaError::Abandoned))?
    }
}

impl Shared {
    fn read_now<T, E: From<MetaError>>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self
            .idle_readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = snapshot(&mut connection, work);
        self.idle_readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        result
    }
}

fn snapshot<T, E: From<MetaError>>(
    connection: &mut Connection,
    work: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    // A transaction that only reads is ended by its drop.
    let transaction = connection.transaction().map_err(MetaError::from)?;
    work(&Reader(&transaction))
}

fn connect(path: &Path) -> Result<Connection, MetaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // `synchronous=FULL` flushes the log at each commit: what is acknowledged survives power loss.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
         PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}
