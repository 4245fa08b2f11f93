//! The engine over real stores in a temporary directory, a clock to move, and scripts to run.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::json;
use sightline_blob::DirBlobStore;
use sightline_identity::{AccessKey, Identity, Permit};
use sightline_jobs::{CreateJob, Error, JobId, JobKind, JobSpec, JobView, Jobs, JobsOptions};
use sightline_meta::{Meta, MetaError, outbox};
use sightline_objects::{Attributes, Entry, ListQuery, NewObject, Objects, Payload, S3Uri, Wanted};
use sightline_ports::Clock;
use sightline_telemetry::{Direction, EventsQuery, Start, StreamOrder, StreamsQuery, Telemetry};
use sightline_testkit::clock::VirtualClock;
use sightline_testkit::scripted::ScriptedLauncher;
use sightline_types::{Arn, Cx, OperationName, Recorded, RequestId, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// When the clock of a world begins.
pub(crate) const START: i64 = 1_700_000_000_000;

/// How long, in real time, anything may take before it is taken to hang.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    directory: Arc<tempfile::TempDir>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) meta: Meta,
    pub(crate) identity: Identity,
    pub(crate) objects: Objects,
    telemetry: Telemetry,
    pub(crate) jobs: Jobs,
    shutdown: watch::Sender<bool>,
    reconciler: JoinSet<()>,
}

impl World {
    pub(crate) async fn new(launcher: ScriptedLauncher) -> Self {
        Self::with_room(launcher, 4).await
    }

