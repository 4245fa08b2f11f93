//! Opening the store, writing through the one writer, reading from a pool of snapshots.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use sightline_types::Event;
use tokio::sync::{Semaphore, oneshot};

use crate::load::Counters;
use crate::outbox::Sealed;
use crate::session::{Place, Session};
use crate::writer::{self, Job, Queue};
use crate::{MetaError, Reader, Tx, WriterLoad, postgres, sqlite};

/// Snapshots of a file that can be read at once; further readers wait for one.
const FILE_READERS_MAX: usize = 4;

/// Snapshots of a database server that one of ours reads at once. Each is a process over there,
/// and waits for the network more than for a processor.
const POSTGRES_READERS_MAX: usize = 8;

/// A store in a file.
#[derive(Clone, Debug)]
pub struct MetaOptions {
    /// The database file; it and its directory are created if absent.
    pub path: PathBuf,
}

/// A store in a PostgreSQL database, which several servers may share.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is: `postgres://user:password@host/database`, as libpq reads it.
    pub url: String,
    /// What this server is called among those that share the store; `None` if no other uses it.
    pub server: Option<String>,
}

impl std::fmt::Debug for PostgresOptions {
    /// The URL holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The metadata store. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Meta {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    server: Option<String>,
    queue: Queue,
    counters: Arc<Counters>,
    idle_readers: Mutex<Vec<Session>>,
    reader_slots: Arc<Semaphore>,
}

impl Meta {
    /// Opens a store in a file, bringing its schema up to date first.
    pub fn open(options: &MetaOptions) -> Result<Self, MetaError> {
        Self::start(Place::File(options.path.clone()), None, FILE_READERS_MAX)
    }

    /// Opens a store in a PostgreSQL database, bringing its schema up to date first.
    ///
    /// Blocks on the network for seconds at most, so it is called before requests are served.
    pub fn open_postgres(options: &PostgresOptions) -> Result<Self, MetaError> {
        let address = postgres::parse_url(&options.url)?;
        let place = Place::Postgres(Box::new(address));
        Self::start(place, options.server.clone(), POSTGRES_READERS_MAX)
    }

    fn start(place: Place, server: Option<String>, readers_max: usize) -> Result<Self, MetaError> {
        let (queue, jobs) = mpsc::sync_channel(writer::QUEUE_LENGTH_MAX);
        let (opened, hear) = mpsc::sync_channel(1);
        let writes_to = place.clone();
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        std::thread::Builder::new()
            .name("meta-writer".to_owned())
            .spawn(move || writer::run(writes_to, &opened, &jobs, &counted))
            .map_err(|error| MetaError::Commit(error.to_string()))?;
        hear.recv().map_err(|_| MetaError::Abandoned)??;
        Ok(Self {
            shared: Arc::new(Shared {
                place,
                server,
                queue,
                counters,
                idle_readers: Mutex::new(Vec::new()),
                reader_slots: Arc::new(Semaphore::new(readers_max)),
            }),
        })
    }

    /// What this server is called among those that may share the store; `None` when the store is
    /// its own.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.shared.server.as_deref()
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

    /// What the writer has to do and has done.
    #[must_use]
    pub fn load(&self) -> WriterLoad {
        self.shared.counters.load()
    }

    /// Writes the store's file anew, so that nothing is left in it of what was overwritten or
    /// removed. For a store that is not in use yet: it blocks all writing. A database server
    /// cleans up by itself.
    pub async fn scrub(&self) -> Result<(), MetaError> {
        let Place::File(path) = self.shared.place.clone() else {
            return Ok(());
        };
        tokio::task::spawn_blocking(move || sqlite::scrub(&path))
            .await
            .map_err(|_| MetaError::Abandoned)?
    }

    async fn enqueue(&self, job: Job) -> Result<(), MetaError> {
        self.shared.counters.arrived();
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
        let session = self.snapshot()?;
        let result = work(&Reader(&session));
        if session.rollback() {
            self.lock_idle().push(session);
        }
        result
    }

    /// A session that has begun to read. Idle ones may have lost their server since.
    fn snapshot(&self) -> Result<Session, MetaError> {
        loop {
            let idle = self.lock_idle().pop();
            let Some(session) = idle else { break };
            match session.begin_read() {
                Ok(()) => return Ok(session),
                Err(MetaError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let session = self.place.connect()?;
        session.begin_read()?;
        Ok(session)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle_readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
