//! Multipart uploads over the wire.

use crate::world::{Answer, World};

const MIB: usize = 1 << 20;

async fn begin(world: &World, headers: &[(&str, &str)]) -> String {
    let begun = world
        .send("POST /bkt/big%20one?uploads", headers, "")
        .await
        .assert_ok();
    assert_eq!(begun.element("Bucket"), Some("bkt"));
    assert_eq!(begun.element("Key"), Some("big one"));
    assert!(
        begun.text().contains("<InitiateMultipartUploadResult"),
        "{}",
        begun.text()
    );
    begun.element("UploadId").unwrap().to_owned()
}

async fn part(world: &World, id: &str, number: u32, bytes: Vec<u8>) -> Answer {
    let line = format!("PUT /bkt/big%20one?partNumber={number}&uploadId={id}");
    world.send(&line, &[], bytes).await
}

async fn complete(world: &World, id: &str, parts: &[(u32, &str)]) -> Answer {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>")
        })
        .collect();
    let body = format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}\
         </CompleteMultipartUpload>"
    );
    let line = format!("POST /bkt/big%20one?uploadId={id}");
    world.send(&line, &[("host", "127.0.0.1:7070")], body).await
}

#[tokio::test]
async fn parts_become_an_object() {
    let world = World::with_bucket().await;
    let id = begin(
        &world,
        &[("content-type", "image/png"), ("x-amz-meta-a", "b")],
    )
    .await;
    let one = part(&world, &id, 1, vec![b'a'; 5 * MIB]).await.assert_ok();
    let two = part(&world, &id, 2, b"tail".to_vec()).await.assert_ok();
    let (one, two) = (one.header("etag").unwrap(), two.header("etag").unwrap());

    let listed = world
        .send(
            &format!("GET /bkt/big%20one?uploadId={id}&max-parts=1"),
            &[],
            "",
        )
        .await;
    let listed = listed.assert_ok();
    assert_eq!(listed.elements("PartNumber"), ["1"]);
    assert_eq!(listed.etags(), [one]);
    assert_eq!(listed.element("IsTruncated"), Some("true"));
    assert_eq!(listed.element("NextPartNumberMarker"), Some("1"));
    let line = format!("GET /bkt/big%20one?uploadId={id}&part-number-marker=1");
    let listed = world.send(&line, &[], "").await.assert_ok();
    assert_eq!(listed.elements("PartNumber"), ["2"]);
    assert_eq!(listed.element("IsTruncated"), Some("false"));

    let etag = as_entities(two);
    let done = complete(&world, &id, &[(1, one.trim_matches('"')), (2, &etag)])
        .await
        .assert_ok();
    assert!(
        done.text().contains("<CompleteMultipartUploadResult"),
        "{}",
        done.text()
    );
    assert_eq!(
        done.element("Location"),
        Some("http://127.0.0.1:7070/bkt/big one")
    );
    let etag = done.etags().remove(0);
    assert!(etag.ends_with("-2\""), "{etag}");

    let head = world
        .send("HEAD /bkt/big%20one?partNumber=2", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        (head.status, head.header("x-amz-mp-parts-count")),
        (206, Some("2"))
    );
    assert_eq!(
        head.header("content-range"),
        Some("bytes 5242880-5242883/5242884")
    );
    assert_eq!(head.header("content-type"), Some("image/png"));
    assert_eq!(head.header("x-amz-meta-a"), Some("b"));
    let range = [("range", "bytes=5242878-5242881")];
    let across = world
        .send("GET /bkt/big%20one", &range, "")
        .await
        .assert_ok();
    assert_eq!(
        (across.text(), across.header("etag")),
        ("aata", Some(etag.as_str()))
    );
    let beyond = world.send("GET /bkt/big%20one?partNumber=3", &[], "").await;
    beyond.assert_error(416, "InvalidPartNumber", &[("PartNumberRequested", "3")]);
    let again = complete(&world, &id, &[(1, one), (2, two)])
        .await
        .assert_ok();
    assert_eq!(again.etags(), [etag]);
}

/// Clients write the quotes of an ETag as entities.
fn as_entities(etag: &str) -> String {
    etag.replace('"', "&quot;")
}

