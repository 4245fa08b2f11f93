//! Pages against the naive list, and how many rows they read.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sightline_meta::{Meta, MetaOptions, Tx};
use sightline_ports::BlobId;
use sightline_types::Timestamp;

use super::*;
use crate::version::Rank;
use crate::{Attributes, Bucket, ObjectKey, Tags, Versioning};

fn object(key: &str) -> Object {
    Object {
        key: key.parse::<ObjectKey>().unwrap(),
        size: 1,
        etag: String::new(),
        modified_at: Timestamp::EPOCH,
        checksum: None,
        attributes: Attributes::default(),
        part_count: 0,
        version: None,
        rank: Rank::first(),
        content_id: BlobId::parse(&"a".repeat(32)).unwrap(),
    }
}

/// A page of keys in memory.
fn page_of(keys: &BTreeSet<String>, query: &ListQuery) -> Listing {
    let fetch = |from: &Place, before: Option<&str>, limit: u32| {
        let rows = keys.range(from.key.clone()..);
        let rows = rows.take_while(|key| before.is_none_or(|before| key.as_str() < before));
        Ok(rows.take(limit as usize).map(|key| object(key)).collect())
    };
    page(query, start(query), fetch).unwrap()
}

/// Every page, one after the other.
fn pages(keys: &BTreeSet<String>, mut query: ListQuery) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let listing = page_of(keys, &query);
        assert!(listing.entries.len() <= query.max as usize);
        names.extend(listing.entries.iter().map(|entry| match entry {
            Entry::Object(object) => object.key.to_string(),
            Entry::CommonPrefix(prefix) => format!("{prefix} and more"),
        }));
        query.after = match listing.next() {
            Some(position) => Some(position),
            None => return names,
        };
    }
}

