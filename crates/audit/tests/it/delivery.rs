//! Log files and digests: whole, in order, once each, and never for their own sake.

use std::collections::HashSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::Value;
use sightline_meta::params;

use crate::world::{HOUR, World};

fn inflate(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// The identifiers of all events in log files, in the order of the digests that list them.
async fn delivered(world: &World) -> Vec<String> {
    let mut ids = Vec::new();
    for digest in world.keys("CloudTrail-Digest").await {
        let digest: Value = serde_json::from_str(&inflate(&world.get(&digest).await.0)).unwrap();
        for file in digest["logFiles"].as_array().unwrap() {
            let packed = world.get(file["s3Object"].as_str().unwrap()).await.0;
            let log: Value = serde_json::from_str(&inflate(&packed)).unwrap();
            let records = log["Records"].as_array().unwrap();
            ids.extend(
                records
                    .iter()
                    .map(|r| r["eventID"].as_str().unwrap().to_owned()),
            );
        }
    }
    ids
}

async fn recorded(world: &World) -> Vec<String> {
    let id = |text: String| {
        let record: Value = serde_json::from_str(&text).unwrap();
        record["eventID"].as_str().unwrap().to_owned()
    };
    world.records().await.into_iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_delivered_once_and_hours_without_any_have_digests() {
    let world = World::new().await;
    world.look(20).await;
    world.audit.deliver().await.unwrap();
    world.look(5).await;
    world.clock.advance(HOUR * 3);
    world.audit.deliver().await.unwrap();
    assert_eq!(world.keys("CloudTrail-Digest").await.len(), 3);
    assert_eq!(world.keys("/CloudTrail/").await.len(), 2);
    let (all, delivered) = (recorded(&world).await, delivered(&world).await);
    assert_eq!(delivered[..], all[..delivered.len()]);
    assert!(25 <= delivered.len(), "{}", delivered.len());
    assert_eq!(world.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_not_a_reason_to_deliver() {
    let world = World::new().await;
    world.look(3).await;
    for _ in 0..5 {
        world.audit.deliver().await.unwrap();
        world.clock.advance(HOUR);
    }
    assert_eq!(world.keys("/CloudTrail/").await.len(), 1);
    world.look(1).await;
    world.audit.deliver().await.unwrap();
    assert_eq!(world.keys("/CloudTrail/").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_noting_and_storing_files_leaves_each_once() {
    let mut world = World::new().await;
    for round in 0..6 {
        world.look(4).await;
        world.clock.advance(HOUR);
        // The files of this round are noted, but are not all in the bucket when the end comes.
        let table = ["event_blocks", "trail_files", "trail_digests"][round % 3];
        let refuse = format!(
            "CREATE TRIGGER crash BEFORE UPDATE ON {table}
             BEGIN SELECT RAISE(ABORT, 'killed'); END"
        );
        let refuse = if table == "event_blocks" {
            "CREATE TRIGGER crash BEFORE INSERT ON objects
             BEGIN SELECT RAISE(ABORT, 'killed'); END"
                .to_owned()
        } else {
            refuse
        };
        world
            .meta
            .write(move |tx| tx.execute(&refuse, params![]))
            .await
            .unwrap();
        assert!(world.audit.deliver().await.is_err(), "{table}");
        world = world.reopen().await;
        world
            .meta
            .write(|tx| tx.execute("DROP TRIGGER crash", params![]))
            .await
            .unwrap();
        world.audit.deliver().await.unwrap();
        assert_eq!(world.findings().await, Vec::<String>::new());
    }
    let delivered = delivered(&world).await;
    let once: HashSet<&String> = delivered.iter().collect();
    assert_eq!(once.len(), delivered.len());
    assert_eq!(delivered[..], recorded(&world).await[..delivered.len()]);
    assert_eq!(world.keys("CloudTrail-Digest").await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_signs_what_follows_and_the_old_one_stays_listed() {
    let world = World::new().await;
    world.look(2).await;
    world.clock.advance(HOUR);
    world.audit.deliver().await.unwrap();
    let new = world.audit.rotate_key().await.unwrap();
    world.look(2).await;
    world.clock.advance(HOUR);
    world.audit.deliver().await.unwrap();
    let mut signers = Vec::new();
    for digest in world.keys("CloudTrail-Digest").await {
        let digest: Value = serde_json::from_str(&inflate(&world.get(&digest).await.0)).unwrap();
        signers.push(
            digest["digestPublicKeyFingerprint"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!((signers.len(), &signers[1]), (2, &new));
    assert_ne!(signers[0], new);
    let start = "2026-11-28T00:00:00Z".parse().unwrap();
    let end = "2026-11-29T00:00:00Z".parse().unwrap();
    let permit = world.permit("cloudtrail:ListPublicKeys");
    let keys = world
        .audit
        .public_keys(&permit, Some(start), Some(end))
        .await
        .unwrap();
    assert_eq!(keys.len(), 2);
    let current = world.audit.public_keys(&permit, None, None).await.unwrap();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].fingerprint, new);
    assert_eq!(world.findings().await, Vec::<String>::new());
    let private = std::fs::read_dir(world.directory.path().join("audit")).unwrap();
    assert_eq!(private.count(), 1);
}