#[tokio::test]
async fn bad_completions_are_answered_in_s3s_words() {
    let world = World::with_bucket().await;
    let id = begin(&world, &[]).await;
    let small = part(&world, &id, 1, b"small".to_vec()).await.assert_ok();
    let large = part(&world, &id, 2, vec![b'a'; 5 * MIB]).await.assert_ok();
    let (small, large) = (small.header("etag").unwrap(), large.header("etag").unwrap());
    let too_small = complete(&world, &id, &[(1, small), (2, large)]).await;
    let details = [
        ("ProposedSize", "5"),
        ("MinSizeAllowed", "5242880"),
        ("PartNumber", "1"),
    ];
    too_small.assert_error(400, "EntityTooSmall", &details);
    complete(&world, &id, &[(2, large), (1, small)])
        .await
        .assert_error(400, "InvalidPartOrder", &[]);
    complete(&world, &id, &[(1, large)])
        .await
        .assert_error(400, "InvalidPart", &[]);
    complete(&world, &id, &[(7, large)])
        .await
        .assert_error(400, "InvalidPart", &[]);
    complete(&world, &id, &[])
        .await
        .assert_error(400, "MalformedXML", &[]);
    let line = format!("POST /bkt/big%20one?uploadId={id}");
    world
        .send(&line, &[], "<Complete")
        .await
        .assert_error(400, "MalformedXML", &[]);
    world
        .send(&line, &[], "")
        .await
        .assert_error(400, "MalformedXML", &[]);
    part(&world, &id, 10_001, b"x".to_vec())
        .await
        .assert_error(400, "InvalidArgument", &[]);
    part(&world, &id, 0, b"x".to_vec())
        .await
        .assert_error(400, "InvalidArgument", &[]);
    part(&world, "none", 1, b"x".to_vec())
        .await
        .assert_error(404, "NoSuchUpload", &[]);
    complete(&world, "none", &[(1, small)])
        .await
        .assert_error(404, "NoSuchUpload", &[]);
    let sized = [("x-amz-mp-object-size", "6")];
    let body = format!(
        "<CompleteMultipartUpload><Part><ETag>{small}</ETag><PartNumber>1</PartNumber></Part>\
         </CompleteMultipartUpload>"
    );
    world
        .send(&line, &sized, body)
        .await
        .assert_error(400, "IncompleteBody", &[]);
    complete(&world, &id, &[(1, small)]).await.assert_ok();
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let world = World::with_bucket().await;
    let id = begin(&world, &[]).await;
    part(&world, &id, 1, b"x".to_vec()).await.assert_ok();
    let line = format!("DELETE /bkt/big%20one?uploadId={id}");
    assert_eq!(world.send(&line, &[], "").await.status, 204);
    world
        .send(&line, &[], "")
        .await
        .assert_error(404, "NoSuchUpload", &[]);
    let line = format!("GET /bkt/big%20one?uploadId={id}");
    world
        .send(&line, &[], "")
        .await
        .assert_error(404, "NoSuchUpload", &[]);
}

#[tokio::test]
async fn checksums_of_parts_are_kept_and_joined() {
    let world = World::with_bucket().await;
    let headers = [("x-amz-checksum-algorithm", "CRC32")];
    let begun = world
        .send("POST /bkt/k?uploads", &headers, "")
        .await
        .assert_ok();
    assert_eq!(begun.header("x-amz-checksum-algorithm"), Some("CRC32"));
    assert_eq!(begun.header("x-amz-checksum-type"), Some("COMPOSITE"));
    let id = begun.element("UploadId").unwrap();
    let sum = [
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ];
    let line = format!("PUT /bkt/k?partNumber=1&uploadId={id}");
    let sent = world.send(&line, &sum, "hello").await.assert_ok();
    assert_eq!(sent.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let other = [("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00=")];
    world
        .send(&line, &other, "hello")
        .await
        .assert_error(400, "InvalidRequest", &[]);

    let body = |sum: &str| {
        format!(
            "<CompleteMultipartUpload><Part><ChecksumCRC32>{sum}</ChecksumCRC32><ETag>{}</ETag>\
             <PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
            sent.header("etag").unwrap()
        )
    };
    let line = format!("POST /bkt/k?uploadId={id}");
    world
        .send(&line, &[], body("AAAAAA=="))
        .await
        .assert_error(400, "InvalidPart", &[]);
    let whole = [("x-amz-checksum-crc32", "AAAAAA==-1")];
    world
        .send(&line, &whole, body("NhCmhg=="))
        .await
        .assert_error(400, "BadDigest", &[]);
    let done = world.send(&line, &[], body("NhCmhg==")).await.assert_ok();
    // The CRC-32 of the part's CRC-32, by zlib.
    assert_eq!(done.element("ChecksumCRC32"), Some("FKTmaw==-1"));
    assert_eq!(done.element("ChecksumType"), Some("COMPOSITE"));
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    let head = world.send("HEAD /bkt/k", &mode, "").await.assert_ok();
    assert_eq!(head.header("x-amz-checksum-crc32"), Some("FKTmaw==-1"));
    let listed = world
        .send("GET /bkt?list-type=2", &[], "")
        .await
        .assert_ok();
    assert_eq!(listed.element("ChecksumAlgorithm"), Some("CRC32"));
}
