//! Objects whose bytes lie with the metadata: durable by one commit, read by one look-up, gone
//! with their row, and no blobs at any time.

use futures_util::stream::{self, StreamExt};
use sightline_objects::{
    Deletion, Error, NewObject, Payload, PayloadError, RangeSpec, Versioning, Wanted,
    WriteCondition,
};

use crate::world::{World, bucket, new, parse, read};

const SMALL: usize = 1000;

async fn world() -> World {
    let mut world = World::with_bucket().await;
    world.objects = world.objects.with_small_bytes_max(SMALL);
    world
}

#[tokio::test]
async fn few_bytes_are_rows_and_more_are_blobs() {
    let world = world().await;
    for (length, blobs) in [(0, 0), (1, 0), (SMALL, 0), (SMALL + 1, 1), (SMALL, 0)] {
        let bytes = vec![7; length];
        world.put("k", &bytes).await;
        assert!(world.get("k").await == bytes, "{length} bytes differ");
        assert_eq!(world.blob_count().await, blobs, "{length} bytes");
    }
    world.delete("k").await;
    assert_eq!(
        world.small_count().await,
        0,
        "a deleted object leaves no bytes"
    );
}

#[tokio::test]
async fn replaced_and_refused_bytes_leave_nothing() {
    let world = world().await;
    world.put("k", b"before").await;
    world.put("k", b"after").await;
    let mut wrong = Payload::whole(b"other".to_vec());
    wrong.md5 = Some([0; 16]);
    let refused = world.try_put(new("k"), wrong).await;
    assert!(
        matches!(refused, Err(Error::Payload(PayloadError::Md5))),
        "{refused:?}"
    );
    let broken = stream::iter([
        Ok("half".into()),
        Err(std::io::ErrorKind::BrokenPipe.into()),
    ]);
    let cut = world.try_put(new("k"), Payload::new(broken.boxed())).await;
    assert!(matches!(cut, Err(Error::Source(_))), "{cut:?}");
    assert_eq!(world.get("k").await, b"after");
    assert_eq!(
        (world.small_count().await, world.blob_count().await),
        (1, 0)
    );
}

#[tokio::test]
async fn ranges_of_few_bytes_are_cut_and_reads_outlive_their_object() {
    let world = world().await;
    world.put("k", b"0123456789").await;
    let wanted = Wanted {
        range: RangeSpec::parse("bytes=3-5"),
        ..Wanted::default()
    };
    let part = world.find("k", &wanted).await.unwrap();
    let whole = world.find("k", &Wanted::default()).await.unwrap();
    world.delete("k").await;
    assert_eq!(read(part).await, b"345");
    assert_eq!(read(whole).await, b"0123456789");
}

/// A row of bytes has one owner, so a copy must have its own.
#[tokio::test]
async fn a_copy_of_few_bytes_outlives_its_source() {
    let world = world().await;
    world.put("a", b"copied").await;
    crate::copy::copy(&world, crate::copy::plan("a", "b"))
        .await
        .unwrap();
    world.delete("a").await;
    world.objects.collect_orphans().await.unwrap();
    assert_eq!(world.get("b").await, b"copied");
    assert_eq!(
        (world.small_count().await, world.blob_count().await),
        (1, 0)
    );
}

/// A store that once kept less with the metadata, or more, reads what it has all the same.
#[tokio::test]
async fn a_changed_limit_loses_nothing() {
    let mut world = world().await;
    world.put("small", &[1; SMALL]).await;
    world.put("large", &[2; SMALL + 1]).await;
    for limit in [0, 10, SMALL + 1, 64 * 1024] {
        world.objects = world.objects.with_small_bytes_max(limit);
        assert!(world.get("small").await == [1; SMALL], "limit {limit}");
        assert!(world.get("large").await == [2; SMALL + 1], "limit {limit}");
    }
    world.objects.collect_orphans().await.unwrap();
    world.delete("small").await;
    world.delete("large").await;
    assert_eq!(
        (world.small_count().await, world.blob_count().await),
        (0, 0)
    );
}

/// What is kept of a replaced object keeps its bytes, which go when that version does.
#[tokio::test]
async fn few_bytes_of_a_version_last_as_long_as_the_version() {
    let world = world().await;
    let permit = world.permit("s3:PutBucketVersioning");
    let bucket = bucket();
    let enabled = Versioning::Enabled;
    let set = world.objects.set_versioning(&permit, &bucket, enabled);
    set.await.unwrap();
    let first = world.put("k", b"first").await.version;
    world.put("k", b"second").await;
    world.delete("k").await;
    assert_eq!(world.small_count().await, 2);
    let wanted = Wanted {
        version: first.clone(),
        ..Wanted::default()
    };
    let permit = world.permit("s3:GetObjectVersion");
    let key = parse("k");
    let found = world.objects.get(&permit, &bucket, &key, &wanted).await;
    assert_eq!(read(found.unwrap()).await, b"first");
    let permit = world.permit("s3:DeleteObjectVersion");
    let deletion = Deletion {
        version: first,
        ..Deletion::of(key)
    };
    let deleted = world.objects.delete(&permit, &bucket, deletion).await;
    deleted.unwrap();
    assert_eq!(world.small_count().await, 1);
}

/// A write whose transaction refuses it leaves neither bytes nor a hold that keeps others.
#[tokio::test]
async fn few_bytes_that_a_condition_refuses_are_nowhere() {
    let world = world().await;
    world.put("k", b"before").await;
    let only_if_absent = NewObject {
        condition: Some(WriteCondition::Absent),
        ..new("k")
    };
    let mut payload = Payload::whole("after");
    payload.length = Some(5);
    let refused = world.try_put(only_if_absent, payload).await;
    assert!(
        matches!(refused, Err(Error::PreconditionFailed { .. })),
        "{refused:?}"
    );
    assert_eq!(world.get("k").await, b"before");
    assert_eq!(
        (world.small_count().await, world.blob_count().await),
        (1, 0)
    );
}
