//! Objects over the wire.

use crate::world::World;

const HELLO_MD5: &str = "\"5d41402abc4b2a76b9719d911017c592\"";
/// The CRC-32 of `hello`, by zlib.
const HELLO_CRC32: &str = "NhCmhg==";

#[tokio::test]
async fn an_object_goes_in_and_comes_out() {
    let world = World::with_bucket().await;
    let headers = [
        ("content-type", "text/csv"),
        ("content-encoding", "aws-chunked,gzip"),
        ("cache-control", "no-store"),
        ("x-amz-meta-Team", "fraud"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-crc32", HELLO_CRC32),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
    ];
    let put = world
        .send("PUT /bkt/in/hello.csv", &headers, "hello")
        .await
        .assert_ok();
    assert_eq!(put.header("etag"), Some(HELLO_MD5));
    assert_eq!(put.header("x-amz-checksum-crc32"), Some(HELLO_CRC32));
    assert_eq!(put.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    assert!(put.body.is_empty());

    let mode = [("x-amz-checksum-mode", "ENABLED")];
    for method in ["GET", "HEAD"] {
        let got = world
            .send(&format!("{method} /bkt/in/hello.csv"), &mode, "")
            .await
            .assert_ok();
        assert_eq!(got.status, 200);
        let expected = [
            ("etag", HELLO_MD5),
            ("content-length", "5"),
            ("content-type", "text/csv"),
            ("content-encoding", "gzip"),
            ("cache-control", "no-store"),
            ("accept-ranges", "bytes"),
            ("x-amz-meta-team", "fraud"),
            ("x-amz-checksum-crc32", HELLO_CRC32),
        ];
        for (name, value) in expected {
            assert_eq!(got.header(name), Some(value), "{method} {name}");
        }
        assert!(got.header("last-modified").unwrap().ends_with(" GMT"));
        assert_eq!(got.body, if method == "GET" { "hello" } else { "" });
    }
    let plain = world
        .send("GET /bkt/in/hello.csv", &[], "")
        .await
        .assert_ok();
    assert_eq!(plain.header("x-amz-checksum-crc32"), None);
    let renamed = "GET /bkt/in/hello.csv?response-content-type=text%2Fplain";
    let renamed = world.send(renamed, &[], "").await.assert_ok();
    assert_eq!(renamed.header("content-type"), Some("text/plain"));

    let deleted = world.send("DELETE /bkt/in/hello.csv", &[], "").await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(
        world.send("DELETE /bkt/in/hello.csv", &[], "").await.status,
        204
    );
    let gone = world.send("GET /bkt/in/hello.csv", &[], "").await;
    gone.assert_error(404, "NoSuchKey", &[("Key", "in/hello.csv")]);
    let gone = world.send("HEAD /bkt/in/hello.csv", &[], "").await;
    assert_eq!((gone.status, gone.body.len()), (404, 0));
}

#[tokio::test]
async fn keys_arrive_as_they_were_meant() {
    let world = World::with_bucket().await;
    let longest = "%C3%A9".repeat(512);
    let keys = [
        ("a/../b", "a/../b"),
        ("a//b", "a//b"),
        ("/lead", "/lead"),
        ("a/b/", "a/b/"),
        ("%252e%252e/x", "%2e%2e/x"),
        ("%2e%2e/x", "../x"),
        ("a%5Cb", "a\\b"),
        ("a%20b+c", "a b+c"),
        ("a%2Fslash", "a/slash"),
        (&longest, &"é".repeat(512)),
    ];
    for (sent, meant) in keys {
        let put = world
            .send(&format!("PUT /bkt/{sent}"), &[], meant.to_owned())
            .await;
        put.assert_ok();
    }
    for (sent, meant) in keys {
        let got = world
            .send(&format!("GET /bkt/{sent}"), &[], "")
            .await
            .assert_ok();
        assert_eq!(got.text(), meant, "{sent}");
    }
    let listed = world
        .send("GET /bkt?list-type=2", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        listed.element("KeyCount"),
        Some(keys.len().to_string().as_str())
    );
    let too_long = world.send(&format!("PUT /bkt/{longest}x"), &[], "").await;
    too_long.assert_error(
        400,
        "KeyTooLongError",
        &[("Size", "1025"), ("MaxSizeAllowed", "1024")],
    );
    let nul = world.send("PUT /bkt/a%00b", &[], "").await;
    nul.assert_error(400, "InvalidArgument", &[]);
}

#[tokio::test]
async fn ranges_select_bytes() {
    let world = World::with_bucket().await;
    world
        .send("PUT /bkt/k", &[], "0123456789")
        .await
        .assert_ok();
    let cases = [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=4-2", 200, "0123456789", None),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("chapters=1-2", 200, "0123456789", None),
    ];
    for (range, status, body, content_range) in cases {
        let got = world.send("GET /bkt/k", &[("range", range)], "").await;
        assert_eq!((got.status, got.text()), (status, body), "{range}");
        assert_eq!(got.header("content-range"), content_range, "{range}");
        assert_eq!(
            got.header("content-length"),
            Some(body.len().to_string().as_str())
        );
        let head = world.send("HEAD /bkt/k", &[("range", range)], "").await;
        assert_eq!(head.status, status, "{range}");
        assert_eq!(head.header("content-range"), content_range, "{range}");
    }
    let beyond = world
        .send("GET /bkt/k", &[("range", "bytes=10-")], "")
        .await;
    let details = [("ActualObjectSize", "10"), ("RangeRequested", "bytes=10-")];
    beyond.assert_error(416, "InvalidRange", &details);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
}

#[tokio::test]
async fn conditions_decide_what_is_read_and_written() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/k", &[], "hello").await.assert_ok();
    let head = world.send("HEAD /bkt/k", &[], "").await.assert_ok();
    let modified = head.header("last-modified").unwrap();
    let old = "Sat, 01 Jan 2000 00:00:00 GMT";
    let cases = [
        ("if-match", HELLO_MD5, 200),
        ("if-match", "\"other\"", 412),
        ("if-none-match", HELLO_MD5, 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", old, 200),
        ("if-unmodified-since", modified, 200),
        ("if-unmodified-since", old, 412),
    ];
    for (name, value, status) in cases {
        for method in ["GET", "HEAD"] {
            let got = world
                .send(&format!("{method} /bkt/k"), &[(name, value)], "")
                .await;
            assert_eq!(got.status, status, "{method} {name}: {value}");
            if status == 304 {
                assert_eq!((got.header("etag"), got.body.len()), (Some(HELLO_MD5), 0));
                assert_eq!(got.header("last-modified"), Some(modified));
            }
        }
    }
    let refused = world.send("GET /bkt/k", &[("if-match", "x")], "").await;
    refused.assert_error(412, "PreconditionFailed", &[("Condition", "If-Match")]);
    let refused = world
        .send("PUT /bkt/k", &[("if-none-match", "*")], "x")
        .await;
    refused.assert_error(412, "PreconditionFailed", &[("Condition", "If-None-Match")]);
    let refused = world
        .send("PUT /bkt/k", &[("if-none-match", HELLO_MD5)], "x")
        .await;
    refused.assert_error(501, "NotImplemented", &[]);
    let refused = world.send("PUT /bkt/new", &[("if-match", "x")], "x").await;
    refused.assert_error(404, "NoSuchKey", &[("Key", "new")]);
    let refused = world.send("DELETE /bkt/k", &[("if-match", "x")], "").await;
    refused.assert_error(412, "PreconditionFailed", &[]);
    world
        .send("PUT /bkt/k", &[("if-match", HELLO_MD5)], "y")
        .await
        .assert_ok();
    world
        .send("PUT /bkt/new", &[("if-none-match", "*")], "x")
        .await
        .assert_ok();
}

#[tokio::test]
async fn damaged_payloads_are_refused_and_nothing_is_stored() {
    let world = World::with_bucket().await;
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "BadDigest"),
        (&[("content-md5", "short")], "InvalidDigest"),
        (&[("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
        (&[("x-amz-checksum-sha256", HELLO_CRC32)], "InvalidRequest"),
        (
            &[
                ("x-amz-checksum-crc32", HELLO_CRC32),
                ("x-amz-checksum-crc32c", "mnG7TA=="),
            ],
            "InvalidRequest",
        ),
        (
            &[("x-amz-sdk-checksum-algorithm", "CRC32")],
            "InvalidRequest",
        ),
        (&[("content-length", "6")], "IncompleteBody"),
        (&[("content-length", "5368709121")], "EntityTooLarge"),
    ];
    for (headers, code) in cases {
        world
            .send("PUT /bkt/k", headers, "hello")
            .await
            .assert_error(400, code, &[]);
    }
    let unserved = [("x-amz-checksum-xxhash3", "AAAAAAAAAAA=")];
    world
        .send("PUT /bkt/k", &unserved, "hello")
        .await
        .assert_error(501, "NotImplemented", &[]);
    let absent = world.send("GET /bkt/k", &[], "").await;
    absent.assert_error(404, "NoSuchKey", &[]);
    let sums = [
        ("x-amz-checksum-crc32", HELLO_CRC32),
        ("x-amz-checksum-crc32c", "mnG7TA=="),
        ("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        (
            "x-amz-checksum-sha256",
            "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        ),
    ];
    for sum in sums {
        let put = world.send("PUT /bkt/k", &[sum], "hello").await.assert_ok();
        assert_eq!(put.header(sum.0), Some(sum.1));
    }
}

#[tokio::test]
async fn checksums_may_follow_their_payload() {
    let world = World::with_bucket().await;
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "5"),
        ("content-length", "999"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let send = async |trailer| {
        world
            .send_with_trailer("PUT /bkt/k", &headers, "hello", trailer)
            .await
    };
    let wrong = send(("x-amz-checksum-crc32", "AAAAAA==")).await;
    wrong.assert_error(400, "BadDigest", &[]);
    let missing = send(("x-amz-other", "x")).await;
    missing.assert_error(400, "MalformedTrailerError", &[]);
    let put = send(("x-amz-checksum-crc32", HELLO_CRC32))
        .await
        .assert_ok();
    assert_eq!(put.header("x-amz-checksum-crc32"), Some(HELLO_CRC32));
    let head = world.send("HEAD /bkt/k", &[], "").await.assert_ok();
    assert_eq!(head.header("content-encoding"), None);
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let world = World::with_bucket().await;
    let cases = [
        (
            "x-amz-server-side-encryption",
            "aws:kms:dsse",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-object-lock-mode",
            "GOVERNANCE",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-website-redirect-location",
            "/x",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-acl",
            "public-read",
            400,
            "AccessControlListNotSupported",
        ),
        ("x-amz-storage-class", "GLACIER", 400, "InvalidStorageClass"),
        ("x-amz-storage-class", "PAPER", 400, "InvalidArgument"),
        (
            "x-amz-expected-bucket-owner",
            "000000000000",
            403,
            "AccessDenied",
        ),
    ];
    for (name, value, status, code) in cases {
        world
            .send("PUT /bkt/k", &[(name, value)], "x")
            .await
            .assert_error(status, code, &[]);
        let begun = world
            .send("POST /bkt/k?uploads", &[(name, value)], "")
            .await;
        begun.assert_error(status, code, &[]);
    }
    let metadata = "v".repeat(2048);
    let large = world
        .send("PUT /bkt/k", &[("x-amz-meta-a", &metadata)], "x")
        .await;
    large.assert_error(400, "MetadataTooLarge", &[("Size", "2049")]);
    world
        .send(
            "PUT /bkt/k",
            &[("x-amz-server-side-encryption", "AES256")],
            "x",
        )
        .await
        .assert_ok();
    let version = world.send("GET /bkt/k?versionId=1", &[], "").await;
    version.assert_error(400, "InvalidArgument", &[("ArgumentName", "versionId")]);
    world
        .send("GET /bkt/k?versionId=null", &[], "")
        .await
        .assert_ok();
}

#[tokio::test]
async fn each_request_leaves_one_event() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/k", &[], "hello").await.assert_ok();
    world.send("GET /bkt/k", &[], "").await.assert_ok();
    world
        .send("PUT /none/k", &[], "hello")
        .await
        .assert_error(404, "NoSuchBucket", &[]);
    world
        .send("PUT /bkt/k", &[("if-none-match", "*")], "x")
        .await;
    world.send("DELETE /bkt/k", &[], "").await.assert_ok();
    assert_eq!(
        world.events().await,
        [
            "CreateBucket",
            "PutObject",
            "GetObject",
            "PutObject NoSuchBucket",
            "PutObject PreconditionFailed",
            "DeleteObject"
        ]
    );
}
