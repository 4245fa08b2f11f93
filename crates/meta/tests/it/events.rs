//! Events: chained, numbered without gaps, kept or dropped with their change, and found again.

use serde_json::json;
use sightline_meta::outbox::{self, Attribute, Head, Lookup, Prunable, Pruned, Recorded};
use sightline_meta::{Meta, MetaError, MetaOptions, Reader, params, settings};
use sightline_testkit::store;
use sightline_types::Timestamp;

use super::{event, open};

fn all() -> Lookup {
    Lookup {
        attribute: None,
        from: None,
        until: None,
        before_seq: None,
        limit: 1000,
    }
}

async fn found(meta: &Meta, wanted: Lookup) -> Vec<Recorded> {
    let page = meta.read(move |reader| outbox::lookup(reader, &wanted));
    page.await
        .map_err(|error: MetaError| error.to_string())
        .unwrap()
        .items
}

/// The head that the stored records give, and the one that is stored.
async fn heads(meta: &Meta) -> (Head, Head) {
    meta.read(|reader| {
        let mut head = Head::GENESIS;
        for block in outbox::blocks(reader, 0, 1000)? {
            for (seq, record) in block.numbered() {
                head = head.after(record);
                assert_eq!(head.seq, seq);
            }
            assert_eq!(
                (block.last_seq, block.chain),
                (head.seq, hex::encode(head.hash))
            );
        }
        Ok::<_, MetaError>((head, outbox::head(reader)?))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn every_event_is_linked_to_all_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    for round in 0..5 {
        let change = meta.write(move |tx| {
            // More than fit into one block.
            for _ in 0..round * 100 {
                tx.record(&event("Change", false))?;
            }
            Ok::<_, MetaError>(())
        });
        let read = event("Read", true);
        let (changed, recorded) = tokio::join!(change, meta.record(&read));
        changed.and(recorded).unwrap();
    }
    let (computed, stored) = heads(&meta).await;
    assert_eq!(computed, stored);
    assert_eq!(stored.seq, 1005);
}

#[tokio::test]
async fn a_change_whose_event_cannot_be_written_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| {
        let refuse = if store::is_postgres() {
            "ALTER TABLE event_blocks ADD CONSTRAINT \"no room for events\" CHECK (last_seq < 0)"
        } else {
            "CREATE TRIGGER full BEFORE INSERT ON event_blocks
            BEGIN SELECT RAISE(ABORT, 'no room for events'); END"
        };
        tx.execute(refuse, params![])
    })
    .await
    .unwrap();
    let outcome = meta
        .write(|tx| {
            settings::put(tx, "name", "value")?;
            tx.record(&event("Put", false))
        })
        .await;
    let Err(MetaError::Commit(reason)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.contains("no room for events"), "{reason}");
    let read = meta.record(&event("Read", true)).await;
    assert!(matches!(read, Err(MetaError::Commit(_))), "{read:?}");
    let kept = meta.read(|reader| settings::get(reader, "name")).await;
    assert_eq!(kept.unwrap(), None);
    assert_eq!(heads(&meta).await, (Head::GENESIS, Head::GENESIS));
}

#[tokio::test]
async fn events_of_an_older_store_are_chained_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let old = json!({
        "awsRegion": "us-east-1", "eventID": "5e9f2d51-3c1c-4d1e-8f5c-3a51a3b9e0aa",
        "eventName": "CreateTrainingJob", "eventSource": "sagemaker.amazonaws.com",
        "eventTime": "1970-01-01T00:00:01Z", "eventVersion": "1.11", "readOnly": false,
        "resources": [{ "ARN": "arn:aws:sagemaker:us-east-1:1:training-job/a", "type": "T" }],
        "userIdentity": { "accessKeyId": "AKIAOLD", "arn": "arn:aws:sts::1:assumed-role/R/bob" },
    });
    store_of_schema_5(&dir, &old.to_string(), 2_500);
    let meta = Meta::open(&MetaOptions {
        path: dir.path().join("meta.sqlite"),
    })
    .unwrap();
    let (computed, stored) = heads(&meta).await;
    assert_eq!((computed == stored, stored.seq), (true, 2_500));
    meta.record(&event("Next", true)).await.unwrap();
    let names = found(&meta, Lookup { limit: 2, ..all() }).await;
    assert_eq!((names[0].seq, names[0].name.as_str()), (2_501, "Next"));
    assert_eq!((names[1].seq, &names[1].record), (2_500, &old));
    for attribute in [
        Attribute::Id("5e9f2d51-3c1c-4d1e-8f5c-3a51a3b9e0aa".to_owned()),
        Attribute::UserName("bob".to_owned()),
        Attribute::ResourceName("a".to_owned()),
    ] {
        let wanted = Lookup {
            attribute: Some(attribute),
            limit: 5_000,
            ..all()
        };
        assert_eq!(found(&meta, wanted).await.len(), 2_500);
    }
}

#[tokio::test]
async fn the_oldest_events_go_in_whole_blocks_and_the_chain_holds_from_their_end_on() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    for _ in 0..20 {
        meta.record(&event("Read", true)).await.unwrap();
    }
    let bytes = meta.read(|reader| outbox::bytes_after(reader, 0)).await;
    let (bytes, counted) = bytes.unwrap();
    assert_eq!(counted, 20);
    let wanted = Prunable {
        after_seq: 0,
        until_seq: 7,
        before: Some(Timestamp::from_millis(2_000)),
        bytes: 0,
    };
    let prune = move || meta_prune(meta.clone(), wanted);
    let step = prune().await.unwrap();
    assert_eq!((step.anchor.seq, step.events), (7, 7));
    // Whoever decided by an anchor that has moved since removes nothing.
    assert_eq!(prune().await, None);
    let meta = open(&dir);
    let read = |reader: &Reader<'_>| {
        let mut head = outbox::pruned(reader)?;
        for block in outbox::blocks(reader, 0, 1000)? {
            let records = block.numbered().map(|(_, record)| record);
            head = records.fold(head, |head, record| head.after(record));
        }
        let size = outbox::bytes_after(reader, 0)?;
        Ok::<_, MetaError>((outbox::head(reader)? == head, outbox::oldest(reader)?, size))
    };
    let (whole, oldest, size) = meta.read(read).await.unwrap();
    assert!(whole);
    assert_eq!(oldest.unwrap().first_seq, 8);
    assert_eq!(size, (bytes - step.bytes, 20));
}

