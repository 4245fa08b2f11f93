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

/// Rows of a lookup beside those of the events on its page: one of each of three large runs and
/// fifteen small ones, the span of each, and the events that no run covers.
const ROWS_MAX: usize = 2 * (3 + 15) + 40;

#[tokio::test]
async fn a_lookup_reads_few_rows_however_many_events_there_are() {
    let count = 200_000;
    let (_dir, meta) = store_of(count).await;
    for number in [5, 60_000, 199_000] {
        let name = number.to_string();
        let arn = format!("arn:aws:x:::thing/{number}");
        for attribute in [Attribute::ResourceName(name), Attribute::ResourceName(arn)] {
            let (seqs, _, rows) = read(&meta, by(attribute)).await;
            assert_eq!(seqs, [number]);
            assert!(rows <= ROWS_MAX, "{rows} rows for {number}");
        }
        let id = id_of(&meta, number).await;
        let (seqs, _, rows) = read(&meta, by(Attribute::Id(id))).await;
        assert_eq!((seqs, rows), (vec![number], 1));
    }
    for attribute in [
        Attribute::Name("Verb1".to_owned()),
        Attribute::ReadOnly(true),
        Attribute::Source("s".to_owned()),
        Attribute::UserName("person-3".to_owned()),
        Attribute::AccessKeyId("AKIA".to_owned()),
        Attribute::ResourceKind("T".to_owned()),
    ] {
        // A page of the newest, one of the middle, and one between two times long ago.
        let all = by(attribute.clone());
        let middle = Lookup {
            before_seq: Some(100_000),
            ..all.clone()
        };
        let (from, until) = (
            Timestamp::from_millis(70_000_000),
            Timestamp::from_millis(70_500_000),
        );
        let timed = Lookup {
            from: Some(from),
            until: Some(until),
            ..all.clone()
        };
        for wanted in [all, middle, timed] {
            let (seqs, token, rows) = read(&meta, wanted.clone()).await;
            assert_eq!((seqs.len(), token.is_some()), (50, true), "{wanted:?}");
            assert!(rows <= ROWS_MAX + 51, "{rows} rows for {wanted:?}");
        }
    }
    for attribute in [
        Attribute::Name("Nothing".to_owned()),
        Attribute::ReadOnly(false),
        Attribute::UserName("nobody".to_owned()),
        Attribute::AccessKeyId("AKIB".to_owned()),
        Attribute::ResourceKind("U".to_owned()),
        Attribute::Source("t".to_owned()),
    ] {
        let (seqs, _, rows) = read(&meta, by(attribute)).await;
        assert!(seqs.is_empty() && rows <= ROWS_MAX, "{rows} rows");
    }
    spans_of_time_are_found(&meta, count).await;
}

async fn spans_of_time_are_found(meta: &Meta, count: i64) {
    for (from, until) in [
        (500, 520),
        (70_000, 70_020),
        (199_990, 199_999),
        (300_000, 400_000),
    ] {
        let wanted = Lookup {
            attribute: None,
            from: Some(Timestamp::from_millis(from * 1000)),
            until: Some(Timestamp::from_millis(until * 1000)),
            before_seq: None,
            limit: 50,
        };
        let (seqs, _, rows) = read(meta, wanted).await;
        let expected: Vec<i64> = (from..=until.min(count))
            .rev()
            .filter(|n| *n <= count)
            .collect();
        assert_eq!(seqs, if count < from { Vec::new() } else { expected });
        assert!(rows <= 20, "{rows} rows from {from} until {until}");
    }
}

async fn id_of(meta: &Meta, seq: i64) -> String {
    let wanted = Lookup {
        attribute: None,
        before_seq: Some(seq + 1),
        limit: 1,
        from: None,
        until: None,
    };
    let page = meta
        .read(move |reader| lookup(reader, &wanted))
        .await
        .unwrap();
    page.items[0].id.clone()
}
