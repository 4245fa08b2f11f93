//! Tags over the wire.

use crate::world::World;

fn tagging(tags: &[(&str, &str)]) -> String {
    let tags = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
    format!(
        "<Tagging><TagSet>{}</TagSet></Tagging>",
        tags.collect::<String>()
    )
}

#[tokio::test]
async fn objects_have_tags_of_their_own() {
    let world = World::with_bucket().await;
    let tagged = [("x-amz-tagging", "team=fraud&stage=a%20b")];
    world.send("PUT /bkt/a", &tagged, "x").await.assert_ok();
    let got = world.send("GET /bkt/a?tagging", &[], "").await.assert_ok();
    assert_eq!(got.elements("Key"), ["stage", "team"]);
    assert_eq!(got.elements("Value"), ["a b", "fraud"]);
    let head = world.send("HEAD /bkt/a", &[], "").await;
    assert_eq!(head.header("x-amz-tagging-count"), Some("2"));

    let text = tagging(&[("stage", "gold")]);
    world
        .send("PUT /bkt/a?tagging", &[], text)
        .await
        .assert_ok();
    let got = world.send("GET /bkt/a?tagging", &[], "").await.assert_ok();
    assert_eq!(
        (got.elements("Key"), got.elements("Value")),
        (vec!["stage"], vec!["gold"])
    );
    let read = world.send("GET /bkt/a", &[], "").await.assert_ok();
    assert_eq!(read.text(), "x");
    assert_eq!(
        world.send("DELETE /bkt/a?tagging", &[], "").await.status,
        204
    );
    let got = world.send("GET /bkt/a?tagging", &[], "").await.assert_ok();
    assert_eq!(got.element("Key"), None);
    let missing = world.send("GET /bkt/b?tagging", &[], "").await;
    missing.assert_error(404, "NoSuchKey", &[("Key", "b")]);
}

#[tokio::test]
async fn tags_that_break_the_rules_are_refused_whole() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/a", &[], "x").await.assert_ok();
    let twice = tagging(&[("a", "1"), ("a", "2")]);
    let twice = world.send("PUT /bkt/a?tagging", &[], twice).await;
    twice.assert_error(400, "InvalidTag", &[("TagKey", "a")]);
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|n| (n.as_str(), "")).collect();
    let many = world
        .send("PUT /bkt/a?tagging", &[], tagging(&eleven))
        .await;
    many.assert_error(400, "BadRequest", &[]);
    let header = [("x-amz-tagging", "a=1&a=2")];
    let header = world.send("PUT /bkt/b", &header, "x").await;
    header.assert_error(400, "InvalidTag", &[]);
    let damaged = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    let damaged = world
        .send("PUT /bkt/a?tagging", &damaged, tagging(&[("a", "1")]))
        .await;
    damaged.assert_error(400, "BadDigest", &[]);
    let got = world.send("GET /bkt/a?tagging", &[], "").await.assert_ok();
    assert_eq!(got.element("Key"), None);
}

#[tokio::test]
async fn tagging_with_a_write_needs_the_permission_to_tag() {
    let world = World::with_bucket().await;
    let world = world
        .limited_to(&["s3:PutObject"], &["arn:aws:s3:::bkt/*"])
        .await;
    let tagged = [("x-amz-tagging", "team=fraud")];
    let denied = world.send("PUT /bkt/a", &tagged, "x").await;
    denied.assert_error(403, "AccessDenied", &[]);
    world.send("PUT /bkt/a", &[], "x").await.assert_ok();
}

#[tokio::test]
async fn buckets_have_tags_and_say_so_when_they_have_none() {
    let world = World::with_bucket().await;
    let none = world.send("GET /bkt?tagging", &[], "").await;
    none.assert_error(404, "NoSuchTagSet", &[("BucketName", "bkt")]);
    let text = tagging(&[("owner", "me")]);
    world.send("PUT /bkt?tagging", &[], text).await.assert_ok();
    let got = world.send("GET /bkt?tagging", &[], "").await.assert_ok();
    assert_eq!(got.elements("Value"), ["me"]);
    assert_eq!(world.send("DELETE /bkt?tagging", &[], "").await.status, 204);
    let none = world.send("GET /bkt?tagging", &[], "").await;
    none.assert_error(404, "NoSuchTagSet", &[]);
}
