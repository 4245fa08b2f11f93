//! Objects whose bytes lie with the metadata: durable by one commit, read by one look-up, gone
//! with their row, and no blobs at any time.

use futures_util::stream::{self, StreamExt};
use sightline_objects::{Error, Payload, PayloadError, RangeSpec, Wanted};

use crate::world::{World, new, read};

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
