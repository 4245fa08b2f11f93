//! Secrets at rest: sealed, and never lost by a wrong key file.

use std::os::unix::fs::PermissionsExt as _;

use sightline_identity::{Error, Identity, SealError};
use sightline_meta::{Meta, params};
use sightline_testkit::store;

use crate::people::House;
use crate::{now, open};

fn meta_of(dir: &tempfile::TempDir) -> Meta {
    sightline_testkit::store::open(dir.path())
}

async fn start(dir: &tempfile::TempDir) -> Result<Identity, Error> {
    let region = "us-east-1".parse().unwrap();
    Identity::open(meta_of(dir), region, &dir.path().join("secret.key"), now()).await
}

/// Every byte that the store has on disk.
fn stored_bytes(dir: &tempfile::TempDir) -> Vec<u8> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let of_store = paths.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("meta.sqlite")
    });
    of_store
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_store_never_holds_a_secret_in_the_clear() {
    // The files of a database server are not ours to read.
    if sightline_testkit::store::is_postgres() {
        return;
    }
    let house = House::new().await;
    let alice = house.user("alice").await;
    house.attach("alice", "SightlineReader").await;
    let permit = house
        .permit_of(&alice, "sts:GetSessionToken", "arn:aws:sts:::*")
        .unwrap();
    let session = house.identity.session_token(&permit, None).await.unwrap();
    let root = house.identity.root_key().await.unwrap();
    let bytes = stored_bytes(&house.dir);
    assert!(
        holds(&bytes, &alice.id),
        "the bytes of the store are not all here"
    );
    let token = session.session_token.as_ref().unwrap();
    for secret in [&alice.secret, &session.secret, &root.secret, token] {
        assert!(!holds(&bytes, secret.reveal()));
        assert!(!format!("{alice:?}{session:?}").contains(secret.reveal()));
    }
}

#[tokio::test]
async fn a_lost_or_wrong_key_file_stops_the_start_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = open(&dir).await.root_key().await.unwrap();
    let file = dir.path().join("secret.key");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let missing = start(&dir).await.unwrap_err();
    assert!(
        matches!(missing, Error::Seal(SealError::Missing(_))),
        "{missing}"
    );
    assert!(!file.exists(), "no other key may take its place");
    std::fs::write(&file, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = start(&dir).await.unwrap_err();
    assert!(matches!(wrong, Error::Seal(SealError::Wrong(_))), "{wrong}");
    std::fs::write(&file, kept).unwrap();
    let again = start(&dir).await.unwrap();
    assert_eq!(again.root_key().await.unwrap(), root);
}

#[tokio::test]
async fn the_first_start_after_an_upgrade_seals_what_lies_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let root = open(&dir).await.root_key().await.unwrap();
    let (id, secret) = (root.id.clone(), root.secret.reveal().to_owned());
    let meta = meta_of(&dir);
    let undone = meta.write(move |tx| {
        let clear = "UPDATE access_keys SET secret = $2 WHERE access_key_id = $1";
        tx.execute(clear, params![id, secret])?;
        tx.execute("UPDATE identity_state SET seal_check = NULL", params![])
    });
    let undone: Result<usize, sightline_meta::MetaError> = undone.await;
    undone.unwrap();
    drop(meta);
    assert!(file_holds(&dir, root.secret.reveal()) != store::is_postgres());
    std::fs::remove_file(dir.path().join("secret.key")).unwrap();
    let upgraded = start(&dir).await.unwrap();
    assert_eq!(upgraded.root_key().await.unwrap().secret, root.secret);
    let read: Result<Option<String>, sightline_meta::MetaError> = meta_of(&dir)
        .read(|reader| {
            let sql = "SELECT secret FROM access_keys";
            reader.query_one(sql, params![], |row| row.get(0))
        })
        .await;
    let stored = read.unwrap().unwrap();
    assert!(stored.starts_with("v1:"), "{stored}");
    assert!(!file_holds(&dir, root.secret.reveal()));
}

/// Whether a text stands anywhere in the files of the store. The log comes first: a store that is
/// just being closed moves it into the file and then removes it.
fn file_holds(dir: &tempfile::TempDir, text: &str) -> bool {
    let files = ["meta.sqlite-wal", "meta.sqlite"].map(|name| dir.path().join(name));
    files.iter().any(|file| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}
