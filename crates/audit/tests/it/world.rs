//! An engine on its own directory, with a clock that is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sightline_audit::{Audit, AuditOptions, Retention};
use sightline_blob::DirBlobStore;
use sightline_identity::{Identity, Permit};
use sightline_meta::outbox::{self, Lookup};
use sightline_meta::{Meta, MetaError, MetaOptions, params};
use sightline_objects::{
    Attributes, Deletion, ListQuery, NewObject, ObjectKey, Objects, Payload, Wanted,
};
use sightline_testkit::clock::VirtualClock;
use sightline_types::{
    Arn, Caller, Cx, Event, EventOutcome, OperationName, Recorded, RequestId, ResourceRef,
    Timestamp,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) meta: Meta,
    pub(crate) objects: Objects,
    pub(crate) identity: Identity,
    pub(crate) audit: Audit,
    options: AuditOptions,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::keeping(Retention::FOR_EVER).await
    }

    pub(crate) async fn keeping(retention: Retention) -> Self {
        let start: Timestamp = "2026-11-28T02:30:00Z".parse().unwrap();
        let clock = Arc::new(VirtualClock::at(start));
        let world = Self::open(tempfile::tempdir().unwrap(), clock, retention).await;
        // The trail begins, and with it the hour of the first digest.
        world.audit.deliver().await.unwrap();
        world
    }

    /// Opens the engine on a directory that another one may have left behind.
    pub(crate) async fn open(
        directory: tempfile::TempDir,
        clock: Arc<VirtualClock>,
        retention: Retention,
    ) -> Self {
        let path = directory.path().join("meta.sqlite");
        let meta = Meta::open(&MetaOptions { path }).unwrap();
        let region = "us-east-1".parse().unwrap();
        let secret_key = directory.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, Timestamp::EPOCH);
        let identity = identity.await.unwrap();
        let blobs = Arc::new(DirBlobStore::open(&directory.path().join("blobs")).unwrap());
        let objects = Objects::new(meta.clone(), blobs, clock.clone());
        let options = AuditOptions {
            meta: meta.clone(),
            identity: identity.clone(),
            objects: objects.clone(),
            clock: clock.clone(),
            keys_dir: directory.path().join("audit"),
            delivery_interval: Duration::from_secs(300),
            digest_interval: HOUR,
            retention,
        };
        let audit = Audit::new(options.clone()).unwrap();
        Self {
            directory,
            clock,
            meta,
            objects,
            identity,
            audit,
            options,
        }
    }

    /// The same after the server was killed.
    pub(crate) async fn reopen(self) -> Self {
        let (directory, clock) = (self.directory, Arc::clone(&self.clock));
        let retention = self.options.retention;
        drop((
            self.options,
            self.audit,
            self.objects,
            self.identity,
            self.meta,
        ));
        Self::open(directory, clock, retention).await
    }

    fn cx(&self, source: &'static str, name: &'static str) -> Cx {
        Cx {
            received_at: sightline_ports::Clock::now(&*self.clock),
            caller: Caller {
                arn: "arn:aws:sts::123456789012:assumed-role/R/alice".to_owned(),
                user_id: "AROA:alice".to_owned(),
                user_name: "alice".to_owned(),
                access_key_id: "AKIAEXAMPLE".to_owned(),
                session_began: None,
            },
            request_id: RequestId::random(),
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            source: "127.0.0.1".to_owned(),
            tls: None,
            signed: None,
            user_agent: "test".to_owned(),
            operation: OperationName {
                source,
                name,
                read_only: true,
            },
            parameters: None,
            recorded: Recorded::default(),
        }
    }

    /// Records that something was looked at, `count` times.
    pub(crate) async fn look(&self, count: usize) {
        for number in 0..count {
            let cx = Arc::new(self.cx("sagemaker.amazonaws.com", "DescribeTrainingJob"));
            let mut event = Event::of(&cx, EventOutcome::Success);
            event.resources.push(ResourceRef {
                kind: "AWS::SageMaker::TrainingJob".to_owned(),
                name: format!("arn:aws:sagemaker:us-east-1:1:training-job/job-{number}"),
            });
            self.meta.record(&event).await.unwrap();
            self.clock.advance(Duration::from_secs(1));
        }
    }

    pub(crate) fn permit(&self, action: &'static str) -> Permit {
        let cx = self.cx("s3.amazonaws.com", "Tamper");
        self.identity
            .platform_permit(&cx, action, Arn::s3("*", None))
    }

    /// The keys of the trail's bucket that contain `part`, in order.
    pub(crate) async fn keys(&self, part: &str) -> Vec<String> {
        let query = ListQuery {
            prefix: String::new(),
            delimiter: None,
            after: None,
            max: 1000,
        };
        let permit = self.permit("s3:ListBucket");
        let bucket = &self.audit.trail().bucket;
        let listing = self.objects.list(&permit, bucket, &query).await.unwrap();
        let keys = listing.entries.iter().map(|entry| entry.name().to_owned());
        keys.filter(|key| key.contains(part)).collect()
    }

    pub(crate) async fn get(&self, key: &str) -> (Vec<u8>, Attributes) {
        let permit = self.permit("s3:GetObject");
        let (bucket, key) = (
            &self.audit.trail().bucket,
            key.parse::<ObjectKey>().unwrap(),
        );
        let found = self
            .objects
            .get(&permit, bucket, &key, &Wanted::default())
            .await
            .unwrap();
        let attributes = found.selected.object.attributes.clone();
        let pieces: Vec<_> = found.bytes.try_collect().await.unwrap();
        (pieces.concat(), attributes)
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>, attributes: Attributes) {
        let permit = self.permit("s3:PutObject");
        let new = NewObject {
            bucket: self.audit.trail().bucket.clone(),
            key: key.parse().unwrap(),
            attributes,
            condition: None,
        };
        let payload = Payload::whole(bytes);
        self.objects.put(&permit, new, payload).await.unwrap();
    }

    pub(crate) async fn remove(&self, key: &str) {
        let permit = self.permit("s3:DeleteObject");
        let bucket = &self.audit.trail().bucket;
        let deletion = Deletion::of(key.parse().unwrap());
        self.objects
            .delete(&permit, bucket, deletion)
            .await
            .unwrap();
    }

    /// Every file of the trail's bucket.
    pub(crate) async fn files(&self) -> BTreeMap<String, (Vec<u8>, Attributes)> {
        let mut files = BTreeMap::new();
        for key in self.keys("").await {
            let file = self.get(&key).await;
            files.insert(key, file);
        }
        files
    }

    /// The texts of all events, the oldest first.
    pub(crate) async fn records(&self) -> Vec<String> {
        let wanted = Lookup {
            attribute: None,
            from: None,
            until: None,
            before_seq: None,
            limit: 10_000,
        };
        let read = move |reader: &sightline_meta::Reader<'_>| outbox::lookup(reader, &wanted);
        let page: Result<_, MetaError> = self.meta.read(read).await;
        let texts = page.unwrap().items.into_iter().map(|event| event.text);
        texts.rev().collect()
    }

    /// How long ago the event of this record was.
    pub(crate) fn age(&self, record: &str) -> Duration {
        let at: Timestamp = outbox::time_of(record).unwrap().parse().unwrap();
        sightline_ports::Clock::now(&*self.clock).since(at)
    }

    /// The engine of another server on the same store.
    pub(crate) fn another_audit(&self) -> Audit {
        Audit::new(self.options.clone()).unwrap()
    }

    /// Changes the tables as no engine does.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = sql.to_owned();
        let change = self.meta.write(move |tx| tx.execute(&sql, params![]));
        change.await.unwrap();
    }

    /// Computes the chain in the store anew, after another anchor.
    pub(crate) async fn chain_anew_from(&self, hash: [u8; 32]) {
        let change = self.meta.write(move |tx| {
            let mut head = outbox::pruned(tx)?;
            head.hash = hash;
            let anchor = "UPDATE event_head SET pruned_chain = $1";
            tx.execute(anchor, params![hex::encode(head.hash)])?;
            for block in outbox::blocks(tx, 0, 10_000)? {
                let records = block.numbered().map(|(_, record)| record);
                head = records.fold(head, |head, record| head.after(record));
                let chain = "UPDATE event_blocks SET chain = $2 WHERE last_seq = $1";
                tx.execute(chain, params![block.last_seq, hex::encode(head.hash)])?;
            }
            let end = "UPDATE event_head SET chain = $1";
            tx.execute(end, params![hex::encode(head.hash)])
        });
        let changed: Result<usize, MetaError> = change.await;
        assert_eq!(changed.unwrap(), 1);
    }

    /// What a verification finds, in words.
    pub(crate) async fn findings(&self) -> Vec<String> {
        let report = self.audit.verify().await.unwrap();
        report.findings.iter().map(ToString::to_string).collect()
    }
}
