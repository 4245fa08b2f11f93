//! What a bucket keeps of objects that are replaced or deleted.

use sightline_objects::{
    Deleted, Deletion, Entry, Error, ListQuery, Position, Version, VersionId, Versioning, Wanted,
};

use crate::world::{World, bucket, parse, read};

async fn world(versioning: Versioning) -> World {
    let world = World::with_bucket().await;
    set(&world, versioning).await;
    world
}

async fn set(world: &World, versioning: Versioning) {
    let permit = world.permit("s3:PutBucketVersioning");
    world
        .objects
        .set_versioning(&permit, &bucket(), versioning)
        .await
        .unwrap();
}

async fn get(world: &World, version: &VersionId) -> Result<Vec<u8>, Error> {
    let permit = world.permit("s3:GetObjectVersion");
    let wanted = Wanted {
        version: Some(version.clone()),
        ..Wanted::default()
    };
    let found = world
        .objects
        .get(&permit, &bucket(), &parse("k"), &wanted)
        .await;
    Ok(read(found?).await)
}

async fn delete(world: &World, version: Option<&VersionId>) -> Deleted {
    let permit = world.permit(match version {
        None => "s3:DeleteObject",
        Some(_) => "s3:DeleteObjectVersion",
    });
    let deletion = Deletion {
        version: version.cloned(),
        ..Deletion::of(parse("k"))
    };
    let deleted = world.objects.delete(&permit, &bucket(), deletion).await;
    deleted.unwrap()
}

async fn put(world: &World, bytes: &str) -> VersionId {
    world.put("k", bytes.as_bytes()).await.version.unwrap()
}

/// Pages of `max` one after the other: key, name, whether latest, whether a delete marker.
async fn list(world: &World, max: u32) -> Vec<(String, String, bool, bool)> {
    let permit = world.permit("s3:ListBucketVersions");
    let mut query = ListQuery {
        max,
        ..ListQuery::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = world
            .objects
            .list_versions(&permit, &bucket(), &query)
            .await;
        let page = page.unwrap();
        let versions: Vec<&Version> = page
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Object(version) => &**version,
                Entry::CommonPrefix(prefix) => panic!("{prefix}"),
            })
            .collect();
        rows.extend(versions.iter().map(|version| {
            let (key, id) = (version.key.to_string(), version.id.to_string());
            (key, id, version.latest, version.object.is_none())
        }));
        let last = versions.last().filter(|_| page.truncated);
        query.after = match last {
            Some(last) => Some(Position::Version(last.key.clone(), last.id.clone())),
            None => return rows,
        };
    }
}

#[tokio::test]
async fn what_is_replaced_can_be_read_by_its_version() {
    let world = world(Versioning::Enabled).await;
    let (one, two) = (put(&world, "one").await, put(&world, "two").await);
    assert_ne!(one, two);
    assert_eq!(world.get("k").await, b"two");
    assert_eq!(get(&world, &one).await.unwrap(), b"one");
    assert_eq!(get(&world, &two).await.unwrap(), b"two");
    let unknown: VersionId = "a".repeat(32).parse().unwrap();
    let missing = get(&world, &unknown).await;
    assert!(matches!(missing, Err(Error::VersionNotFound { .. })));
    assert_eq!(world.blob_count().await, 2);
    assert_eq!(world.keys().await, ["k"]);
}

#[tokio::test]
async fn a_deleted_object_lies_behind_its_marker_and_comes_back_without_it() {
    let world = world(Versioning::Enabled).await;
    let one = put(&world, "one").await;
    let deleted = delete(&world, None).await;
    assert!(deleted.marker);
    let marker = deleted.version.unwrap();
    assert!(world.keys().await.is_empty());
    let gone = world.find("k", &Wanted::default()).await;
    assert!(matches!(
        gone,
        Err(Error::DeleteMarker { named: false, .. })
    ));
    let named = get(&world, &marker).await;
    assert!(matches!(
        named,
        Err(Error::DeleteMarker { named: true, .. })
    ));
    assert_eq!(get(&world, &one).await.unwrap(), b"one");

    let again = delete(&world, None).await;
    assert!(again.marker && again.version.as_ref() != Some(&marker));
    delete(&world, again.version.as_ref()).await;
    assert!(
        world.keys().await.is_empty(),
        "the first marker still hides"
    );
    let removed = delete(&world, Some(&marker)).await;
    assert_eq!(
        removed,
        Deleted {
            version: Some(marker),
            marker: true
        }
    );
    assert_eq!(world.get("k").await, b"one");
}

#[tokio::test]
async fn the_newest_remaining_version_takes_the_place_of_the_one_deleted() {
    let world = world(Versioning::Enabled).await;
    let (one, two) = (put(&world, "one").await, put(&world, "two").await);
    let three = put(&world, "three").await;
    delete(&world, Some(&two)).await;
    assert_eq!(world.get("k").await, b"three");
    delete(&world, Some(&three)).await;
    assert_eq!(world.get("k").await, b"one");
    delete(&world, Some(&one)).await;
    assert!(world.keys().await.is_empty());
    assert_eq!(world.blob_count().await, 0);
    let nothing = delete(&world, Some(&one)).await;
    assert!(!nothing.marker, "deleting a version again is no error");
}

