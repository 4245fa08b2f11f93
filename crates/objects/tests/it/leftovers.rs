//! Uploads that nobody goes on with, and blobs of a store that several servers share.

use std::sync::Arc;
use std::time::Duration;

use sightline_blob::DirBlobStore;
use sightline_meta::MetaError;
use sightline_objects::{Error, NewUpload, Objects, Payload, UploadRef, Wanted};
use sightline_ports::{BlobStore, SystemClock};
use sightline_testkit::blob::{id, source};
use sightline_testkit::store;
use sightline_types::Timestamp;

use crate::world::{World, bucket, new, parse, read};

async fn begin(world: &World, key: &str) -> UploadRef {
    let new = NewUpload {
        bucket: bucket(),
        key: parse(key),
        attributes: Default::default(),
        checksum: None,
    };
    let permit = world.permit("s3:PutObject");
    let upload = world.objects.create_upload(&permit, new).await.unwrap();
    UploadRef {
        bucket: bucket(),
        key: parse(key),
        upload_id: upload.id().to_owned(),
    }
}

async fn part(world: &World, upload: &UploadRef, number: u32) -> Result<(), Error> {
    let permit = world.permit("s3:PutObject");
    let payload = Payload::whole("part");
    let stored = world
        .objects
        .upload_part(&permit, upload.clone(), number, payload);
    stored.await.map(|_| ())
}

/// Makes an upload look as if it had been begun at the beginning of time.
async fn age(world: &World, upload: &UploadRef) {
    let id = upload.upload_id.clone();
    let aged: Result<_, MetaError> = world
        .meta
        .write(move |tx| {
            let sql = "UPDATE uploads SET initiated_at = 0 WHERE id = $1";
            tx.execute(sql, sightline_meta::params![id.as_str()])
        })
        .await;
    assert_eq!(aged.unwrap(), 1);
}

#[tokio::test]
async fn old_uploads_end_with_their_parts_and_young_ones_go_on() {
    let world = World::with_bucket().await;
    let (old, young) = (begin(&world, "old").await, begin(&world, "young").await);
    for upload in [&old, &young] {
        part(&world, upload, 1).await.unwrap();
        part(&world, upload, 2).await.unwrap();
    }
    age(&world, &old).await;
    let permit = world.permit("s3:AbortMultipartUpload");
    let before = Timestamp::from_millis(1);
    let expire = || world.objects.expire_uploads(&permit, before);
    assert_eq!(expire().await.unwrap(), 1);
    assert_eq!(expire().await.unwrap(), 0);
    assert_eq!(world.blob_count().await, 2, "the young upload's parts");
    let late = part(&world, &old, 3).await;
    assert!(matches!(late, Err(Error::UploadNotFound(_))), "{late:?}");
    part(&world, &young, 3).await.unwrap();
    assert_eq!(world.blob_count().await, 3);
    let events = world.events().await;
    let ended = events.iter().filter(|name| *name == "AbortMultipartUpload");
    assert_eq!(ended.count(), 1, "{events:?}");
}

#[tokio::test]
async fn unfinished_uploads_end_with_their_bucket() {
    let world = World::with_bucket().await;
    let upload = begin(&world, "k").await;
    part(&world, &upload, 1).await.unwrap();
    let permit = world.permit("s3:DeleteBucket");
    let gone = world.objects.delete_bucket(&permit, &bucket()).await;
    gone.unwrap();
    assert_eq!(world.blob_count().await, 0);
    let permit = world.permit("s3:CreateBucket");
    let made = world.objects.create_bucket(&permit, &bucket(), None).await;
    made.unwrap();
    let late = part(&world, &upload, 2).await;
    assert!(matches!(late, Err(Error::UploadNotFound(_))), "{late:?}");
}

