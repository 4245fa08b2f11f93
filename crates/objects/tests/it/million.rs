//! A bucket of a million keys, listed in pages.

use std::time::{Duration, Instant};

use sightline_meta::MetaError;
use sightline_objects::{Entry, ListQuery, Listing, Position};

use crate::world::{World, bucket};

/// A thousand folders of a thousand keys each, put there below the engine.
const FILL: &str = "INSERT INTO objects (bucket, object_key, content_id, part_count, size, etag,
        modified_at, attributes)
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999999)
    SELECT 'bkt', 'folder-' || CAST(1000 + n / 1000 AS TEXT) || '/' || CAST(1000 + n % 1000 AS TEXT),
        '0000000000000000000000000' || CAST(1000000 + n AS TEXT), 0, 1, 'e', 0, '{}' FROM numbers";

/// Bar of one page; a thousand entries of a million. What grows with the bucket is far slower.
const PAGE_TIME_MAX: Duration = Duration::from_millis(500);

/// The page, and whether one of three attempts at it was fast: the host may have other work.
async fn list(world: &World, query: ListQuery) -> Listing {
    let mut took = Vec::new();
    loop {
        #[expect(clippy::disallowed_methods, reason = "the test is about real time")]
        let begun = Instant::now();
        let permit = world.permit("s3:ListBucket");
        let listing = world.objects.list(&permit, &bucket(), &query).await;
        took.push(begun.elapsed());
        if took.last() < Some(&PAGE_TIME_MAX) {
            return listing.unwrap();
        }
        assert!(took.len() < 3, "{query:?} took {took:?}");
    }
}

fn query(prefix: &str, delimiter: Option<&str>) -> ListQuery {
    ListQuery {
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        max: 1_000,
        ..ListQuery::default()
    }
}

#[tokio::test]
async fn a_page_of_a_million_keys_costs_as_much_as_it_holds() {
    let world = World::with_bucket().await;
    let filled: Result<_, MetaError> = world.meta.write(|tx| tx.execute(FILL, &[])).await;
    assert_eq!(filled.unwrap(), 1_000_000);
    // What PostgreSQL does by itself some time after such a change.
    let looked: Result<_, MetaError> = world.meta.write(|tx| tx.execute("ANALYZE", &[])).await;
    looked.unwrap();

    let first = list(&world, query("", None)).await;
    assert_eq!((first.entries.len(), first.truncated), (1_000, true));
    for folder in (1_000..2_000).step_by(97) {
        let after = format!("folder-{folder}/1999");
        let page = list(
            &world,
            ListQuery {
                after: Some(Position::Key(after)),
                ..query("", None)
            },
        )
        .await;
        let first = page.entries.first().map(Entry::name);
        let next = format!("folder-{}/1000", folder + 1);
        assert_eq!(first, Some(next.as_str()).filter(|_| folder < 1_999));
    }

    let folders = list(&world, query("", Some("/"))).await;
    assert_eq!((folders.entries.len(), folders.truncated), (1_000, false));
    assert!(matches!(&folders.entries[999], Entry::CommonPrefix(name) if name == "folder-1999/"));
    let inside = list(&world, query("folder-1500/", Some("/"))).await;
    assert_eq!((inside.entries.len(), inside.truncated), (1_000, false));
    let nothing = list(&world, query("folder-1500/9", Some("/"))).await;
    assert!(nothing.entries.is_empty());
}
