//! Deleting buckets and many objects over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::world::{Answer, World};

async fn delete(world: &World, document: &str) -> Answer {
    let md5 = STANDARD.encode(Md5::digest(document));
    let headers = [("content-md5", md5.as_str())];
    world
        .send("POST /bkt?delete", &headers, document.to_owned())
        .await
}

fn document(keys: &[&str], quiet: bool) -> String {
    let objects = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"));
    let objects: String = objects.collect();
    format!("<Delete><Quiet>{quiet}</Quiet>{objects}</Delete>")
}

#[tokio::test]
async fn many_objects_go_with_one_request() {
    let world = World::with_bucket().await;
    for key in ["a", "b", "a%3Cb"] {
        world
            .send(&format!("PUT /bkt/{key}"), &[], "x")
            .await
            .assert_ok();
    }
    let done = delete(&world, &document(&["a", "a&lt;b", "nobody"], false)).await;
    let done = done.assert_ok();
    assert_eq!(done.elements("Key"), ["a", "a&lt;b", "nobody"]);
    assert_eq!(done.element("Code"), None);
    let quiet = delete(&world, &document(&["b"], true)).await.assert_ok();
    assert!(quiet.text().contains("<DeleteResult"), "{}", quiet.text());
    assert_eq!(quiet.element("Key"), None);
    let listed = world.send("GET /bkt?list-type=2", &[], "").await;
    assert_eq!(listed.element("KeyCount"), Some("0"));
    let events = world.events().await;
    assert_eq!(
        events
            .iter()
            .filter(|event| *event == "DeleteObjects")
            .count(),
        2
    );
}

#[tokio::test]
async fn what_is_refused_of_one_object_is_told_beside_the_others() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/a", &[], "x").await.assert_ok();
    let long = "x".repeat(1025);
    let text = format!(
        "<Delete><Object><Key>a</Key></Object><Object><Key>{long}</Key></Object>\
         <Object><Key>b</Key><VersionId>what</VersionId></Object></Delete>"
    );
    let done = delete(&world, &text).await.assert_ok();
    assert_eq!(
        done.elements("Code"),
        ["KeyTooLongError", "InvalidArgument"]
    );
    assert_eq!(world.send("HEAD /bkt/a", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_key_needs_the_permission_on_itself() {
    let world = World::with_bucket().await;
    for key in ["mine/a", "theirs/a"] {
        world
            .send(&format!("PUT /bkt/{key}"), &[], "x")
            .await
            .assert_ok();
    }
    let world = world
        .limited_to(&["s3:DeleteObject"], &["arn:aws:s3:::bkt/mine/*"])
        .await;
    let done = delete(&world, &document(&["mine/a", "theirs/a"], false)).await;
    let done = done.assert_ok();
    assert_eq!(done.elements("Key"), ["mine/a", "theirs/a"]);
    assert_eq!(done.elements("Code"), ["AccessDenied"]);
    let world = world.unlimited().await;
    assert_eq!(world.send("HEAD /bkt/mine/a", &[], "").await.status, 404);
    assert_eq!(world.send("HEAD /bkt/theirs/a", &[], "").await.status, 200);
}

#[tokio::test]
async fn the_document_must_be_whole_and_of_a_thousand_objects_at_most() {
    let world = World::with_bucket().await;
    let text = document(&["a"], false);
    let bare = world.send("POST /bkt?delete", &[], text.clone()).await;
    bare.assert_error(400, "InvalidRequest", &[]);
    let wrong = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    let changed = world.send("POST /bkt?delete", &wrong, text.clone()).await;
    changed.assert_error(400, "BadDigest", &[]);
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    let changed = world.send("POST /bkt?delete", &wrong, text).await;
    changed.assert_error(400, "BadDigest", &[]);
    delete(&world, &document(&["a"; 1000], false))
        .await
        .assert_ok();
    let many = delete(&world, &document(&["a"; 1001], false)).await;
    many.assert_error(400, "MalformedXML", &[]);
    let none = delete(&world, &document(&[], false)).await;
    none.assert_error(400, "MalformedXML", &[]);
}

#[tokio::test]
async fn buckets_go_when_they_are_empty() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/a", &[], "x").await.assert_ok();
    let full = world.send("DELETE /bkt", &[], "").await;
    full.assert_error(409, "BucketNotEmpty", &[("BucketName", "bkt")]);
    world.send("DELETE /bkt/a", &[], "").await.assert_ok();
    let other = [("x-amz-expected-bucket-owner", "000000000000")];
    let other = world.send("DELETE /bkt", &other, "").await;
    other.assert_error(403, "AccessDenied", &[]);
    assert_eq!(world.send("DELETE /bkt", &[], "").await.status, 204);
    let gone = world.send("DELETE /bkt", &[], "").await;
    gone.assert_error(404, "NoSuchBucket", &[("BucketName", "bkt")]);
}
