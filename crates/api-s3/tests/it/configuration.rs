//! What clients ask about buckets and never find configured.

use crate::world::World;

#[tokio::test]
async fn what_is_not_configured_is_said_not_to_be() {
    let world = World::with_bucket().await;
    let cases = [
        ("cors", "NoSuchCORSConfiguration"),
        (
            "encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
        ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
    ];
    for (asked, code) in cases {
        let answer = world.send(&format!("GET /bkt?{asked}"), &[], "").await;
        answer.assert_error(404, code, &[("BucketName", "bkt")]);
        let nowhere = world.send(&format!("GET /nowhere?{asked}"), &[], "").await;
        nowhere.assert_error(404, "NoSuchBucket", &[]);
    }
    for (asked, root) in [
        ("accelerate", "AccelerateConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("notification", "NotificationConfiguration"),
    ] {
        let answer = world
            .send(&format!("GET /bkt?{asked}"), &[], "")
            .await
            .assert_ok();
        assert!(
            answer.text().contains(&format!("<{root}")),
            "{}",
            answer.text()
        );
    }
    let payer = world
        .send("GET /bkt?requestPayment", &[], "")
        .await
        .assert_ok();
    assert_eq!(payer.element("Payer"), Some("BucketOwner"));
    let ownership = world
        .send("GET /bkt?ownershipControls", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        ownership.element("ObjectOwnership"),
        Some("BucketOwnerEnforced")
    );
}

#[tokio::test]
async fn the_owner_alone_has_access_by_lists_and_no_other_list_is_taken() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/k", &[], "x").await.assert_ok();
    for at in ["/bkt", "/bkt/k"] {
        let got = world
            .send(&format!("GET {at}?acl"), &[], "")
            .await
            .assert_ok();
        assert_eq!(got.elements("ID"), [world.account(), world.account()]);
        assert_eq!(got.elements("Permission"), ["FULL_CONTROL"]);
        assert!(
            got.text().contains("xsi:type=\"CanonicalUser\""),
            "{}",
            got.text()
        );
        let put = format!("PUT {at}?acl");
        world
            .send(&put, &[("x-amz-acl", "private")], "")
            .await
            .assert_ok();
        let same = got.body.clone();
        world.send(&put, &[], same).await.assert_ok();
        let public = world.send(&put, &[("x-amz-acl", "public-read")], "").await;
        public.assert_error(400, "AccessControlListNotSupported", &[]);
        let grant = [("x-amz-grant-read", "id=1")];
        let grant = world.send(&put, &grant, "").await;
        grant.assert_error(400, "AccessControlListNotSupported", &[]);
    }
    let public = [("x-amz-acl", "public-read")];
    let public = world.send("PUT /other", &public, "").await;
    public.assert_error(400, "InvalidBucketAclWithObjectOwnership", &[]);
    let missing = world.send("GET /bkt/nobody?acl", &[], "").await;
    missing.assert_error(404, "NoSuchKey", &[]);
}

#[tokio::test]
async fn the_attributes_of_an_object_are_those_asked_for() {
    let world = World::with_bucket().await;
    let sum = [("x-amz-checksum-crc32", "NhCmhg==")];
    world.send("PUT /bkt/k", &sum, "hello").await.assert_ok();
    let asked = [(
        "x-amz-object-attributes",
        "ETag,Checksum,ObjectSize,ObjectParts",
    )];
    let got = world
        .send("GET /bkt/k?attributes", &asked, "")
        .await
        .assert_ok();
    assert_eq!(
        got.element("ETag"),
        Some("5d41402abc4b2a76b9719d911017c592")
    );
    assert_eq!(got.element("ChecksumCRC32"), Some("NhCmhg=="));
    assert_eq!(got.element("ObjectSize"), Some("5"));
    assert_eq!(got.element("ObjectParts"), None);
    assert_eq!(got.element("StorageClass"), None);
    assert!(got.header("last-modified").is_some());
    let nonsense = [("x-amz-object-attributes", "Nonsense")];
    let nonsense = world.send("GET /bkt/k?attributes", &nonsense, "").await;
    nonsense.assert_error(400, "InvalidArgument", &[]);
}

#[tokio::test]
async fn unfinished_uploads_are_listed_by_page_and_prefix() {
    let world = World::with_bucket().await;
    for key in ["a/1", "a/2", "b", "b"] {
        world
            .send(&format!("POST /bkt/{key}?uploads"), &[], "")
            .await
            .assert_ok();
    }
    let all = world.send("GET /bkt?uploads", &[], "").await.assert_ok();
    assert_eq!(all.elements("Key"), ["a/1", "a/2", "b", "b"]);
    let grouped = world
        .send("GET /bkt?uploads&delimiter=/", &[], "")
        .await
        .assert_ok();
    assert_eq!(grouped.elements("CommonPrefixes"), ["<Prefix>a/</Prefix>"]);
    assert_eq!(grouped.elements("Key"), ["b", "b"]);
    let first = world
        .send("GET /bkt?uploads&max-uploads=3", &[], "")
        .await
        .assert_ok();
    assert_eq!(first.element("IsTruncated"), Some("true"));
    let (key, id) = (
        first.element("NextKeyMarker"),
        first.element("NextUploadIdMarker"),
    );
    let rest = format!(
        "GET /bkt?uploads&key-marker={}&upload-id-marker={}",
        key.unwrap(),
        id.unwrap()
    );
    let rest = world.send(&rest, &[], "").await.assert_ok();
    assert_eq!(rest.elements("Key"), ["b"]);
    assert_ne!(rest.element("UploadId"), id);
    let after = world
        .send("GET /bkt?uploads&key-marker=a/1", &[], "")
        .await
        .assert_ok();
    assert_eq!(after.elements("Key"), ["a/2", "b", "b"]);
}
