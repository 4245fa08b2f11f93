//! Versions over the wire.

use crate::world::World;

fn status(status: &str) -> String {
    format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>")
}

async fn set(world: &World, to: &str) {
    world
        .send("PUT /bkt?versioning", &[], status(to))
        .await
        .assert_ok();
}

#[tokio::test]
async fn a_bucket_says_whether_it_keeps_versions() {
    let world = World::with_bucket().await;
    let off = world.send("GET /bkt?versioning", &[], "").await.assert_ok();
    assert!(
        off.text().contains("<VersioningConfiguration"),
        "{}",
        off.text()
    );
    assert_eq!(off.element("Status"), None);
    for to in ["Enabled", "Suspended"] {
        set(&world, to).await;
        let got = world.send("GET /bkt?versioning", &[], "").await.assert_ok();
        assert_eq!(got.element("Status"), Some(to));
    }
    let none = "<VersioningConfiguration/>";
    let none = world.send("PUT /bkt?versioning", &[], none).await;
    none.assert_error(400, "IllegalVersioningConfigurationException", &[]);
    let mfa = "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>\
               </VersioningConfiguration>";
    let mfa = world.send("PUT /bkt?versioning", &[], mfa).await;
    mfa.assert_error(501, "NotImplemented", &[]);
}

#[tokio::test]
async fn versions_are_written_read_listed_and_deleted() {
    let world = World::with_bucket().await;
    let before = world.send("PUT /bkt/k", &[], "zero").await.assert_ok();
    assert_eq!(before.header("x-amz-version-id"), None);
    set(&world, "Enabled").await;
    let put = world.send("PUT /bkt/k", &[], "one").await.assert_ok();
    let one = put.header("x-amz-version-id").unwrap().to_owned();
    let got = world.send("GET /bkt/k", &[], "").await.assert_ok();
    assert_eq!(got.header("x-amz-version-id"), Some(one.as_str()));
    let old = world
        .send("GET /bkt/k?versionId=null", &[], "")
        .await
        .assert_ok();
    assert_eq!(
        (old.text(), old.header("x-amz-version-id")),
        ("zero", Some("null"))
    );

    let deleted = world.send("DELETE /bkt/k", &[], "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    let gone = world.send("GET /bkt/k", &[], "").await;
    gone.assert_error(404, "NoSuchKey", &[("Key", "k")]);
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(gone.header("x-amz-version-id"), Some(marker.as_str()));
    let named = world
        .send(&format!("GET /bkt/k?versionId={marker}"), &[], "")
        .await;
    named.assert_error(405, "MethodNotAllowed", &[]);
    assert_eq!(named.header("allow"), Some("DELETE"));

    let listed = world.send("GET /bkt?versions", &[], "").await.assert_ok();
    assert!(
        listed.text().contains("<ListVersionsResult"),
        "{}",
        listed.text()
    );
    assert_eq!(listed.elements("Version").len(), 2);
    assert_eq!(listed.elements("DeleteMarker").len(), 1);
    let marked = listed.element("DeleteMarker").unwrap();
    assert!(marked.contains(&marker) && marked.contains("<IsLatest>true</IsLatest>"));

    let at = format!("DELETE /bkt/k?versionId={marker}");
    let back = world.send(&at, &[], "").await;
    assert_eq!(back.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(world.send("GET /bkt/k", &[], "").await.text(), "one");
    let full = world.send("DELETE /bkt", &[], "").await;
    full.assert_error(409, "BucketNotEmpty", &[]);
}

#[tokio::test]
async fn versions_are_paged_by_both_markers() {
    let world = World::with_bucket().await;
    set(&world, "Enabled").await;
    for key in ["a", "b", "b", "b", "c/x", "c/y"] {
        world
            .send(&format!("PUT /bkt/{key}"), &[], "x")
            .await
            .assert_ok();
    }
    let mut line = "GET /bkt?versions&max-keys=2&delimiter=/".to_owned();
    let (mut keys, mut latest, mut prefixes) = (Vec::new(), 0, Vec::new());
    loop {
        let page = world.send(&line, &[], "").await.assert_ok();
        let owned = |name| page.elements(name).into_iter().map(str::to_owned);
        keys.extend(owned("Key"));
        latest += owned("IsLatest").filter(|latest| latest == "true").count();
        prefixes.extend(
            page.elements("CommonPrefixes")
                .into_iter()
                .map(str::to_owned),
        );
        if page.element("IsTruncated") == Some("false") {
            break;
        }
        let (key, id) = (
            page.element("NextKeyMarker"),
            page.element("NextVersionIdMarker"),
        );
        line = format!(
            "GET /bkt?versions&max-keys=2&delimiter=/&key-marker={}",
            key.unwrap()
        );
        if let Some(id) = id {
            line.push_str(&format!("&version-id-marker={id}"));
        }
    }
    assert_eq!(keys, ["a", "b", "b", "b"]);
    assert_eq!(latest, 2);
    assert_eq!(prefixes, ["<Prefix>c/</Prefix>"]);
    let alone = world
        .send("GET /bkt?versions&version-id-marker=null", &[], "")
        .await;
    alone.assert_error(400, "InvalidArgument", &[]);
}

#[tokio::test]
async fn a_version_that_is_none_is_refused_and_one_that_is_not_there_is_missing() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/k", &[], "x").await.assert_ok();
    let wrong = world.send("GET /bkt/k?versionId=what", &[], "").await;
    wrong.assert_error(400, "InvalidArgument", &[("ArgumentValue", "what")]);
    let id = "a".repeat(32);
    let missing = world
        .send(&format!("GET /bkt/k?versionId={id}"), &[], "")
        .await;
    missing.assert_error(404, "NoSuchVersion", &[("VersionId", &id)]);
    let gone = world
        .send(&format!("DELETE /bkt/k?versionId={id}"), &[], "")
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(world.send("GET /bkt/k", &[], "").await.text(), "x");
    world
        .send("DELETE /bkt/k?versionId=null", &[], "")
        .await
        .assert_ok();
    assert_eq!(world.send("HEAD /bkt/k", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_version_needs_the_permission_for_versions() {
    let world = World::with_bucket().await;
    world.send("PUT /bkt/k", &[], "x").await.assert_ok();
    let world = world
        .limited_to(
            &["s3:GetObject", "s3:DeleteObject"],
            &["arn:aws:s3:::bkt/*"],
        )
        .await;
    world.send("GET /bkt/k", &[], "").await.assert_ok();
    for method in ["GET", "DELETE"] {
        let denied = world
            .send(&format!("{method} /bkt/k?versionId=null"), &[], "")
            .await;
        denied.assert_error(403, "AccessDenied", &[]);
    }
}
