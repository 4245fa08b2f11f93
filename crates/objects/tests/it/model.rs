//! Random operations against a model small enough to be seen through, on a disk that fails now
//! and then: what failed has changed nothing, what succeeded is all there, and nothing leaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sightline_blob::DirBlobStore;
use sightline_meta::{MetaError, params};
use sightline_objects::{
    CompletedPart, Completion, Deletion, Entry, Error, ListQuery, NewUpload, Payload, UploadRef,
    VersionId, Versioning, Wanted,
};
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};
use sightline_testkit::store;

use crate::copy::{copy, plan};
use crate::world::{World, bucket, new, parse, read};

const SEEDS: u64 = 6;
const STEPS: usize = 60;
const KEYS: u64 = 4;

/// Larger objects have blobs of their own in half of the runs, smaller ones are rows.
const SMALL: usize = 300;

/// Blobs that cannot be stored or deleted while that is asked for.
#[derive(Debug)]
struct Flaky {
    inner: DirBlobStore,
    puts_fail: AtomicBool,
    deletes_fail: AtomicBool,
}

fn unless(failing: &AtomicBool) -> Result<(), BlobError> {
    if !failing.load(Ordering::SeqCst) {
        return Ok(());
    }
    let source = std::io::Error::other("on purpose");
    let action = "do anything";
    Err(BlobError::Store { action, source })
}

#[async_trait]
impl BlobStore for Flaky {
    async fn put(&self, id: &BlobId, bytes: BlobStream) -> Result<u64, BlobError> {
        let stored = self.inner.put(id, bytes).await?;
        // It may lie there all the same.
        unless(&self.puts_fail)?;
        Ok(stored)
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        self.inner.get(id, range).await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        unless(&self.deletes_fail)?;
        self.inner.delete(id).await
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        self.inner.list(after, max).await
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn key(&mut self) -> String {
        format!("k/{}", self.below(KEYS))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [1, 100, SMALL, SMALL + 1, 70_000][self.below(5) as usize];
        let byte = self.below(256) as u8;
        vec![byte; length]
    }
}

/// What a version holds; `None` for a delete marker.
type Held = Option<Vec<u8>>;

/// The versions of each key, the newest first.
#[derive(Debug, Default)]
struct Model {
    keys: BTreeMap<String, Vec<(String, Held)>>,
    versioning: Versioning,
}

impl Model {
    /// A version is written, under this name where the bucket keeps versions.
    fn write(&mut self, key: &str, id: Option<&VersionId>, held: Held) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let id = match self.versioning {
            Versioning::Enabled => id.expect("a version has a name").to_string(),
            Versioning::Off | Versioning::Suspended => {
                versions.retain(|(id, _)| id != "null");
                "null".to_owned()
            }
        };
        let gone = held.is_none() && self.versioning == Versioning::Off;
        if !gone {
            versions.insert(0, (id, held));
        }
    }

    fn current(&self, key: &str) -> Option<&Vec<u8>> {
        self.keys.get(key)?.first()?.1.as_ref()
    }

    fn remove(&mut self, key: &str, id: &str) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        versions.retain(|(version, _)| version != id);
    }
}

struct Run {
    world: World,
    blobs: Arc<Flaky>,
    model: Model,
    dice: Dice,
    failed: usize,
}

