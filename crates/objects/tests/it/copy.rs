//! Copies within the store.

use sightline_objects::{
    Algorithm, Attributes, Conditions, Copied, Copy, CopySource, CopyTags, Error, Etags, NewUpload,
    Object, SMALL_BYTES_MAX, Tags, UploadRef, Wanted,
};
use sightline_ports::ByteRange;

use crate::world::{World, bucket, new, parse, read};
use sightline_objects::{Checksum, CompletedPart, Completion, Payload};

fn source(key: &str) -> CopySource {
    CopySource {
        bucket: bucket(),
        key: parse(key),
        version: None,
        conditions: Conditions::default(),
    }
}

pub(crate) fn plan(from: &str, to: &str) -> Copy {
    Copy {
        source: source(from),
        bucket: bucket(),
        key: parse(to),
        attributes: None,
        tags: CopyTags::Keep,
        checksum: None,
        condition: None,
    }
}

pub(crate) async fn copy(world: &World, copy: Copy) -> Result<Copied<Object>, Error> {
    let (write, read) = (world.permit("s3:PutObject"), world.permit("s3:GetObject"));
    world.objects.copy(&write, &read, copy).await
}

fn said(content_type: &str) -> Attributes {
    Attributes {
        content_type: Some(content_type.to_owned()),
        tags: Tags::from([("team".to_owned(), "fraud".to_owned())]),
        ..Attributes::default()
    }
}

#[tokio::test]
async fn a_copy_shares_its_blob_and_outlives_the_source() {
    let world = World::with_bucket().await;
    // Fewer bytes than these may lie with the metadata, and are copied.
    let bytes = vec![7; SMALL_BYTES_MAX + 1];
    let mut first = new("a");
    first.attributes = said("text/csv");
    world
        .try_put(first, Payload::whole(bytes.clone()))
        .await
        .unwrap();
    let copied = copy(&world, plan("a", "b")).await.unwrap().copy;
    assert_eq!(copied.attributes, said("text/csv"));
    assert_eq!(world.blob_count().await, 1);
    world.delete("a").await;
    world.objects.collect_orphans().await.unwrap();
    assert!(world.get("b").await == bytes);
    world.put("b", b"other").await;
    assert_eq!(world.blob_count().await, 1);
    world.delete("b").await;
    assert_eq!(world.blob_count().await, 0);
}

#[tokio::test]
async fn what_is_said_of_a_copy_can_be_replaced_and_must_be_onto_itself() {
    let world = World::with_bucket().await;
    let mut first = new("a");
    first.attributes = said("text/csv");
    world.try_put(first, Payload::whole("hello")).await.unwrap();
    let unchanged = copy(&world, plan("a", "a")).await;
    assert!(matches!(unchanged, Err(Error::CopyOntoItself(_))));
    let mut changed = plan("a", "a");
    changed.attributes = Some(Attributes {
        content_type: Some("text/plain".to_owned()),
        ..Attributes::default()
    });
    let copied = copy(&world, changed).await.unwrap().copy;
    assert_eq!(
        copied.attributes.content_type.as_deref(),
        Some("text/plain")
    );
    assert_eq!(
        copied.attributes.tags,
        said("").tags,
        "tags are a matter of their own"
    );
    assert_eq!(world.get("a").await, b"hello");
    assert_eq!(world.blob_count().await, 1);
}

#[tokio::test]
async fn a_copy_is_made_under_the_conditions_of_both_ends() {
    let world = World::with_bucket().await;
    let etag = world.put("a", b"hello").await.etag;
    let conditions = [
        (Some(etag.as_str()), None, true),
        (Some("other"), None, false),
        (None, Some("other"), true),
        (None, Some(etag.as_str()), false),
    ];
    for (if_match, if_none_match, made) in conditions {
        let mut wanted = plan("a", "b");
        wanted.source.conditions.if_match = if_match.map(Etags::parse);
        wanted.source.conditions.if_none_match = if_none_match.map(Etags::parse);
        match copy(&world, wanted).await {
            Ok(_) => assert!(made),
            Err(Error::PreconditionFailed { .. }) => assert!(!made),
            Err(other) => panic!("{other}"),
        }
    }
    let mut absent = plan("a", "b");
    absent.condition = Some(sightline_objects::WriteCondition::Absent);
    let refused = copy(&world, absent).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    let missing = copy(&world, plan("nobody", "b")).await;
    assert!(matches!(missing, Err(Error::KeyNotFound(_))));
}

#[tokio::test]
async fn a_copy_has_the_checksum_that_is_asked_for() {
    let world = World::with_bucket().await;
    world.put("a", b"hello").await;
    let mut wanted = plan("a", "b");
    wanted.checksum = Some(Algorithm::Crc32);
    let copied = copy(&world, wanted).await.unwrap().copy;
    let expected = Checksum::parse(Algorithm::Crc32, "NhCmhg==").unwrap();
    assert_eq!(copied.checksum, Some(expected));
    assert_eq!(world.blob_count().await, 2);
}

#[tokio::test]
async fn parts_are_copied_from_ranges_and_the_copy_of_an_object_in_parts_is_of_one_piece() {
    let world = World::with_bucket().await;
    let put = || world.permit("s3:PutObject");
    world.put("a", b"hello world").await;
    let new = NewUpload {
        bucket: bucket(),
        key: parse("k"),
        attributes: Attributes::default(),
        checksum: None,
    };
    let upload = world.objects.create_upload(&put(), new).await;
    let upload = UploadRef {
        bucket: bucket(),
        key: parse("k"),
        upload_id: upload.unwrap().id().to_owned(),
    };
    let part = async |start, end| {
        let range = Some(ByteRange { start, end });
        let (write, read) = (put(), world.permit("s3:GetObject"));
        let to = (upload.clone(), 1);
        let part = world
            .objects
            .copy_part(&write, &read, to, (source("a"), range));
        part.await
    };
    assert!(matches!(
        part(6, 12).await,
        Err(Error::CopyRange { size: 11 })
    ));
    assert!(matches!(
        part(11, 12).await,
        Err(Error::CopyRange { size: 11 })
    ));
    let stored = part(6, 11).await.unwrap().copy;
    assert_eq!(stored.size, 5);
    let completion = Completion {
        upload: upload.clone(),
        parts: vec![CompletedPart {
            number: 1,
            etag: stored.etag,
            checksum: None,
        }],
        condition: None,
        size: None,
        checksum: None,
    };
    let joined = world.objects.complete_upload(&put(), completion).await;
    assert!(joined.unwrap().etag.ends_with("-1"));
    let copied = copy(&world, plan("k", "l")).await.unwrap().copy;
    assert_eq!(copied.part_count, 0);
    // The MD5 of `world`, by hashlib.
    assert_eq!(copied.etag, "7d793037a0760186574b0282f2f435e7");
    world.delete("k").await;
    let found = world.find("l", &Wanted::default()).await.unwrap();
    assert_eq!(read(found).await, b"world");
}
