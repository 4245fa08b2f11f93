//! The store as engines use it: a real database file in a temporary directory.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod events;
mod leases;
mod postgres;

use std::sync::Arc;

use serde_json::json;
use sightline_meta::resource::{self, Kind, List, Resource, ResourceError, SortBy};
use sightline_meta::{Meta, MetaError, MetaOptions, params, settings, tags};
use sightline_testkit::store;
use sightline_types::{
    Arn, Caller, Cx, Event, EventOutcome, OperationName, Recorded, RequestId, ResourceRef,
    SortOrder, Timestamp,
};

const JOB: Kind = Kind("training-job");

fn open(dir: &tempfile::TempDir) -> Meta {
    store::open(dir.path())
}

fn job(name: &str, at: i64, status: &str) -> Resource {
    Resource {
        name: name.to_owned(),
        arn: format!("arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}")
            .parse()
            .unwrap(),
        status: status.to_owned(),
        created_at: Timestamp::from_millis(at),
        modified_at: Timestamp::from_millis(at),
        document: json!({ "TrainingJobName": name }),
    }
}

fn all() -> List {
    List {
        name_contains: None,
        status: None,
        created_after: None,
        created_before: None,
        modified_after: None,
        modified_before: None,
        sort_by: SortBy::CreationTime,
        order: SortOrder::Ascending,
        limit: 100,
        next_token: None,
    }
}

fn event(name: &'static str, read_only: bool) -> Event {
    let cx = Cx {
        request_id: RequestId::random(),
        received_at: Timestamp::from_millis(1_000),
        account: "123456789012".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        caller: Caller {
            arn: "arn:aws:sts::123456789012:assumed-role/R/alice".to_owned(),
            user_id: "AROA:alice".to_owned(),
            user_name: "alice".to_owned(),
            access_key_id: "AKIAEXAMPLE".to_owned(),
            session_began: None,
        },
        source: "127.0.0.1".to_owned(),
        tls: None,
        signed: None,
        user_agent: "test".to_owned(),
        operation: OperationName {
            source: "sagemaker.amazonaws.com",
            name,
            read_only,
        },
        parameters: Some(Arc::new(json!({ "a": 1 }))),
        recorded: Recorded::default(),
    };
    let mut event = Event::of(&Arc::new(cx), EventOutcome::Success);
    event.resources.push(ResourceRef {
        kind: "AWS::X".to_owned(),
        name: format!("arn:aws:x:::thing/{name}"),
    });
    event
}

#[tokio::test]
async fn a_change_that_fails_leaves_nothing_and_others_in_its_group_stay() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let good = meta.write(|tx| settings::put(tx, "good", "1"));
    let bad = meta.write(|tx| {
        settings::put(tx, "bad", "1")?;
        Err::<(), _>(MetaError::Abandoned)
    });
    let panicking = meta.write(|tx| {
        settings::put(tx, "worse", "1")?;
        panic!("on purpose");
        #[expect(unreachable_code, reason = "gives the closure its type")]
        Ok::<(), MetaError>(())
    });
    let (good, bad, panicking) = tokio::join!(good, bad, panicking);
    assert!(good.is_ok());
    assert!(matches!(bad, Err(MetaError::Abandoned)));
    assert!(matches!(panicking, Err(MetaError::Abandoned)));
    let found = meta
        .read(|reader| {
            Ok::<_, MetaError>([
                settings::get(reader, "good")?,
                settings::get(reader, "bad")?,
                settings::get(reader, "worse")?,
            ])
        })
        .await
        .unwrap();
    assert_eq!(found, [Some("1".to_owned()), None, None]);
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let meta = open(&dir);
        meta.write(|tx| settings::put(tx, "account", "123456789012"))
            .await
            .unwrap();
    }
    let meta = open(&dir);
    let found = meta
        .read(|reader| settings::get(reader, "account"))
        .await
        .unwrap();
    assert_eq!(found.as_deref(), Some("123456789012"));
}

#[tokio::test]
async fn the_file_is_its_owners_alone_also_one_that_was_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meta.sqlite");
    let options = MetaOptions { path: path.clone() };
    let mode = |name: &str| {
        let file = dir.path().join(name).metadata().unwrap();
        file.permissions().mode() & 0o777
    };
    let meta = Meta::open(&options).unwrap();
    assert_eq!([mode("meta.sqlite"), mode("meta.sqlite-wal")], [0o600; 2]);
    drop(meta);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let meta = Meta::open(&options).unwrap();
    assert_eq!(mode("meta.sqlite"), 0o600);
    let put = meta.write(|tx| settings::put(tx, "a", "1"));
    put.await.unwrap();
    let load = meta.load();
    assert_eq!((load.waiting, load.commits, load.committed), (0, 1, 1));
}

#[tokio::test]
async fn a_store_of_a_later_release_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| {
        tx.execute(
            "INSERT INTO schema_versions (version) VALUES ($1)",
            params![9_999_i64],
        )
    })
    .await
    .unwrap();
    let again = store::try_open(dir.path());
    assert!(matches!(
        again,
        Err(MetaError::FromTheFuture { found: 9_999, .. })
    ));
}