#[tokio::test]
async fn suspended_buckets_have_one_version_without_a_name() {
    let world = World::with_bucket().await;
    assert_eq!(world.put("k", b"before").await.version, None);
    set(&world, Versioning::Enabled).await;
    let named = put(&world, "named").await;
    assert_eq!(get(&world, &VersionId::null()).await.unwrap(), b"before");
    set(&world, Versioning::Suspended).await;
    assert_eq!(put(&world, "after").await, VersionId::null());
    assert_eq!(get(&world, &VersionId::null()).await.unwrap(), b"after");
    assert_eq!(put(&world, "again").await, VersionId::null());
    assert_eq!(world.blob_count().await, 2, "named and again");
    let marker = delete(&world, None).await;
    assert_eq!(marker.version, Some(VersionId::null()));
    assert_eq!(world.blob_count().await, 1);
    assert_eq!(get(&world, &named).await.unwrap(), b"named");
    let rows = list(&world, 1).await;
    let expected = [
        ("k".to_owned(), "null".to_owned(), true, true),
        ("k".to_owned(), named.to_string(), false, false),
    ];
    assert_eq!(rows, expected);
    delete(&world, Some(&VersionId::null())).await;
    assert_eq!(world.get("k").await, b"named");
}

#[tokio::test]
async fn versions_are_listed_newest_first_however_they_are_paged() {
    let world = world(Versioning::Enabled).await;
    let mut expected = Vec::new();
    for key in ["a", "k", "k/x"] {
        let mut of_key = Vec::new();
        for number in 0..3 {
            let object = world.put(key, &[number]).await;
            of_key.push((
                key.to_owned(),
                object.version.unwrap().to_string(),
                number == 2,
                false,
            ));
        }
        of_key.reverse();
        expected.extend(of_key);
    }
    for max in [1, 2, 3, 1000] {
        assert_eq!(list(&world, max).await, expected, "{max}");
    }
    let marker = delete(&world, None).await.version.unwrap();
    let at = expected.iter().position(|(key, ..)| key == "k").unwrap();
    expected[at].2 = false;
    expected.insert(at, ("k".to_owned(), marker.to_string(), true, true));
    for max in [1, 2, 1000] {
        assert_eq!(list(&world, max).await, expected, "{max}");
    }
}

#[tokio::test]
async fn a_bucket_goes_only_without_versions_and_orphans_are_not_among_them() {
    let world = world(Versioning::Enabled).await;
    let one = put(&world, "one").await;
    let marker = delete(&world, None).await.version.unwrap();
    assert_eq!(world.objects.collect_orphans().await.unwrap(), 0);
    assert_eq!(get(&world, &one).await.unwrap(), b"one");
    let permit = world.permit("s3:DeleteBucket");
    let refused = world.objects.delete_bucket(&permit, &bucket()).await;
    assert!(matches!(refused, Err(Error::BucketNotEmpty(_))));
    delete(&world, Some(&one)).await;
    let refused = world.objects.delete_bucket(&permit, &bucket()).await;
    assert!(matches!(refused, Err(Error::BucketNotEmpty(_))));
    delete(&world, Some(&marker)).await;
    world
        .objects
        .delete_bucket(&permit, &bucket())
        .await
        .unwrap();
}

#[tokio::test]
async fn many_are_deleted_at_once_and_what_is_refused_keeps_none_of_the_others() {
    let world = World::with_bucket().await;
    for key in ["a", "b", "c"] {
        world.put(key, b"x").await;
    }
    let deletion = |key: &str, etag: Option<&str>| {
        let condition = etag.map(|etag| {
            sightline_objects::WriteCondition::Match(sightline_objects::Etags::parse(etag))
        });
        let deletion = Deletion {
            condition,
            ..Deletion::of(parse(key))
        };
        (world.permit("s3:DeleteObject"), deletion)
    };
    let deletions = vec![
        deletion("a", None),
        deletion("b", Some("wrong")),
        deletion("nobody", None),
    ];
    let permit = world.permit("s3:DeleteObjects");
    let done = world
        .objects
        .delete_many(&permit, &bucket(), deletions)
        .await;
    let done = done.unwrap();
    assert!(matches!(
        done[..],
        [Ok(_), Err(Error::PreconditionFailed { .. }), Ok(_)]
    ));
    assert_eq!(world.keys().await, ["b", "c"]);
    assert_eq!(world.blob_count().await, 2);
    let events = world.events().await;
    assert_eq!(
        events
            .iter()
            .filter(|name| *name == "DeleteObjects")
            .count(),
        1
    );
}
