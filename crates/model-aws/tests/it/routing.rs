//! Which S3 request is for which operation, among the served and the known.

use http::HeaderMap;
use sightline_model_aws::s3;
use sightline_wire::route::{Match, match_rest};

/// The name of the operation found, with `-` before one that is not served.
fn route(method: &str, target: &str, headers: &[(&'static str, &str)]) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    match match_rest(&s3::SERVICE, method, path, query, &map).unwrap() {
        Match::Served(operation) => operation.name.to_owned(),
        Match::Unserved(_, unserved) => format!("-{}", unserved.name),
        Match::Unknown => "?".to_owned(),
    }
}

#[test]
fn subresources_are_never_taken_for_plain_operations() {
    let cases = [
        ("GET", "/", "ListBuckets"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b/", "ListObjects"),
        ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2"),
        ("GET", "/b?list-type=3", "ListObjects"),
        ("GET", "/b?location", "GetBucketLocation"),
        ("GET", "/b?location=", "GetBucketLocation"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b?acl", "GetBucketAcl"),
        ("GET", "/b?uploads", "ListMultipartUploads"),
        (
            "GET",
            "/b?analytics&id=1",
            "-GetBucketAnalyticsConfiguration",
        ),
        ("GET", "/b?analytics", "-ListBucketAnalyticsConfigurations"),
        ("PUT", "/b", "CreateBucket"),
        ("PUT", "/b?acl", "PutBucketAcl"),
        ("PUT", "/b?policy", "PutBucketPolicy"),
        ("HEAD", "/b", "HeadBucket"),
        ("DELETE", "/b", "DeleteBucket"),
        ("DELETE", "/b?policy", "DeleteBucketPolicy"),
        ("POST", "/b?delete", "DeleteObjects"),
        ("POST", "/b", "?"),
        ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?x-id=GetObject", "GetObject"),
        ("GET", "/b/k?tagging", "GetObjectTagging"),
        ("GET", "/b/k?attributes", "GetObjectAttributes"),
        ("GET", "/b/k?uploadId=u", "ListParts"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/b/k?acl", "PutObjectAcl"),
        ("PUT", "/b/k?tagging", "PutObjectTagging"),
        ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?acl2", "PutObject"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
        ("POST", "/b/k?restore", "-RestoreObject"),
        ("POST", "/b/k?select&select-type=2", "-SelectObjectContent"),
        ("DELETE", "/b/k", "DeleteObject"),
        ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k?tagging", "DeleteObjectTagging"),
        ("PATCH", "/b/k", "?"),
        ("get", "/b/k", "?"),
        ("GET", "//k", "?"),
    ];
    for (method, target, expected) in cases {
        assert_eq!(route(method, target, &[]), expected, "{method} {target}");
    }
}

#[test]
fn copies_are_told_from_puts_by_their_source() {
    let source = [("x-amz-copy-source", "/b/k")];
    assert_eq!(route("PUT", "/b/k", &source), "CopyObject");
    assert_eq!(
        route("PUT", "/b/k?partNumber=1&uploadId=u", &source),
        "UploadPartCopy"
    );
    assert_eq!(
        route("PUT", "/b/k?partNumber=1&uploadId=u", &[]),
        "UploadPart"
    );
}
