//! What is old goes once it is proved elsewhere, and what stays is a whole chain from there on.

use std::time::Duration;

use serde_json::Value;
use sightline_audit::{Attribute, EventsQuery, Recorded, Retention};

use crate::world::{HOUR, World};

const TWO_HOURS: Retention = Retention {
    time: Some(Duration::from_secs(2 * 3600)),
    bytes_max: None,
};

/// A world whose first events, of some hours, are delivered and signed for.
async fn world_of_hours(retention: Retention, hours: usize) -> World {
    let world = World::keeping(retention).await;
    for _ in 0..hours {
        world.look(20).await;
        world.clock.advance(HOUR);
        world.audit.deliver().await.unwrap();
    }
    world
}

async fn look_up(world: &World, attribute: Attribute) -> Vec<Recorded> {
    let wanted = EventsQuery {
        attribute: Some(attribute),
        from: None,
        until: None,
        limit: 1000,
        token: None,
    };
    let permit = world.permit("cloudtrail:LookupEvents");
    world.audit.lookup(&permit, wanted).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_retention_goes_and_the_rest_verifies() {
    let world = world_of_hours(TWO_HOURS, 6).await;
    let (files, before) = (world.files().await, world.records().await);
    let removed = world.audit.prune().await.unwrap();
    let old = |record: &&String| world.age(record) > HOUR * 2;
    assert_eq!(
        usize::try_from(removed).unwrap(),
        before.iter().filter(old).count()
    );
    assert_eq!(world.audit.prune().await.unwrap(), 0);

    let after = world.records().await;
    let kept = usize::try_from(removed).unwrap();
    assert_eq!(after[..after.len() - 1], before[kept..]);
    let told: Value = serde_json::from_str(after.last().unwrap()).unwrap();
    assert_eq!(told["eventName"], "RemoveDeliveredEvents");
    assert_eq!(told["requestParameters"]["lastSequenceNumber"], removed);
    assert_eq!(told["requestParameters"]["events"], removed);

    let report = world.audit.verify().await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let from = report.kept_from.unwrap();
    assert_eq!(from.seq, removed + 1);
    let first: Value = serde_json::from_str(&after[0]).unwrap();
    assert_eq!(
        from.at.unwrap().format("%Y-%m-%dT%H:%M:%SZ"),
        first["eventTime"].as_str().unwrap()
    );
    // Nothing that was delivered is touched.
    assert_eq!(world.files().await, files);
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_find_what_stays_and_nothing_else() {
    let world = world_of_hours(TWO_HOURS, 6).await;
    let name = || Attribute::Name("DescribeTrainingJob".to_owned());
    let all = look_up(&world, name()).await;
    let removed = world.audit.prune().await.unwrap();
    let kept: Vec<i64> = all
        .iter()
        .map(|e| e.seq)
        .filter(|seq| removed < *seq)
        .collect();
    let found: Vec<i64> = look_up(&world, name())
        .await
        .iter()
        .map(|e| e.seq)
        .collect();
    assert!(!kept.is_empty() && kept.len() < all.len());
    assert_eq!(found, kept);
    let (newest, oldest) = (all.first().unwrap(), all.last().unwrap());
    assert_eq!(
        look_up(&world, Attribute::Id(newest.id.clone()))
            .await
            .len(),
        1
    );
    assert_eq!(
        look_up(&world, Attribute::Id(oldest.id.clone()))
            .await
            .len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_signed_digest_covers_stays_whatever_its_age_and_size() {
    let tiny = Retention {
        time: TWO_HOURS.time,
        bytes_max: Some(1),
    };
    let world = World::keeping(tiny).await;
    world.look(20).await;
    world.clock.advance(HOUR * 9);
    assert_eq!(world.audit.prune().await.unwrap(), 0);
    // The log file is in the bucket, and the digest that lists it is not.
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF object_hash ON trail_digests
        BEGIN SELECT RAISE(ABORT, 'refused'); END";
    world.execute(refuse).await;
    assert!(world.audit.deliver().await.is_err());
    assert_eq!(world.keys("/CloudTrail/").await.len(), 1);
    assert_eq!(world.audit.prune().await.unwrap(), 0);
    assert_eq!(world.findings().await, Vec::<String>::new());
    world.execute("DROP TRIGGER refuse").await;
    world.audit.deliver().await.unwrap();
    assert!(20 <= world.audit.prune().await.unwrap());
    assert_eq!(world.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_that_stay_are_bounded() {
    let bytes_max = 60_000;
    let bounded = Retention {
        time: None,
        bytes_max: Some(bytes_max),
    };
    let world = world_of_hours(bounded, 8).await;
    let size = |records: Vec<String>| records.iter().map(String::len).sum::<usize>();
    let limit = usize::try_from(bytes_max).unwrap();
    assert!(limit < size(world.records().await));
    // Two servers on one store, of which the second sees what the first did.
    let other = world.another_audit();
    let (one, two) = tokio::join!(world.audit.prune(), other.prune());
    assert!(0 < one.unwrap() + two.unwrap());
    let left = size(world.records().await);
    assert!(limit * 8 / 10 < left && left <= limit, "{left}");
    let removals = look_up(&world, Attribute::Name("RemoveDeliveredEvents".to_owned())).await;
    assert_eq!(removals.len(), 1);
    assert_eq!(world.findings().await, Vec::<String>::new());
    // Both count on from here.
    world.look(20).await;
    world.clock.advance(HOUR);
    world.audit.deliver().await.unwrap();
    assert!(0 < other.prune().await.unwrap());
    assert_eq!(world.audit.prune().await.unwrap(), 0);
    assert_eq!(world.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_a_removal_leaves_everything() {
    let world = world_of_hours(TWO_HOURS, 6).await;
    let before = world.records().await;
    for table in ["event_blocks", "event_head"] {
        let what = if table == "event_blocks" {
            "DELETE"
        } else {
            "UPDATE"
        };
        let sql = format!(
            "CREATE TRIGGER killed BEFORE {what} ON {table}
             BEGIN SELECT RAISE(ABORT, 'killed'); END"
        );
        world.execute(&sql).await;
        assert!(world.audit.prune().await.is_err(), "{table}");
        world.execute("DROP TRIGGER killed").await;
    }
    let world = world.reopen().await;
    assert_eq!(world.records().await, before);
    assert_eq!(world.findings().await, Vec::<String>::new());
    assert!(0 < world.audit.prune().await.unwrap());
    assert_eq!(world.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tampering_after_a_removal_shows() {
    for (sql, expected) in [
        (
            "UPDATE event_head SET pruned_chain = replace(pruned_chain, '0', '1')",
            "these events are not the ones that were chained",
        ),
        (
            "UPDATE event_head SET pruned_seq = pruned_seq + 1",
            "these events are not the ones that were chained",
        ),
        (
            "DELETE FROM event_blocks WHERE last_seq = (SELECT min(last_seq) FROM event_blocks)",
            "events before these are missing or out of order",
        ),
        (
            "UPDATE event_blocks SET records = replace(records, 'us-east-1', 'us-east-2')
             WHERE last_seq = (SELECT min(last_seq) FROM event_blocks)",
            "these events are not the ones that were chained",
        ),
        (
            "UPDATE trail SET delivered_seq = 1",
            "events were removed that no log file has",
        ),
        (
            "DELETE FROM trail",
            "events were removed that no log file has",
        ),
    ] {
        let world = world_of_hours(TWO_HOURS, 5).await;
        assert!(0 < world.audit.prune().await.unwrap());
        assert_eq!(world.findings().await, Vec::<String>::new());
        world.execute(sql).await;
        let findings = world.findings().await;
        assert!(
            findings.iter().any(|f| f.ends_with(expected)),
            "{sql}: {findings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_was_moved_together_with_its_chain_shows_in_the_signed_files() {
    let world = world_of_hours(TWO_HOURS, 5).await;
    assert!(0 < world.audit.prune().await.unwrap());
    // Whoever can write every table makes another chain from another anchor.
    world.chain_anew_from([7; 32]).await;
    let findings = world.findings().await;
    let expected = "the store's events do not take up where its own lead";
    assert!(
        findings.iter().any(|f| f.ends_with(expected)),
        "{findings:?}"
    );
}
