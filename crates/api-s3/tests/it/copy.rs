//! Copies over the wire.

use crate::world::World;

const HELLO_MD5: &str = "&quot;5d41402abc4b2a76b9719d911017c592&quot;";

#[tokio::test]
async fn an_object_is_copied_with_what_is_said_of_it() {
    let world = World::with_bucket().await;
    let said = [
        ("content-type", "text/csv"),
        ("x-amz-meta-team", "fraud"),
        ("x-amz-tagging", "stage=raw"),
    ];
    world
        .send("PUT /bkt/a%20b", &said, "hello")
        .await
        .assert_ok();
    let from = [("x-amz-copy-source", "/bkt/a%20b")];
    let copied = world.send("PUT /bkt/c", &from, "").await.assert_ok();
    assert!(
        copied.text().contains("<CopyObjectResult"),
        "{}",
        copied.text()
    );
    assert_eq!(copied.element("ETag"), Some(HELLO_MD5));
    let got = world.send("GET /bkt/c", &[], "").await.assert_ok();
    assert_eq!(got.text(), "hello");
    assert_eq!(got.header("content-type"), Some("text/csv"));
    assert_eq!(got.header("x-amz-meta-team"), Some("fraud"));
    assert_eq!(got.header("x-amz-tagging-count"), Some("1"));

    let replaced = [
        ("x-amz-copy-source", "bkt/c"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("content-type", "text/plain"),
    ];
    world.send("PUT /bkt/c", &replaced, "").await.assert_ok();
    let got = world.send("GET /bkt/c", &[], "").await.assert_ok();
    assert_eq!(
        (got.text(), got.header("content-type")),
        ("hello", Some("text/plain"))
    );
    assert_eq!(got.header("x-amz-meta-team"), None);
    assert_eq!(got.header("x-amz-tagging-count"), None);
    let unchanged = [("x-amz-copy-source", "bkt/c")];
    let unchanged = world.send("PUT /bkt/c", &unchanged, "").await;
    unchanged.assert_error(400, "InvalidRequest", &[]);
}

#[tokio::test]
async fn the_source_must_be_there_fit_and_be_permitted() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/a", &[], "hello").await.assert_ok();
    let missing = [("x-amz-copy-source", "bkt/nobody")];
    let missing = world.send("PUT /bkt/c", &missing, "").await;
    missing.assert_error(404, "NoSuchKey", &[("Key", "nobody")]);
    let nowhere = [("x-amz-copy-source", "nowhere/a")];
    let nowhere = world.send("PUT /bkt/c", &nowhere, "").await;
    nowhere.assert_error(404, "NoSuchBucket", &[("BucketName", "nowhere")]);
    let unreadable = [("x-amz-copy-source", "bkt")];
    let unreadable = world.send("PUT /bkt/c", &unreadable, "").await;
    unreadable.assert_error(
        400,
        "InvalidArgument",
        &[("ArgumentName", "x-amz-copy-source")],
    );
    for condition in ["if-none-match", "if-match"] {
        let header = format!("x-amz-copy-source-{condition}");
        let value = match condition {
            "if-match" => "\"other\"",
            _ => "\"5d41402abc4b2a76b9719d911017c592\"",
        };
        let unfit = [("x-amz-copy-source", "bkt/a"), (header.as_str(), value)];
        let unfit = world.send("PUT /bkt/c", &unfit, "").await;
        unfit.assert_error(412, "PreconditionFailed", &[]);
    }
    let world = world
        .limited_to(&["s3:PutObject"], &["arn:aws:s3:::bkt/*"])
        .await;
    let denied = [("x-amz-copy-source", "bkt/a")];
    let denied = world.send("PUT /bkt/c", &denied, "").await;
    denied.assert_error(403, "AccessDenied", &[]);
}

#[tokio::test]
async fn parts_are_copied_from_ranges() {
    let world = World::with_bucket().await;
    world
        .send("PUT /bkt/a", &[], "hello world")
        .await
        .assert_ok();
    let begun = world.send("POST /bkt/k?uploads", &[], "").await.assert_ok();
    let id = begun.element("UploadId").unwrap();
    let part = format!("PUT /bkt/k?partNumber=1&uploadId={id}");
    let range = |range: &'static str| {
        [
            ("x-amz-copy-source", "bkt/a"),
            ("x-amz-copy-source-range", range),
        ]
    };
    let beyond = world.send(&part, &range("bytes=0-11"), "").await;
    beyond.assert_error(400, "InvalidArgument", &[]);
    let open = world.send(&part, &range("bytes=0-"), "").await;
    open.assert_error(400, "InvalidArgument", &[]);
    let copied = world.send(&part, &range("bytes=0-4"), "").await.assert_ok();
    assert!(
        copied.text().contains("<CopyPartResult"),
        "{}",
        copied.text()
    );
    assert_eq!(copied.element("ETag"), Some(HELLO_MD5));
    let etag = copied.element("ETag").unwrap();
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let complete = format!("POST /bkt/k?uploadId={id}");
    world.send(&complete, &[], parts).await.assert_ok();
    assert_eq!(world.send("GET /bkt/k", &[], "").await.text(), "hello");
}

/// S3 copies tags only for who may read them there and write them here.
#[tokio::test]
async fn tags_are_copied_by_who_may_read_and_write_them() {
    let world = World::with_bucket().await;
    let tagged = [("x-amz-tagging", "stage=raw")];
    world
        .send("PUT /bkt/tagged", &tagged, "x")
        .await
        .assert_ok();
    world.send("PUT /bkt/plain", &[], "x").await.assert_ok();
    let (plain, tagged) = (
        [("x-amz-copy-source", "/bkt/plain")],
        [("x-amz-copy-source", "/bkt/tagged")],
    );
    let all = &["arn:aws:s3:::*"];
    let world = world
        .limited_to(&["s3:GetObject", "s3:PutObject"], all)
        .await;
    world.send("PUT /bkt/c", &plain, "").await.assert_ok();
    let denied = world.send("PUT /bkt/c", &tagged, "").await;
    denied.assert_error(403, "AccessDenied", &[]);
    assert!(
        denied.text().contains("s3:GetObjectTagging"),
        "{}",
        denied.text()
    );
    let replaced = [
        ("x-amz-copy-source", "/bkt/tagged"),
        ("x-amz-tagging-directive", "REPLACE"),
    ];
    world.send("PUT /bkt/c", &replaced, "").await.assert_ok();
    let actions = ["s3:GetObject", "s3:PutObject", "s3:GetObjectTagging"];
    let world = world.limited_to(&actions, all).await;
    let denied = world.send("PUT /bkt/c", &tagged, "").await;
    assert!(
        denied.text().contains("s3:PutObjectTagging"),
        "{}",
        denied.text()
    );
    let actions = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:GetObjectTagging",
        "s3:PutObjectTagging",
    ];
    let world = world.limited_to(&actions, all).await;
    world.send("PUT /bkt/c", &tagged, "").await.assert_ok();
}
