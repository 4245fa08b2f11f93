//! Many writers, copiers and deleters of the same key at once.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use sightline_objects::{
    Conditions, Copy, CopySource, CopyTags, Entry, Error, ListQuery, Payload, Version, VersionId,
    Versioning, Wanted,
};

use crate::world::{World, bucket, new, parse, read};

const WRITERS: u8 = 16;
const WRITES: u8 = 8;

/// Objects that the reader finds and reads meanwhile.
const LOOKS: usize = 40;

/// Large enough to be a blob of many pages, and one byte repeated, so that a torn one shows.
const SIZE: usize = 200_000;

async fn versioned() -> World {
    let world = World::with_bucket().await;
    let permit = world.permit("s3:PutBucketVersioning");
    let bucket = bucket();
    let set = world
        .objects
        .set_versioning(&permit, &bucket, Versioning::Enabled);
    set.await.unwrap();
    world
}

async fn versions(world: &World) -> Vec<Version> {
    let query = ListQuery {
        max: 1_000,
        ..ListQuery::default()
    };
    let permit = world.permit("s3:ListBucketVersions");
    let listing = world
        .objects
        .list_versions(&permit, &bucket(), &query)
        .await;
    let entries = listing.unwrap().entries.into_iter();
    let version = |entry| match entry {
        Entry::Object(version) => *version,
        Entry::CommonPrefix(prefix) => panic!("{prefix}"),
    };
    entries.map(version).collect()
}

fn one_byte(bytes: &[u8]) -> u8 {
    assert_eq!(bytes.len(), SIZE);
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn");
    bytes[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_of_a_contended_key_is_whole_and_one_is_the_newest() {
    let world = versioned().await;
    let write = async |writer: u8| {
        let mut written = HashMap::new();
        for number in 0..WRITES {
            let byte = writer * WRITES + number;
            let put = world
                .try_put(new("k"), Payload::whole(vec![byte; SIZE]))
                .await;
            written.insert(put.unwrap().version.unwrap(), byte);
        }
        written
    };
    let look = async {
        let mut seen = 0;
        while seen < LOOKS {
            match world.find("k", &Wanted::default()).await {
                Ok(found) => {
                    one_byte(&read(found).await);
                    seen += 1;
                }
                Err(Error::KeyNotFound(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (written, ()) = tokio::join!(join_all((0..WRITERS).map(write)), look);
    let written: HashMap<VersionId, u8> = written.into_iter().flatten().collect();
    let listed = versions(&world).await;
    assert_eq!(listed.len(), usize::from(WRITERS * WRITES));
    assert_eq!(listed.iter().filter(|version| version.latest).count(), 1);
    assert!(listed[0].latest, "the newest comes first");
    let names: HashSet<&VersionId> = listed.iter().map(|version| &version.id).collect();
    assert_eq!(names, written.keys().collect());
    for version in &listed {
        let wanted = Wanted {
            version: Some(version.id.clone()),
            ..Wanted::default()
        };
        let permit = world.permit("s3:GetObjectVersion");
        let (bucket, key) = (bucket(), parse("k"));
        let found = world.objects.get(&permit, &bucket, &key, &wanted);
        let byte = one_byte(&read(found.await.unwrap()).await);
        assert_eq!(Some(&byte), written.get(&version.id));
    }
    let newest = written.get(&listed[0].id);
    assert_eq!(Some(&one_byte(&world.get("k").await)), newest);
}

/// Of copies, puts and deletions of one key each succeeds or says that the key is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_puts_and_deletions_of_one_key_never_meet_halfway() {
    let world = World::with_bucket().await;
    world.put("k", &vec![0; SIZE]).await;
    let put = async |byte: u8, deletes: bool| {
        for number in 0..12 {
            world.put("k", &vec![byte; SIZE]).await;
            if deletes && number % 3 == 1 {
                world.delete("k").await;
            }
        }
    };
    let copy = async |to: &str| {
        let mut copies = 0;
        while copies < 10 {
            let source = CopySource {
                bucket: bucket(),
                key: parse("k"),
                version: None,
                conditions: Conditions::default(),
            };
            let copy = Copy {
                source,
                bucket: bucket(),
                key: parse(to),
                attributes: None,
                tags: CopyTags::Keep,
                checksum: None,
                condition: None,
            };
            let (put, get) = (world.permit("s3:PutObject"), world.permit("s3:GetObject"));
            match world.objects.copy(&put, &get, copy).await {
                Ok(_) => {
                    one_byte(&world.get(to).await);
                    copies += 1;
                }
                Err(Error::KeyNotFound(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::join!(put(1, false), put(2, true), copy("one"), copy("two"));
    world.put("k", b"end").await;
    world.objects.collect_orphans().await.unwrap();
    let contents = world.keys().await.len();
    assert!(world.blob_count().await <= contents, "nothing is left over");
}