/// Two engines on one database and one directory of blobs, as two servers have them; `None` where
/// PostgreSQL is not installed.
async fn two() -> Option<(World, Objects)> {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = match (
        store::open_as(directory.path(), "a"),
        store::open_as(directory.path(), "b"),
    ) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(reason), _) | (_, Err(reason)) => {
            assert!(!store::is_postgres(), "this run needs it: {reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
    };
    let open = |server| -> Arc<dyn BlobStore> {
        let root = directory.path().join("objects");
        Arc::new(DirBlobStore::open_shared(&root, server).unwrap())
    };
    let other = Objects::new(b, open("b"), Arc::new(SystemClock));
    let blobs = open("a");
    let world = World::of(directory, "us-east-1", blobs, a).await;
    let permit = world.permit("s3:CreateBucket");
    let made = world.objects.create_bucket(&permit, &bucket(), None).await;
    made.unwrap();
    Some((world, other))
}

/// As if everything that is set aside had been so since the beginning of time.
async fn let_time_pass(world: &World) {
    let passed: Result<_, MetaError> = world
        .meta
        .write(|tx| tx.execute("UPDATE unnamed_blobs SET since = 0", &[]))
        .await;
    passed.unwrap();
}

#[tokio::test]
async fn blobs_of_a_shared_store_go_after_a_time_in_which_anybody_may_read_them() {
    let Some((world, other)) = two().await else {
        return;
    };
    world.put("kept", b"kept").await;
    let old = world.put("k", b"old").await;
    let permit = world.permit("s3:GetObject");
    let (bucket, all) = (bucket(), Wanted::default());
    let reading = other.get(&permit, &bucket, &old.key, &all);
    let reading = reading.await.unwrap();
    world.put("k", b"new").await;
    world.blobs.put(&id('a'), source("crashed")).await.unwrap();

    assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
    assert_eq!(
        world.blob_count().await,
        4,
        "set aside, and not yet deleted"
    );
    assert_eq!(other.collect_orphans().await.unwrap(), 0);
    assert_eq!(read(reading).await, b"old");

    let_time_pass(&world).await;
    assert_eq!(other.collect_orphans().await.unwrap(), 0, "one collects");
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 2);
    assert_eq!(world.blob_count().await, 2);
    assert_eq!(world.get("k").await, b"new");
    assert_eq!(world.get("kept").await, b"kept");
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
}

/// What was set aside may be named after all: a server sees the other's blob before its row.
#[tokio::test]
async fn a_blob_that_another_server_has_named_meanwhile_stays() {
    let Some((world, other)) = two().await else {
        return;
    };
    let permit = world.permit("s3:PutObject");
    let put = other.put(&permit, new("k"), Payload::whole("theirs"));
    put.await.unwrap();
    let named = world.blobs.list(None, 10).await.unwrap();
    let aside: Result<(), MetaError> = world
        .meta
        .write(move |tx| {
            for blob in named {
                let sql = "INSERT INTO unnamed_blobs (blob_id, since) VALUES ($1, 0)";
                tx.execute(sql, sightline_meta::params![blob.as_str()])?;
            }
            Ok(())
        })
        .await;
    aside.unwrap();
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
    assert_eq!(world.get("k").await, b"theirs");
    let left = world
        .meta
        .read(|reader| reader.query_one("SELECT COUNT(*) FROM unnamed_blobs", &[], |r| r.get(0)));
    assert_eq!(left.await.unwrap(), Some(0_i64), "and is forgotten");
}

#[tokio::test]
async fn the_time_that_blobs_are_kept_is_the_operators() {
    let Some((world, _)) = two().await else {
        return;
    };
    let patient = world.objects.clone().with_grace(Duration::from_secs(3_600));
    let hasty = world.objects.clone().with_grace(Duration::ZERO);
    world.blobs.put(&id('a'), source("crashed")).await.unwrap();
    assert_eq!(patient.collect_orphans().await.unwrap(), 0);
    assert_eq!(patient.collect_orphans().await.unwrap(), 0);
    // The database's clock counts milliseconds, and one must have gone by.
    let since = "UPDATE unnamed_blobs SET since = since - 1";
    let passed: Result<_, MetaError> = world.meta.write(move |tx| tx.execute(since, &[])).await;
    passed.unwrap();
    assert_eq!(hasty.collect_orphans().await.unwrap(), 1);
}
