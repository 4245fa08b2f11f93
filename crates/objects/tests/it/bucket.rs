//! Buckets.

use sightline_objects::Error;

use crate::world::{World, bucket};

#[tokio::test]
async fn buckets_are_made_found_and_removed() {
    let world = World::with_bucket().await;
    let listed = world
        .objects
        .buckets(&world.permit("s3:ListAllMyBuckets"))
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
    let found = world
        .objects
        .head_bucket(&world.permit("s3:ListBucket"), &bucket())
        .await
        .unwrap();
    assert_eq!(found, listed[0]);
    assert_eq!(
        (found.region.as_str(), found.owner.len()),
        ("us-east-1", 12)
    );

    world.put("k", b"x").await;
    let delete = async || {
        world
            .objects
            .delete_bucket(&world.permit("s3:DeleteBucket"), &bucket())
            .await
    };
    assert!(matches!(delete().await, Err(Error::BucketNotEmpty(_))));
    world.delete("k").await;
    delete().await.unwrap();
    assert!(matches!(delete().await, Err(Error::BucketNotFound(_))));
    let found = world
        .objects
        .head_bucket(&world.permit("s3:ListBucket"), &bucket())
        .await;
    assert!(matches!(found, Err(Error::BucketNotFound(_))));
    assert_eq!(
        world.events().await,
        ["CreateBucket", "PutObject", "DeleteObject", "DeleteBucket"]
    );
}

#[tokio::test]
async fn making_a_bucket_again_depends_on_the_region() {
    let cases = [
        ("us-east-1", None, true, true),
        ("us-east-1", Some("us-east-1"), false, false),
        ("us-east-1", Some("eu-west-1"), false, false),
        ("eu-west-1", Some("eu-west-1"), true, false),
        ("eu-west-1", Some("us-east-1"), false, false),
        ("eu-west-1", None, false, false),
    ];
    for (region, location, first_ok, again_ok) in cases {
        let world = World::open(tempfile::tempdir().unwrap(), region).await;
        let create = async || {
            let permit = world.permit("s3:CreateBucket");
            world
                .objects
                .create_bucket(&permit, &bucket(), location)
                .await
        };
        let first = create().await;
        assert_eq!(first.is_ok(), first_ok, "{region} {location:?}: {first:?}");
        let again = create().await;
        assert_eq!(again.is_ok(), again_ok, "{region} {location:?}: {again:?}");
        match again {
            Err(Error::BucketExists(_)) => assert!(first_ok),
            Err(Error::WrongLocation { .. }) => assert!(!first_ok),
            other => assert!(again_ok, "{other:?}"),
        }
    }
}
