//! Lookups over many events agree with looking at each, and read few rows.

use super::*;
use crate::outbox::index::index;
use crate::outbox::{Sealed, append};
use crate::{Meta, MetaOptions};

/// An event of one of seven people, in a second of its own, on a thing of its own.
fn sealed(number: i64) -> Sealed {
    let at = Timestamp::from_millis(number * 1000);
    let time = at.format("%Y-%m-%dT%H:%M:%SZ");
    let (person, verb) = (number % 7, number % 3);
    let record = format!(
        r#"{{"eventVersion":"1.11","eventID":"00000000-0000-8000-8000-000000000000","userIdentity":{{"arn":"arn:aws:sts::1:assumed-role/R/person-{person}","accessKeyId":"AKIA"}},"eventTime":"{time}","eventSource":"s","eventName":"Verb{verb}","readOnly":true,"resources":[{{"type":"T","ARN":"arn:aws:x:::thing/{number}"}}]}}"#
    );
    Sealed::as_stored(at, record)
}

async fn store_of(count: i64) -> (tempfile::TempDir, Meta) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meta.sqlite");
    let meta = Meta::open(&MetaOptions { path }).unwrap();
    for first in (1..=count).step_by(10_000) {
        let last = count.min(first + 9_999);
        let fill = meta.write(move |tx| append(tx, (first..=last).map(sealed).collect()));
        fill.await.unwrap();
    }
    while index(&meta).await.unwrap() {}
    (dir, meta)
}

fn by(attribute: Attribute) -> Lookup {
    Lookup {
        attribute: Some(attribute),
        from: None,
        until: None,
        before_seq: None,
        limit: 50,
    }
}

async fn read(meta: &Meta, wanted: Lookup) -> (Vec<i64>, Option<String>, usize) {
    let read = meta.read(move |reader| counted(reader, &wanted)).await;
    let (page, rows) = read.unwrap();
    let seqs = page.items.iter().map(|event| event.seq).collect();
    (seqs, page.next_token, rows)
}

#[tokio::test]
async fn paging_through_an_index_finds_what_looking_at_each_event_finds() {
    let count = 10_000;
    let (_dir, meta) = store_of(count).await;
    let (from, until) = (
        Timestamp::from_millis(2_000_000),
        Timestamp::from_millis(9_500_000),
    );
    for (wanted, fits) in [
        (
            by(Attribute::UserName("person-3".to_owned())),
            Box::new(|n: i64| n % 7 == 3) as Box<dyn Fn(i64) -> bool>,
        ),
        (
            by(Attribute::Name("Verb2".to_owned())),
            Box::new(|n| n % 3 == 2),
        ),
        (
            by(Attribute::ResourceName("thing/77".to_owned())),
            Box::new(|_| false),
        ),
        (
            by(Attribute::ResourceName("77".to_owned())),
            Box::new(|n| n == 77),
        ),
        (
            by(Attribute::ResourceName("arn:aws:x:::thing/9999".to_owned())),
            Box::new(|n| n == 9999),
        ),
        (
            Lookup {
                from: Some(from),
                until: Some(until),
                ..by(Attribute::ReadOnly(true))
            },
            Box::new(|n| (2_000..=9_500).contains(&n)),
        ),
    ] {
        let expected: Vec<i64> = (1..=count).rev().filter(|n| fits(*n)).collect();
        let (mut seen, mut query) = (Vec::new(), wanted.clone());
        loop {
            let (seqs, token, _) = read(&meta, query.clone()).await;
            seen.extend(seqs);
            let Some(token) = token else { break };
            query.before_seq = token.parse().ok();
        }
        assert_eq!(seen, expected, "{wanted:?}");
    }
}

#[tokio::test]
async fn a_lookup_reads_few_rows_however_many_events_there_are() {
    let count = 75_000;
    let (_dir, meta) = store_of(count).await;
    for number in [5, 60_000, 74_000] {
        let (seqs, _, rows) = read(&meta, by(Attribute::ResourceName(number.to_string()))).await;
        assert_eq!(seqs, [number]);
        // A large run, two small ones, the block of the event, and the tail that has no run.
        assert!(rows <= 5 + 40, "{rows} rows for {number}");
    }
    let (seqs, _, rows) = read(&meta, by(Attribute::UserName("nobody".to_owned()))).await;
    assert!(seqs.is_empty() && rows <= 45, "{rows} rows");
}