/// The same list made in the obvious way.
fn naive(keys: &BTreeSet<String>, query: &ListQuery) -> Vec<String> {
    let mut names = Vec::new();
    for key in keys {
        let after = match &query.after {
            None => true,
            Some(Position::Key(after) | Position::Entry(after)) => after < key,
            Some(Position::Version(..) | Position::Upload(..)) => unreachable!(),
        };
        let Some(rest) = key.strip_prefix(&query.prefix).filter(|_| after) else {
            continue;
        };
        let delimiter = query.delimiter.as_deref().unwrap_or("");
        let name = match rest.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
            Some((before, _)) => format!("{}{before}{delimiter} and more", query.prefix),
            None => key.clone(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

/// Characters whose neighbourhood matters: both sides of the delimiter, the ends of each length
/// in UTF-8, the gap of the surrogates and the last character there is.
const CHARACTERS: [char; 14] = [
    'a',
    '/',
    'b',
    '.',
    '0',
    '\u{1}',
    '\u{7f}',
    '\u{80}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{ffff}',
    '\u{10000}',
    '\u{10fffe}',
    '\u{10ffff}',
];

fn text(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    let characters = prop::collection::vec(prop::sample::select(&CHARACTERS[..]), length);
    characters.prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn pages_in_a_row_are_the_naive_list(
        keys in prop::collection::btree_set(text(1..=6), 0..60),
        prefix in text(0..=2),
        delimiter in prop::option::of(prop::sample::select(vec!["/", "", "a/", "\u{10ffff}"])),
        after in prop::option::of(text(0..=4)),
        max in 1_u32..12,
    ) {
        let after = after.map(Position::Key);
        let query = ListQuery { prefix, delimiter: delimiter.map(str::to_owned), after, max };
        prop_assert_eq!(pages(&keys, query.clone()), naive(&keys, &query));
    }
}

fn keys(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn query(prefix: &str, delimiter: Option<&str>, max: u32) -> ListQuery {
    let delimiter = delimiter.map(str::to_owned);
    ListQuery {
        prefix: prefix.to_owned(),
        delimiter,
        after: None,
        max,
    }
}

#[test]
fn an_entry_is_passed_with_its_group_and_a_key_is_not() {
    let keys = keys(&["a/1", "a/2", "b"]);
    let after = |after| ListQuery {
        after: Some(after),
        ..query("", Some("/"), 10)
    };
    let as_entry = after(Position::Entry("a/1".to_owned()));
    assert_eq!(pages(&keys, as_entry), ["b"]);
    let as_key = after(Position::Key("a/1".to_owned()));
    assert_eq!(pages(&keys, as_key), ["a/ and more", "b"]);
}

#[test]
fn a_page_is_truncated_only_if_something_follows() {
    let keys = keys(&["a", "b/1", "b/2"]);
    let truncated = |query: &ListQuery| page_of(&keys, query).truncated;
    assert!(truncated(&query("", Some("/"), 1)));
    assert!(
        !truncated(&query("", Some("/"), 2)),
        "the group is the last entry"
    );
    assert!(truncated(&query("", None, 2)));
    assert!(!truncated(&query("", None, 3)));
    let none = page_of(&keys, &query("", None, 0));
    assert_eq!(
        none,
        Listing::default(),
        "a page of nothing ends the list, as on S3"
    );
}

/// A bucket `big` with 200,000 keys in 200 folders.
async fn big_bucket(meta: &Meta) -> BucketName {
    let name: BucketName = "big".parse().unwrap();
    let bucket = Bucket {
        name: name.clone(),
        owner: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        created_at: Timestamp::EPOCH,
        versioning: Versioning::Off,
        tags: Tags::new(),
    };
    let fill = move |tx: &mut Tx<'_>| {
        store::insert_bucket(tx, &bucket)?;
        for number in 0..200_000 {
            let key = format!("data/{:03}/{:04}", number / 1000, number % 1000);
            store::put_object(tx, &bucket.name, &object(&key))?;
        }
        Ok::<_, MetaError>(())
    };
    meta.write(fill).await.unwrap();
    name
}

#[tokio::test]
async fn a_page_reads_few_rows_more_than_it_shows() {
    let directory = tempfile::tempdir().unwrap();
    let meta = Meta::open(&MetaOptions {
        path: directory.path().join("meta.db"),
    })
    .unwrap();
    let bucket = big_bucket(&meta).await;
    let cases = [
        // (prefix, delimiter, after, entries, most rows)
        ("", None, None, 1000, 2400),
        ("", None, Some("data/150/0500"), 1000, 2400),
        ("data/199/", None, Some("data/199/0997"), 2, 8),
        ("", Some("/"), None, 1, 1),
        ("data/", Some("/"), None, 200, 200),
        ("data/", Some("/"), Some("data/150/"), 50, 51),
        ("data/7", None, None, 0, 0),
    ];
    for (prefix, delimiter, after, entries, rows_max) in cases {
        let after = after.map(|after| Position::Key(after.to_owned()));
        let query = ListQuery {
            after,
            ..query(prefix, delimiter, 1000)
        };
        let (asked, bucket) = (query.clone(), bucket.clone());
        let list = move |reader: &Reader<'_>| {
            let mut read = 0;
            let listing = page(&asked, start(&asked), |from, before, limit| {
                let rows = store::scan(reader, &bucket, &from.key, before, limit)?;
                read += rows.len();
                Ok(rows)
            })?;
            Ok::<_, MetaError>((listing, read))
        };
        let (listing, rows) = meta.read(list).await.unwrap();
        assert_eq!(listing.entries.len(), entries, "{query:?}");
        assert!(rows <= rows_max, "{rows} rows for {query:?}");
    }
}

#[tokio::test]
async fn the_database_seeks_instead_of_scanning() {
    let directory = tempfile::tempdir().unwrap();
    let meta = Meta::open(&MetaOptions {
        path: directory.path().join("meta.db"),
    })
    .unwrap();
    for (sql, table, range) in [
        (store::SCAN, "objects", "object_key>?"),
        (store::SCAN_TO, "objects", "object_key<?"),
        (store::SCAN_CURRENT, "objects", "object_key>?"),
        (
            store::SCAN_KEPT,
            "object_versions",
            "(object_key,version_rank)>(?,?)",
        ),
        (store::UPLOADS, "uploads", "(object_key,id)>(?,?)"),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let read = move |reader: &Reader<'_>| {
            let mut params = match sql.contains("LIMIT $3") {
                true => vec!["b".into(), "from".into(), 10_u32.into(), "before".into()],
                false => vec!["b".into(), "from".into(), "within".into(), 10_u32.into()],
            };
            params.truncate(if sql.contains("$4") { 4 } else { 3 });
            reader.query(&explain, &params, |row| row.get::<String>(3))
        };
        let plan = meta.read::<_, MetaError>(read).await.unwrap().join("; ");
        let search = format!("SEARCH {table} USING INDEX");
        assert!(plan.starts_with(&search), "{plan}");
        assert!(
            plan.contains(range) && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
