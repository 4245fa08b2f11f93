//! Buckets over the wire.

use crate::world::World;

#[tokio::test]
async fn every_operation_of_the_model_has_a_handler() {
    let world = World::new().await;
    assert_eq!(world.operations().without_handler(), [""; 0]);
    assert!(!world.operations().service().operations.is_empty());
}

#[tokio::test]
async fn the_default_bucket_dance_of_the_sdk_works() {
    let world = World::new().await;
    let owner = [("x-amz-expected-bucket-owner", world.account())];
    let name = "sagemaker-us-east-1-123456789012";

    let listed = world.send("GET /", &[], "").await.assert_ok();
    assert!(
        listed.text().contains("<Buckets></Buckets>"),
        "{}",
        listed.text()
    );
    let missing = world.send(&format!("HEAD /{name}"), &owner, "").await;
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    let made = world
        .send(&format!("PUT /{name}"), &[], "")
        .await
        .assert_ok();
    assert_eq!(
        made.header("location"),
        Some("/sagemaker-us-east-1-123456789012")
    );
    let again = world.send(&format!("PUT /{name}"), &[], "").await;
    assert_eq!(
        again.status, 200,
        "in us-east-1 one's own bucket can be made again"
    );
    let found = world
        .send(&format!("HEAD /{name}"), &owner, "")
        .await
        .assert_ok();
    assert_eq!(found.header("x-amz-bucket-region"), Some("us-east-1"));

    let listed = world.send("GET /", &[], "").await.assert_ok();
    assert_eq!(listed.elements("Name"), [name]);
    assert_eq!(listed.element("ID"), Some(world.account()));
    let date = listed.element("CreationDate").unwrap();
    assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    assert!(listed.text().starts_with("<?xml"));
    assert!(
        listed
            .text()
            .contains("<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">")
    );

    let stranger = [("x-amz-expected-bucket-owner", "000000000000")];
    let denied = world.send(&format!("HEAD /{name}"), &stranger, "").await;
    assert_eq!((denied.status, denied.body.len()), (403, 0));
    assert_eq!(
        world.events().await,
        [
            "ListBuckets",
            "HeadBucket NoSuchBucket",
            "CreateBucket",
            "CreateBucket",
            "HeadBucket",
            "ListBuckets",
            "HeadBucket AccessDenied"
        ]
    );
}

fn located(region: &str) -> String {
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    )
}

#[tokio::test]
async fn regions_are_named_except_the_first() {
    let world = World::in_region("eu-west-1").await;
    let bare = world.send("PUT /bkt", &[], "").await;
    bare.assert_error(400, "IllegalLocationConstraintException", &[]);
    let elsewhere = world.send("PUT /bkt", &[], located("us-west-2")).await;
    elsewhere.assert_error(400, "IllegalLocationConstraintException", &[]);
    let nowhere = world.send("PUT /bkt", &[], located("mars-1")).await;
    nowhere.assert_error(
        400,
        "InvalidLocationConstraint",
        &[("LocationConstraint", "mars-1")],
    );
    world
        .send("PUT /bkt", &[], located("eu-west-1"))
        .await
        .assert_ok();
    let again = world.send("PUT /bkt", &[], located("eu-west-1")).await;
    again.assert_error(409, "BucketAlreadyOwnedByYou", &[("BucketName", "bkt")]);
    let location = world.send("GET /bkt?location", &[], "").await.assert_ok();
    assert!(
        location.text().contains(">eu-west-1</LocationConstraint>"),
        "{}",
        location.text()
    );

    let world = World::with_bucket().await;
    let named = world.send("PUT /other", &[], located("us-east-1")).await;
    named.assert_error(
        400,
        "InvalidLocationConstraint",
        &[("LocationConstraint", "us-east-1")],
    );
    let location = world.send("GET /bkt?location", &[], "").await.assert_ok();
    assert!(
        location.text().contains("<LocationConstraint"),
        "{}",
        location.text()
    );
    assert!(
        !location.text().contains("us-east-1"),
        "{}",
        location.text()
    );
}

#[tokio::test]
async fn bad_bucket_requests_are_answered_in_s3s_words() {
    let world = World::new().await;
    let wrong = world.send("PUT /Not_A_Bucket", &[], "").await;
    wrong.assert_error(400, "InvalidBucketName", &[("BucketName", "Not_A_Bucket")]);
    let public = world
        .send("PUT /bkt", &[("x-amz-acl", "public-read")], "")
        .await;
    public.assert_error(400, "InvalidBucketAclWithObjectOwnership", &[]);
    let broken = world
        .send("PUT /bkt", &[], "<CreateBucketConfiguration>")
        .await;
    broken.assert_error(400, "MalformedXML", &[]);
    let absent = world.send("GET /bkt?location", &[], "").await;
    absent.assert_error(404, "NoSuchBucket", &[("BucketName", "bkt")]);
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let world = World::new().await;
    for name in ["aaa", "abc", "bbb", "abd"] {
        world
            .send(&format!("PUT /{name}"), &[], "")
            .await
            .assert_ok();
    }
    let first = world
        .send("GET /?max-buckets=1&prefix=ab", &[], "")
        .await
        .assert_ok();
    assert_eq!(first.elements("Name"), ["abc"]);
    let token = first.element("ContinuationToken").unwrap();
    let rest = format!("GET /?max-buckets=9&prefix=ab&continuation-token={token}");
    let rest = world.send(&rest, &[], "").await.assert_ok();
    assert_eq!(rest.elements("Name"), ["abd"]);
    assert_eq!(rest.element("ContinuationToken"), None);
    let wrong = world.send("GET /?max-buckets=0", &[], "").await;
    wrong.assert_error(400, "InvalidArgument", &[("ArgumentName", "max-buckets")]);
}