    /// A world in which so many jobs run at once, with the bucket `bkt`.
    pub(crate) async fn with_room(launcher: ScriptedLauncher, running_max: usize) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(START)));
        let world = Self::open(directory, clock, launcher, running_max).await;
        let permit = world.permit("s3:CreateBucket");
        let bucket = "bkt".parse().unwrap();
        let made = world.objects.create_bucket(&permit, &bucket, None).await;
        made.unwrap();
        world
    }

    async fn open(
        directory: Arc<tempfile::TempDir>,
        clock: Arc<VirtualClock>,
        launcher: ScriptedLauncher,
        running_max: usize,
    ) -> Self {
        let meta = sightline_testkit::store::open(directory.path());
        Self::over(meta, directory, clock, (launcher, running_max), "jobs").await
    }

    /// The server `a`, which others may join; or why there is no database for that. It has room
    /// for one job.
    pub(crate) async fn shared(launcher: ScriptedLauncher) -> Result<Self, String> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(START)));
        let meta = sightline_testkit::store::open_as(directory.path(), "a")?;
        Ok(Self::over(meta, directory, clock, (launcher, 1), "a").await)
    }

    /// The server `b`, which shares everything with `a` but where jobs are staged.
    pub(crate) async fn joined(&self, launcher: ScriptedLauncher) -> Self {
        let (directory, clock) = (Arc::clone(&self.directory), Arc::clone(&self.clock));
        let meta = sightline_testkit::store::open_as(directory.path(), "b").unwrap();
        Self::over(meta, directory, clock, (launcher, 1), "b").await
    }

    async fn over(
        meta: Meta,
        directory: Arc<tempfile::TempDir>,
        clock: Arc<VirtualClock>,
        (launcher, running_max): (ScriptedLauncher, usize),
        jobs: &str,
    ) -> Self {
        let region = "us-east-1".parse().unwrap();
        let secret_key = directory.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, clock.now());
        let identity = identity.await.unwrap();
        let blobs = DirBlobStore::open(&directory.path().join("blobs")).unwrap();
        let objects = Objects::new(meta.clone(), Arc::new(blobs), clock.clone());
        let telemetry = Telemetry::new(meta.clone(), clock.clone());
        let jobs = Jobs::new(JobsOptions {
            meta: meta.clone(),
            identity: identity.clone(),
            objects: objects.clone(),
            telemetry: telemetry.clone(),
            launcher: Arc::new(launcher),
            clock: clock.clone(),
            root: directory.path().join(jobs),
            open_api_socket: Arc::new(|path| {
                std::fs::write(path, "a socket")?;
                Ok(Box::new(()))
            }),
            running_max,
        });
        let (shutdown, ending) = watch::channel(false);
        let mut reconciler = JoinSet::new();
        reconciler.spawn(jobs.clone().reconcile(ending));
        Self {
            directory,
            clock,
            meta,
            identity,
            objects,
            telemetry,
            jobs,
            shutdown,
            reconciler,
        }
    }

    /// Ends the engine wherever it is and opens another over what it leaves.
    pub(crate) async fn restarted(self, launcher: ScriptedLauncher) -> Self {
        let (directory, clock) = (Arc::clone(&self.directory), Arc::clone(&self.clock));
        self.shut_down().await;
        Self::open(directory, clock, launcher, 4).await
    }

    /// Ends the engine wherever it is.
    pub(crate) async fn shut_down(mut self) {
        self.shutdown.send_replace(true);
        soon(self.reconciler.join_next()).await.unwrap().unwrap();
    }

    pub(crate) fn permit(&self, action: &'static str) -> Permit {
        let cx = Cx {
            request_id: RequestId::random(),
            received_at: self.clock.now(),
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller: sightline_types::Caller {
                arn: "arn:aws:sts::123456789012:assumed-role/R/alice".to_owned(),
                user_id: "AROA:alice".to_owned(),
                user_name: "alice".to_owned(),
                access_key_id: "AKIAEXAMPLE".to_owned(),
                session_began: None,
            },
            source: "127.0.0.1".to_owned(),
            tls: None,
            signed: None,
            user_agent: "test".to_owned(),
            operation: OperationName {
                source: "sagemaker.amazonaws.com",
                name: action.rsplit(':').next().unwrap(),
                read_only: false,
            },
            parameters: None,
            recorded: Recorded::default(),
        };
        self.identity
            .platform_permit(&Arc::new(cx), action, Arn::s3("*", None))
    }

    pub(crate) async fn put(&self, uri: &str, bytes: &str) {
        let uri: S3Uri = uri.parse().unwrap();
        let new = NewObject {
            key: uri.key().unwrap(),
            bucket: uri.bucket,
            attributes: Attributes::default(),
            condition: None,
        };
        let payload = Payload::whole(bytes.to_owned());
        let permit = self.permit("s3:PutObject");
        self.objects.put(&permit, new, payload).await.unwrap();
    }

    pub(crate) async fn get(&self, uri: &str) -> Vec<u8> {
        let uri: S3Uri = uri.parse().unwrap();
        let permit = self.permit("s3:GetObject");
        let key = uri.key().unwrap();
        let whole = Wanted::default();
        let found = self.objects.get(&permit, &uri.bucket, &key, &whole);
        let pieces: Vec<_> = found.await.unwrap().bytes.try_collect().await.unwrap();
        pieces.concat()
    }

    /// The keys in the bucket `bkt`, in order.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let query = ListQuery {
            max: 1000,
            ..ListQuery::default()
        };
        let bucket = "bkt".parse().unwrap();
        let permit = self.permit("s3:ListBucket");
        let listing = self.objects.list(&permit, &bucket, &query).await.unwrap();
        listing
            .entries
            .iter()
            .map(Entry::name)
            .map(str::to_owned)
            .collect()
    }

    pub(crate) async fn try_create(&self, spec: JobSpec) -> Result<Arn, Error> {
        let permit = self.permit(match spec.kind {
            JobKind::Processing => "sagemaker:CreateProcessingJob",
            JobKind::Training => "sagemaker:CreateTrainingJob",
        });
        let job = CreateJob {
            document: json!({ "Name": spec.name }),
            spec,
            tags: Vec::new(),
        };
        self.jobs.create(&permit, job).await
    }

    pub(crate) async fn create(&self, spec: JobSpec) {
        self.try_create(spec).await.unwrap();
    }

    pub(crate) async fn stop(&self, id: &JobId) -> Result<(), Error> {
        let permit = self.permit(match id.kind {
            JobKind::Processing => "sagemaker:StopProcessingJob",
            JobKind::Training => "sagemaker:StopTrainingJob",
        });
        self.jobs.stop(&permit, id).await
    }

    pub(crate) async fn describe(&self, id: &JobId) -> JobView {
        let permit = self.permit(match id.kind {
            JobKind::Processing => "sagemaker:DescribeProcessingJob",
            JobKind::Training => "sagemaker:DescribeTrainingJob",
        });
        self.jobs.describe(&permit, id).await.unwrap()
    }

    /// The job once `reached` holds of it.
    pub(crate) async fn until(&self, id: &JobId, reached: impl Fn(&JobView) -> bool) -> JobView {
        soon(async {
            loop {
                let view = self.describe(id).await;
                if reached(&view) {
                    return view;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// The job once it has ended.
    pub(crate) async fn ended(&self, id: &JobId) -> JobView {
        self.until(id, |view| view.outcome.is_some()).await
    }

    /// The lines of one instance's log stream.
    pub(crate) async fn log(&self, id: &JobId, number: u32) -> Vec<String> {
        let group = id.kind.log_group().to_owned();
        let streams = StreamsQuery {
            group: group.clone(),
            prefix: format!("{}/algo-{number}-", id.name),
            order: StreamOrder::Name,
            descending: false,
            limit: 10,
            token: None,
        };
        let permit = self.permit("logs:DescribeLogStreams");
        let found = self
            .telemetry
            .streams(&permit, streams)
            .await
            .unwrap()
            .items;
        assert_eq!(found.len(), 1, "one instance has one stream");
        let wanted = EventsQuery {
            group,
            stream: found[0].name.clone(),
            start: Start::End(Direction::FromHead),
            from: None,
            until: None,
            limit: 10_000,
        };
        let permit = self.permit("logs:GetLogEvents");
        let page = self.telemetry.events(&permit, wanted).await.unwrap();
        page.events.into_iter().map(|event| event.message).collect()
    }

    /// Every event that touches a job, oldest first.
    pub(crate) async fn events(&self, id: &JobId) -> Vec<outbox::Recorded> {
        let lookup = outbox::Lookup {
            attribute: Some(outbox::Attribute::ResourceName(id.name.clone())),
            from: None,
            until: None,
            before_seq: None,
            limit: 1000,
        };
        let found: Result<_, MetaError> = self
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup))
            .await;
        let mut found = found.unwrap().items;
        found.reverse();
        found
    }

    /// The key that a job was given, if it is valid still.
    pub(crate) fn key(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.identity.key(id)
    }

    /// How many temporary keys there are, in the store and so after a restart.
    pub(crate) async fn temporary_keys(&self) -> i64 {
        let sql = "SELECT count(*) FROM access_keys WHERE access_key_id LIKE 'ASIA%'";
        let count = self
            .meta
            .read(move |reader| reader.query_one(sql, &[], |row| row.get::<i64>(0)));
        let count: Result<Option<i64>, MetaError> = count.await;
        count.unwrap().unwrap()
    }

    /// Returns once the directories of all jobs are gone.
    pub(crate) async fn until_nothing_is_staged(&self) {
        soon(async {
            while !self.staged().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// What stands where jobs are staged.
    pub(crate) fn staged(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.directory.path().join("jobs")) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// The answer, unless it takes so long that it seems never to come.
pub(crate) async fn soon<T>(eventual: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, eventual)
        .await
        .expect("it never came")
}
