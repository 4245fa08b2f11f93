//! Leases: taken by one, kept while renewed, lost with time, and not judged in a hurry.

use sightline_meta::lease::{self, LEASE_MS, Lease};
use sightline_meta::{Meta, MetaError};
use sightline_types::Timestamp;

use super::open;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn take(meta: &Meta, server: &'static str, now: i64) -> Option<Lease> {
    let taken: Result<_, MetaError> = meta
        .write(move |tx| lease::take(tx, "work", server, at(now)))
        .await;
    taken.unwrap()
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_not_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let first = take(&meta, "a", 0).await.unwrap();
    assert_eq!((first.until, first.generation), (at(LEASE_MS), 1));
    assert_eq!(take(&meta, "b", LEASE_MS - 1).await, None);
    let renewed = take(&meta, "a", LEASE_MS - 1).await.unwrap();
    assert_eq!((renewed.since, renewed.generation), (at(0), 1));
    assert_eq!(take(&meta, "b", LEASE_MS).await, None);
    let lost = take(&meta, "b", 2 * LEASE_MS - 1).await.unwrap();
    assert_eq!((lost.since, lost.generation), (at(2 * LEASE_MS - 1), 2));
    assert_eq!(take(&meta, "a", 2 * LEASE_MS).await, None);
}

#[tokio::test]
async fn a_server_judges_others_only_after_it_has_lived_for_a_whole_lease() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let cases = [
        (0, false),
        (LEASE_MS - 1, false),
        (LEASE_MS, true),
        // After an outage of the database everyone is late.
        (3 * LEASE_MS, false),
        (4 * LEASE_MS - 1, false),
        (4 * LEASE_MS, true),
    ];
    for (now, judges) in cases {
        let told: Result<bool, MetaError> = meta
            .write(move |tx| lease::stay_alive(tx, "a", at(now)))
            .await;
        assert_eq!(told.unwrap(), judges, "at {now}");
    }
    let alive = meta.read(|reader| {
        let last = 4 * LEASE_MS;
        Ok::<_, MetaError>([
            lease::is_alive(reader, "a", at(last + LEASE_MS - 1))?,
            lease::is_alive(reader, "a", at(last + LEASE_MS))?,
            lease::is_alive(reader, "never", at(0))?,
        ])
    });
    assert_eq!(alive.await.unwrap(), [true, false, false]);
}

#[tokio::test]
async fn the_time_of_the_store_is_this_age() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let time = meta.read(|reader| reader.database_time()).await;
    let time = time.map_err(|error: MetaError| error.to_string()).unwrap();
    assert!(at(1_700_000_000_000) < time && time < at(10_000_000_000_000));
}