#[tokio::test]
async fn parameters_are_bound_by_number_not_by_order() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let got: Option<(String, String)> = meta
        .read(|reader| {
            reader.query_one(
                "SELECT $2, $1 WHERE $1 <> $2",
                params!["one", "two"],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
        .map_err(|error: MetaError| error.to_string())
        .unwrap();
    assert_eq!(got, Some(("two".to_owned(), "one".to_owned())));
}

#[tokio::test]
async fn names_are_taken_once_and_the_holder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| resource::create(tx, JOB, &job("a", 1, "InProgress")))
        .await
        .unwrap();
    let again = meta
        .write(|tx| resource::create(tx, JOB, &job("a", 2, "InProgress")))
        .await;
    let Err(ResourceError::Exists(arn)) = again else {
        panic!("{again:?}")
    };
    assert!(arn.as_str().ends_with("training-job/a"));
    meta.write(|tx| {
        resource::create(
            tx,
            Kind("other"),
            &Resource {
                arn: "arn:aws:x:::other/a".parse().unwrap(),
                ..job("a", 1, "x")
            },
        )
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn lists_filter_sort_and_page_without_gaps_or_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| {
        for number in 0..25_i64 {
            let status = if number % 2 == 0 {
                "Completed"
            } else {
                "Failed"
            };
            // Several share a time, so that ties are broken by name.
            resource::create(
                tx,
                JOB,
                &job(&format!("job_{number:02}"), number / 3, status),
            )?;
        }
        Ok::<(), ResourceError>(())
    })
    .await
    .unwrap();
    let orders = [SortOrder::Ascending, SortOrder::Descending];
    let sorts = [
        SortBy::Name,
        SortBy::CreationTime,
        SortBy::LastModifiedTime,
        SortBy::Status,
    ];
    for (order, sort_by) in orders
        .iter()
        .flat_map(|o| sorts.iter().map(move |s| (*o, *s)))
    {
        let mut seen = Vec::new();
        let mut wanted = List {
            order,
            sort_by,
            limit: 4,
            ..all()
        };
        loop {
            let query = wanted.clone();
            let page = meta
                .read(move |reader| resource::list(reader, JOB, &query))
                .await
                .unwrap();
            assert!(page.items.len() <= 4);
            seen.extend(page.items.into_iter().map(|item| item.name));
            match page.next_token {
                Some(token) => wanted.next_token = Some(token),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(
            (seen.len(), sorted.len()),
            (25, 25),
            "{sort_by:?} {order:?}"
        );
        if sort_by == SortBy::Name {
            let first = if order == SortOrder::Ascending {
                "job_00"
            } else {
                "job_24"
            };
            assert_eq!(seen[0], first);
        }
    }
}

#[tokio::test]
async fn list_filters_take_text_literally_and_bounds_exclusively() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    meta.write(|tx| {
        resource::create(tx, JOB, &job("a_b", 10, "Completed"))?;
        resource::create(tx, JOB, &job("axb", 20, "Failed"))
    })
    .await
    .unwrap();
    let cases = [
        (
            List {
                name_contains: Some("A_".to_owned()),
                ..all()
            },
            vec!["a_b"],
        ),
        (
            List {
                name_contains: Some("%".to_owned()),
                ..all()
            },
            vec![],
        ),
        (
            List {
                status: Some("Failed".to_owned()),
                ..all()
            },
            vec!["axb"],
        ),
        (
            List {
                created_after: Some(Timestamp::from_millis(10)),
                ..all()
            },
            vec!["axb"],
        ),
        (
            List {
                created_before: Some(Timestamp::from_millis(20)),
                ..all()
            },
            vec!["a_b"],
        ),
        (
            List {
                modified_after: Some(Timestamp::from_millis(20)),
                ..all()
            },
            vec![],
        ),
    ];
    for (wanted, expected) in cases {
        let text = format!("{wanted:?}");
        let page = meta
            .read(move |reader| resource::list(reader, JOB, &wanted))
            .await
            .unwrap();
        let names: Vec<String> = page.items.into_iter().map(|item| item.name).collect();
        assert_eq!(names, expected, "{text}");
    }
}

#[tokio::test]
async fn tokens_of_other_lists_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    for token in ["", "!", "bm90anNvbg", "WyJhIiwiYiJd"] {
        let wanted = List {
            next_token: Some(token.to_owned()),
            ..all()
        };
        let page = meta
            .read(move |reader| resource::list(reader, JOB, &wanted))
            .await;
        assert!(
            matches!(page, Err(ResourceError::InvalidToken)),
            "{token:?}"
        );
    }
}

#[tokio::test]
async fn tags_replace_by_key_and_stop_at_fifty() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(&dir);
    let arn: Arn = "arn:aws:x:::thing/a".parse().unwrap();
    let pairs: Vec<(String, String)> = (0..50)
        .map(|n| (format!("k{n:02}"), "v".to_owned()))
        .collect();
    let owner = arn.clone();
    meta.write(move |tx| tags::put(tx, &owner, &pairs))
        .await
        .unwrap();
    let owner = arn.clone();
    let one_more = [("k50".to_owned(), "v".to_owned())];
    let refused = meta.write(move |tx| tags::put(tx, &owner, &one_more)).await;
    assert!(matches!(refused, Err(tags::TagError::TooMany(51))));
    let owner = arn.clone();
    let change = [("k00".to_owned(), "new".to_owned())];
    meta.write(move |tx| tags::put(tx, &owner, &change))
        .await
        .unwrap();
    let owner = arn.clone();
    meta.write(move |tx| tags::delete(tx, &owner, &["k01".to_owned(), "none".to_owned()]))
        .await
        .unwrap();
    let found = meta
        .read(move |reader| tags::list(reader, &arn, "", 100))
        .await
        .unwrap();
    assert_eq!(found.len(), 49);
    assert_eq!(found[0], ("k00".to_owned(), "new".to_owned()));
}