async fn meta_prune(meta: Meta, wanted: Prunable) -> Option<Pruned> {
    meta.write(move |tx| outbox::prune(tx, wanted))
        .await
        .unwrap()
}

/// Makes a store as the release before chained events left it, with `count` like events.
fn store_of_schema_5(dir: &tempfile::TempDir, record: &str, count: i64) {
    let store = rusqlite::Connection::open(dir.path().join("meta.sqlite")).unwrap();
    for sql in [
        include_str!("../../migrations/0001_core.sql"),
        include_str!("../../migrations/0002_identity.sql"),
        include_str!("../../migrations/0003_objects.sql"),
        include_str!("../../migrations/0004_telemetry.sql"),
        include_str!("../../migrations/0005_jobs.sql"),
        "CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY);
         INSERT INTO schema_versions VALUES (1), (2), (3), (4), (5);",
    ] {
        store.execute_batch(sql).unwrap();
    }
    let sql = "WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n LIMIT ?2)
        INSERT INTO events SELECT seq, 'id' || seq, 1000, 's', 'n', 0, 'u', 'k', ?1 FROM n";
    store
        .execute(sql, rusqlite::params![record, count])
        .unwrap();
}

#[tokio::test]
async fn identifiers_lead_to_their_event_and_times_count_to_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    for name in ["One", "Two", "Three"] {
        meta.record(&event(name, true)).await.unwrap();
    }
    let everything = found(&meta, all()).await;
    let two = Attribute::Id(everything[1].id.clone());
    let hits = found(
        &meta,
        Lookup {
            attribute: Some(two),
            ..all()
        },
    )
    .await;
    assert_eq!((hits.len(), hits[0].name.as_str()), (1, "Two"));
    let other = everything[1].id.replace("-8", "-9");
    let missing = Lookup {
        attribute: Some(Attribute::Id(other)),
        ..all()
    };
    assert!(found(&meta, missing).await.is_empty());
    for (from, until, expected) in [
        (1_999, 2_000, 3),
        (2_000, 3_000, 0),
        (0, 999, 0),
        (0, 1_000, 3),
    ] {
        let wanted = Lookup {
            from: Some(Timestamp::from_millis(from)),
            until: Some(Timestamp::from_millis(until)),
            ..all()
        };
        assert_eq!(found(&meta, wanted).await.len(), expected, "{from} {until}");
    }
}

#[tokio::test]
async fn an_event_and_its_change_commit_together_and_numbers_have_no_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    for name in ["One", "Two", "Undone", "Three"] {
        let outcome = meta
            .write(move |tx| {
                settings::put(tx, name, "x")?;
                tx.record(&event(name, name == "Two"))?;
                if name == "Undone" {
                    Err(MetaError::Abandoned)
                } else {
                    Ok(())
                }
            })
            .await;
        assert_eq!(outcome.is_err(), name == "Undone");
    }
    let wanted = Lookup {
        attribute: None,
        from: None,
        until: None,
        before_seq: None,
        limit: 2,
    };
    let query = wanted.clone();
    let page = meta
        .read(move |reader| outbox::lookup(reader, &query))
        .await
        .unwrap();
    let names: Vec<(i64, &str)> = page
        .items
        .iter()
        .map(|e| (e.seq, e.name.as_str()))
        .collect();
    assert_eq!(names, [(3, "Three"), (2, "Two")]);
    assert_eq!(page.items[0].record["requestParameters"], json!({ "a": 1 }));
    assert_eq!(
        page.items[0].resources,
        [("AWS::X".to_owned(), "arn:aws:x:::thing/Three".to_owned())]
    );
    let rest = Lookup {
        before_seq: page.next_token.and_then(|t| t.parse().ok()),
        ..wanted
    };
    let page = meta
        .read(move |reader| outbox::lookup(reader, &rest))
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(page.next_token.is_none());
}

#[tokio::test]
async fn events_are_found_by_each_attribute() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| {
        tx.record(&event("One", false))?;
        tx.record(&event("Two", true))
    })
    .await
    .unwrap();
    use Attribute as By;
    let cases = [
        (By::Name("One".to_owned()), 1),
        (By::ReadOnly(true), 1),
        (By::Source("sagemaker.amazonaws.com".to_owned()), 2),
        (By::UserName("alice".to_owned()), 2),
        (By::AccessKeyId("AKIANOBODY".to_owned()), 0),
        (By::ResourceKind("AWS::X".to_owned()), 2),
        (By::ResourceName("arn:aws:x:::thing/Two".to_owned()), 1),
        (By::ResourceName("Two".to_owned()), 1),
        (By::Id("none".to_owned()), 0),
    ];
    for (attribute, expected) in cases {
        let wanted = Lookup {
            attribute: Some(attribute.clone()),
            from: Some(Timestamp::EPOCH),
            until: Some(Timestamp::from_millis(1_000)),
            before_seq: None,
            limit: 50,
        };
        let page = meta
            .read(move |reader| outbox::lookup(reader, &wanted))
            .await
            .unwrap();
        assert_eq!(page.items.len(), expected, "{attribute:?}");
    }
}