impl Run {
    async fn begin(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Flaky {
            inner: DirBlobStore::open(&directory.path().join("objects")).unwrap(),
            puts_fail: AtomicBool::new(false),
            deletes_fail: AtomicBool::new(false),
        });
        let mut world = World::over(directory, "us-east-1", blobs.clone()).await;
        if seed % 2 == 1 {
            world.objects = world.objects.clone().with_small_bytes_max(SMALL);
        }
        let permit = world.permit("s3:CreateBucket");
        let made = world.objects.create_bucket(&permit, &bucket(), None).await;
        made.unwrap();
        let run = Self {
            world,
            blobs,
            model: Model::default(),
            dice: Dice(seed),
            failed: 0,
        };
        run.sql("CREATE TABLE fault (armed BIGINT)").await;
        if !store::is_postgres() {
            for table in ["objects", "object_parts"] {
                run.sql(&format!(
                    "CREATE TRIGGER fail_{table} BEFORE INSERT ON {table}
                     WHEN EXISTS (SELECT 1 FROM fault)
                     BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
                ))
                .await;
            }
        }
        run
    }

    async fn sql(&self, sql: &str) {
        let sql = sql.to_owned();
        let done: Result<usize, MetaError> = self
            .world
            .meta
            .write(move |tx| tx.execute(&sql, params![]))
            .await;
        done.unwrap();
    }

    /// Decides what fails during the next step.
    async fn arm(&mut self) {
        let fault = self.dice.below(8);
        self.blobs.puts_fail.store(fault == 0, Ordering::SeqCst);
        self.blobs.deletes_fail.store(fault == 1, Ordering::SeqCst);
        if fault == 2 {
            self.sql("INSERT INTO fault (armed) VALUES (1)").await;
        }
    }

    async fn disarm(&self) {
        self.blobs.puts_fail.store(false, Ordering::SeqCst);
        self.blobs.deletes_fail.store(false, Ordering::SeqCst);
        self.sql("DELETE FROM fault").await;
    }

    async fn step(&mut self) {
        self.arm().await;
        let done = match self.dice.below(10) {
            0..4 => self.put().await,
            4 => self.copy().await,
            5 | 6 => self.delete().await,
            7 => self.delete_version().await,
            8 => self.upload().await,
            _ => self.set_versioning().await,
        };
        self.failed += usize::from(done.is_err());
        self.disarm().await;
        self.compare().await;
    }

    async fn put(&mut self) -> Result<(), Error> {
        let (key, bytes) = (self.dice.key(), self.dice.bytes());
        let payload = Payload::whole(bytes.clone());
        let object = self.world.try_put(new(&key), payload).await?;
        self.model.write(&key, object.version.as_ref(), Some(bytes));
        Ok(())
    }

    async fn copy(&mut self) -> Result<(), Error> {
        let (from, to) = (self.dice.key(), self.dice.key());
        let source = self.model.current(&from).cloned();
        let copied = copy(&self.world, plan(&from, &to)).await;
        let Some(bytes) = source.filter(|_| from != to) else {
            assert!(copied.is_err(), "{from} to {to}");
            return Ok(());
        };
        let object = copied?.copy;
        self.model.write(&to, object.version.as_ref(), Some(bytes));
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), Error> {
        let key = self.dice.key();
        let permit = self.world.permit("s3:DeleteObject");
        let deletion = Deletion::of(parse(&key));
        let bucket = bucket();
        let deleted = self.world.objects.delete(&permit, &bucket, deletion);
        let marker = deleted.await?.version;
        self.model.write(&key, marker.as_ref(), None);
        Ok(())
    }

    async fn delete_version(&mut self) -> Result<(), Error> {
        let key = self.dice.key();
        let versions = self.model.keys.get(&key).cloned().unwrap_or_default();
        let place = self.dice.below(versions.len().max(1) as u64) as usize;
        let Some((id, _)) = versions.get(place) else {
            return Ok(());
        };
        self.delete_for_good(&key, id).await?;
        self.model.remove(&key, id);
        Ok(())
    }

    async fn delete_for_good(&self, key: &str, id: &str) -> Result<(), Error> {
        let permit = self.world.permit("s3:DeleteObjectVersion");
        let deletion = Deletion {
            version: Some(id.parse().unwrap()),
            ..Deletion::of(parse(key))
        };
        let bucket = bucket();
        let deleted = self.world.objects.delete(&permit, &bucket, deletion);
        deleted.await.map(drop)
    }

    async fn upload(&mut self) -> Result<(), Error> {
        let (key, bytes) = (self.dice.key(), self.dice.bytes());
        let ends = self.dice.below(4);
        let (objects, permit) = (&self.world.objects, self.world.permit("s3:PutObject"));
        let plan = NewUpload {
            bucket: bucket(),
            key: parse(&key),
            attributes: Default::default(),
            checksum: None,
        };
        let begun = objects.create_upload(&permit, plan).await?;
        let upload = UploadRef {
            bucket: bucket(),
            key: parse(&key),
            upload_id: begun.id().to_owned(),
        };
        let payload = Payload::whole(bytes.clone());
        let part = objects
            .upload_part(&permit, upload.clone(), 1, payload)
            .await;
        let completed = match part {
            Ok(part) if ends != 0 => {
                let part = CompletedPart {
                    number: 1,
                    etag: part.etag,
                    checksum: part.checksum,
                };
                let completion = Completion {
                    upload: upload.clone(),
                    parts: vec![part],
                    condition: None,
                    size: None,
                    checksum: None,
                };
                objects.complete_upload(&permit, completion).await
            }
            Ok(_) => {
                let permit = self.world.permit("s3:AbortMultipartUpload");
                return objects.abort_upload(&permit, upload).await;
            }
            Err(error) => Err(error),
        };
        match completed {
            Ok(object) => {
                self.model.write(&key, object.version.as_ref(), Some(bytes));
                Ok(())
            }
            Err(error) => {
                // What could not be completed is still there to be given up.
                self.disarm().await;
                let permit = self.world.permit("s3:AbortMultipartUpload");
                objects.abort_upload(&permit, upload).await.unwrap();
                Err(error)
            }
        }
    }

    async fn set_versioning(&mut self) -> Result<(), Error> {
        let versioning = match self.dice.below(2) {
            0 => Versioning::Enabled,
            _ => Versioning::Suspended,
        };
        let permit = self.world.permit("s3:PutBucketVersioning");
        let objects = &self.world.objects;
        objects
            .set_versioning(&permit, &bucket(), versioning)
            .await?;
        self.model.versioning = versioning;
        Ok(())
    }

    /// The engine lists and holds what the model does, and nothing else.
    async fn compare(&self) {
        let model = &self.model;
        let current: Vec<&String> = model
            .keys
            .keys()
            .filter(|key| model.current(key).is_some())
            .collect();
        assert_eq!(self.world.keys().await.iter().collect::<Vec<_>>(), current);
        let query = ListQuery {
            max: 1_000,
            ..ListQuery::default()
        };
        let permit = self.world.permit("s3:ListBucketVersions");
        let bucket = bucket();
        let listing = self.world.objects.list_versions(&permit, &bucket, &query);
        let listing = listing.await.unwrap();
        let listed: Vec<(String, String, bool)> = listing
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Object(version) => {
                    let (key, id) = (version.key.to_string(), version.id.to_string());
                    (key, id, version.object.is_some())
                }
                Entry::CommonPrefix(prefix) => panic!("{prefix}"),
            })
            .collect();
        let expected: Vec<(String, String, bool)> = model
            .keys
            .iter()
            .flat_map(|(key, versions)| {
                let row = |(id, held): &(String, Held)| (key.clone(), id.clone(), held.is_some());
                versions.iter().map(row)
            })
            .collect();
        assert_eq!(listed, expected);
        for (key, versions) in &model.keys {
            for (id, held) in versions.iter().filter(|(_, held)| held.is_some()) {
                let wanted = Wanted {
                    version: Some(id.parse().unwrap()),
                    ..Wanted::default()
                };
                let permit = self.world.permit("s3:GetObjectVersion");
                let key = parse(key);
                let found = self.world.objects.get(&permit, &bucket, &key, &wanted);
                let bytes = read(found.await.unwrap()).await;
                assert!(Some(&bytes) == held.as_ref(), "{key} {id}");
            }
        }
    }

    /// Removes everything; then nothing is left, neither bytes nor rows.
    async fn end(self) {
        for (key, versions) in &self.model.keys {
            for (id, _) in versions {
                self.delete_for_good(key, id).await.unwrap();
            }
        }
        self.world.objects.collect_orphans().await.unwrap();
        let left = (
            self.world.blob_count().await,
            self.world.small_count().await,
        );
        assert_eq!(left, (0, 0));
    }
}

#[tokio::test]
async fn random_operations_on_a_failing_disk_do_what_a_model_does() {
    let mut failed = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut run = Run::begin(seed).await;
        for step in 0..STEPS {
            // What a failed test prints says where to look.
            println!("seed {seed}, step {step}");
            run.step().await;
        }
        failed.insert(run.failed);
        run.end().await;
    }
    assert_ne!(failed, BTreeSet::from([0]), "no fault was hit");
}
