//! Lists over the wire.

use crate::world::World;

async fn filled(keys: &[&str]) -> World {
    let world = World::with_bucket().await;
    for key in keys {
        world
            .send(&format!("PUT /bkt/{key}"), &[], "x")
            .await
            .assert_ok();
    }
    world
}

const TREE: [&str; 6] = [
    "a.csv",
    "in/1.csv",
    "in/2.csv",
    "in/deep/3.csv",
    "out/1.csv",
    "z.csv",
];

#[tokio::test]
async fn both_versions_show_keys_and_groups() {
    let world = filled(&TREE).await;
    for version in ["", "list-type=2&"] {
        let list = async |query: &str| {
            world
                .send(&format!("GET /bkt?{version}{query}"), &[], "")
                .await
                .assert_ok()
        };
        let all = list("").await;
        assert_eq!(all.elements("Key"), TREE);
        assert_eq!(all.element("IsTruncated"), Some("false"));
        assert_eq!(
            (all.element("Name"), all.element("MaxKeys")),
            (Some("bkt"), Some("1000"))
        );
        assert_eq!(all.element("Size"), Some("1"));
        assert_eq!(all.element("StorageClass"), Some("STANDARD"));
        // The MD5 of `x`.
        assert_eq!(all.etags()[0], "\"9dd4e461268c8034f5c8564e155c67a6\"");
        assert_eq!(
            all.element("ID").is_some(),
            version.is_empty(),
            "v1 always shows the owner"
        );

        let top = list("delimiter=/").await;
        assert_eq!(top.elements("Key"), ["a.csv", "z.csv"]);
        assert_eq!(groups(top.text()), ["in/", "out/"]);
        let inside = list("delimiter=/&prefix=in/").await;
        assert_eq!(inside.elements("Key"), ["in/1.csv", "in/2.csv"]);
        assert_eq!(groups(inside.text()), ["in/deep/"]);
        assert_eq!(list("prefix=none").await.elements("Key"), [""; 0]);
        assert_eq!(
            list("max-keys=0").await.element("IsTruncated"),
            Some("false")
        );
    }
    let owned = world
        .send("GET /bkt?list-type=2&fetch-owner=true", &[], "")
        .await;
    assert_eq!(owned.element("ID"), Some(world.account()));
}

fn groups(text: &str) -> Vec<&str> {
    let pieces = text.split("<CommonPrefixes><Prefix>").skip(1);
    pieces
        .map(|piece| piece.split('<').next().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let world = filled(&TREE).await;
    for (query, entries) in [("", 6), ("&delimiter=/", 4), ("&prefix=in/&delimiter=/", 3)] {
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let line = format!("GET /bkt?list-type=2&max-keys=1{query}{token}");
            let page = world.send(&line, &[], "").await.assert_ok();
            assert_eq!(page.element("KeyCount"), Some("1"), "{line}");
            seen.extend(page.elements("Key").into_iter().map(str::to_owned));
            seen.extend(groups(page.text()).into_iter().map(str::to_owned));
            match page.element("NextContinuationToken") {
                Some(next) => token = format!("&continuation-token={next}"),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((seen.len(), &seen), (entries, &sorted), "{query}");
    }
    let first = world
        .send("GET /bkt?delimiter=/&max-keys=2", &[], "")
        .await
        .assert_ok();
    assert_eq!(first.element("NextMarker"), Some("in/"));
    let rest = world
        .send("GET /bkt?delimiter=/&max-keys=2&marker=in/", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        (groups(rest.text()), rest.elements("Key")),
        (vec!["out/"], vec!["z.csv"])
    );
    let plain = world.send("GET /bkt?max-keys=2", &[], "").await.assert_ok();
    assert_eq!(
        (plain.element("IsTruncated"), plain.element("NextMarker")),
        (Some("true"), None)
    );
    let after = world
        .send("GET /bkt?list-type=2&start-after=in/2.csv", &[], "")
        .await
        .assert_ok();
    assert_eq!(after.elements("Key"), TREE[3..]);
}

#[tokio::test]
async fn names_are_encoded_when_asked() {
    let world = filled(&["a%20b/%2B%26%C3%BC%01.csv"]).await;
    let line = "GET /bkt?list-type=2&encoding-type=url&prefix=a%20b/&start-after=a%20a";
    let listed = world.send(line, &[], "").await.assert_ok();
    assert_eq!(listed.element("Key"), Some("a%20b/%2B%26%C3%BC%01.csv"));
    assert_eq!(listed.element("Prefix"), Some("a%20b/"));
    assert_eq!(listed.element("StartAfter"), Some("a%20a"));
    assert_eq!(listed.element("EncodingType"), Some("url"));
    let plain = world
        .send("GET /bkt?prefix=a%20b/&delimiter=/", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        (plain.element("Prefix"), plain.element("Delimiter")),
        (Some("a b/"), Some("/"))
    );
}

#[tokio::test]
async fn bad_lists_are_refused() {
    let world = World::with_bucket().await;
    let cases = [
        ("GET /bkt?max-keys=-1", "maxKeys"),
        (
            "GET /bkt?list-type=2&continuation-token=%21",
            "continuation-token",
        ),
        (
            "GET /bkt?list-type=2&continuation-token=",
            "continuation-token",
        ),
    ];
    for (line, name) in cases {
        let refused = world.send(line, &[], "").await;
        refused.assert_error(400, "InvalidArgument", &[("ArgumentName", name)]);
    }
    let word = world.send("GET /bkt?max-keys=many", &[], "").await;
    word.assert_error(400, "InvalidArgument", &[]);
    let encoding = world.send("GET /bkt?encoding-type=rot13", &[], "").await;
    encoding.assert_error(400, "InvalidArgument", &[]);
    let absent = world.send("GET /none?list-type=2", &[], "").await;
    absent.assert_error(404, "NoSuchBucket", &[("BucketName", "none")]);
}
