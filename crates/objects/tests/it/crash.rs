//! What is left when a write is cut off at each of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use sightline_blob::DirBlobStore;
use sightline_objects::{Payload, Wanted};
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};
use sightline_testkit::blob::{id, source};
use tokio::sync::Notify;

use crate::world::{World, bucket, new};

/// A killed server leaves a blob without a row; the next start removes it, and only it.
#[tokio::test]
async fn a_blob_without_a_row_is_collected_at_the_next_start() {
    let world = World::with_bucket().await;
    world.put("kept", b"kept").await;
    world.blobs.put(&id('a'), source("orphan")).await.unwrap();
    let World {
        directory,
        meta,
        blobs,
        identity,
        objects,
    } = world;
    drop((meta, blobs, identity, objects));

    let world = World::open(directory, "us-east-1").await;
    assert_eq!(world.blob_count().await, 2);
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 1);
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
    assert_eq!(world.get("kept").await, b"kept");
    assert_eq!(world.blob_count().await, 1);
}

/// A client that hangs up drops its request wherever it stands.
#[tokio::test]
async fn a_dropped_write_leaves_the_object_as_it_was() {
    let world = World::with_bucket().await;
    world.put("k", b"before").await;
    let half = stream::iter([Ok("half".into())]).chain(stream::pending());
    let mut put = Box::pin(world.try_put(new("k"), Payload::new(half.boxed())));
    for _ in 0..50 {
        assert!(futures_util::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    drop(put);
    assert_eq!(world.get("k").await, b"before");
    world.objects.collect_orphans().await.unwrap();
    assert_eq!(world.blob_count().await, 1);
    assert_eq!(world.events().await, ["CreateBucket", "PutObject"]);
}

/// A directory of blobs that stops between storing a blob and saying so, and fails to delete.
#[derive(Debug)]
struct Halting {
    inner: DirBlobStore,
    halt: AtomicBool,
    stored: Notify,
    go_on: Notify,
    refuse_deletes: AtomicBool,
}

#[async_trait]
impl BlobStore for Halting {
    async fn put(&self, id: &BlobId, bytes: BlobStream) -> Result<u64, BlobError> {
        let size = self.inner.put(id, bytes).await?;
        if self.halt.load(Ordering::SeqCst) {
            self.stored.notify_one();
            self.go_on.notified().await;
        }
        Ok(size)
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        self.inner.get(id, range).await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        if self.refuse_deletes.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(BlobError::Store {
                action: "delete a blob",
                source,
            });
        }
        self.inner.delete(id).await
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        self.inner.list(after, max).await
    }
}

async fn halting() -> (World, Arc<Halting>) {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Halting {
        inner: DirBlobStore::open(&directory.path().join("objects")).unwrap(),
        halt: AtomicBool::new(false),
        stored: Notify::new(),
        go_on: Notify::new(),
        refuse_deletes: AtomicBool::new(false),
    });
    let world = World::over(directory, "us-east-1", Arc::clone(&blobs) as _).await;
    let permit = world.permit("s3:CreateBucket");
    world
        .objects
        .create_bucket(&permit, &bucket(), None)
        .await
        .unwrap();
    (world, blobs)
}

/// The collection runs beside requests: what is stored and not yet named is not its own.
#[tokio::test]
async fn a_blob_on_its_way_is_not_an_orphan() {
    let (world, blobs) = halting().await;
    blobs.halt.store(true, Ordering::SeqCst);
    let put = world.try_put(new("k"), Payload::whole("fresh"));
    let collect = async {
        blobs.stored.notified().await;
        assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
        assert_eq!(world.blob_count().await, 1);
        blobs.go_on.notify_one();
    };
    let (put, ()) = tokio::join!(put, collect);
    put.unwrap();
    assert_eq!(world.get("k").await, b"fresh");
}

/// A blob whose write was given up after it was stored is an orphan at once.
#[tokio::test]
async fn a_stored_blob_whose_request_is_gone_is_collected() {
    let (world, blobs) = halting().await;
    blobs.halt.store(true, Ordering::SeqCst);
    let mut put = Box::pin(world.try_put(new("k"), Payload::whole("fresh")));
    tokio::select! {
        _ = &mut put => panic!("the put must not end"),
        () = blobs.stored.notified() => {}
    }
    drop(put);
    assert_eq!(world.blob_count().await, 1);
    world.objects.collect_orphans().await.unwrap();
    assert_eq!(world.blob_count().await, 0);
    assert!(world.find("k", &Wanted::default()).await.is_err());
}

/// Freeing replaced bytes may fail; the write it belongs to has succeeded all the same.
#[tokio::test]
async fn bytes_that_cannot_be_deleted_now_are_deleted_later() {
    let (world, blobs) = halting().await;
    world.put("k", b"old").await;
    blobs.refuse_deletes.store(true, Ordering::SeqCst);
    world.put("k", b"new").await;
    assert_eq!(world.get("k").await, b"new");
    assert_eq!(world.blob_count().await, 2);
    blobs.refuse_deletes.store(false, Ordering::SeqCst);
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 1);
    assert_eq!(world.get("k").await, b"new");
}
