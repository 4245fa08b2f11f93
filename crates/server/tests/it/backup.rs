//! Backups that are made, restored and compared; and those that must fail.

use std::path::{Path, PathBuf};

use http::Method;
use sightline_config::{ObjectStore, Secret, Setting as _, Settings};
use sightline_ports::SystemClock;
use sightline_server::backup::{BackUp, BackupError, Manifest, back_up, restore};

use crate::world::{Ask, World};

async fn make(world: &World, to: &Path) -> Result<Manifest, BackupError> {
    back_up(&BackUp {
        settings: &Settings::default(),
        data_dir: world.directory(),
        to,
        secrets: true,
        clock: &SystemClock,
    })
    .await
}

fn key(world: &World, number: usize) -> String {
    format!("/{}/key-{number}", world.assembly.default_bucket)
}

async fn put(world: &World, number: usize, text: &str) {
    let put = Ask::s3(Method::PUT, &key(world, number), text.to_owned());
    assert_eq!(world.ask(put).await.status, 200);
}

/// More than lies with the metadata, whatever the configuration says.
fn large(text: &str) -> String {
    text.repeat(100_000 / text.len() + 1)
}

async fn text(world: &World, number: usize) -> String {
    let got = world
        .ask(Ask::s3(Method::GET, &key(world, number), ""))
        .await;
    assert_eq!(got.status, 200, "{}", got.text);
    got.text
}

/// The blobs of a store of one directory.
fn blobs_in(data_dir: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(data_dir.join("blobs/blobs")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

/// A server on a restored backup, beside the one that it was made of.
async fn restored(from: &Path) -> World {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = parent.path().join("data");
    restore(from, &data_dir).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::remove_dir(directory.path()).unwrap();
    std::fs::rename(&data_dir, directory.path()).unwrap();
    World::on(directory, Settings::default()).await
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let world = World::new().await;
    let long = "x".repeat(1_000_000);
    put(&world, 0, "first").await;
    put(&world, 1, &long).await;
    put(&world, 2, "").await;
    let place = tempfile::tempdir().unwrap();
    for to in [place.path().join("folder"), place.path().join("file.tar")] {
        let made = make(&world, &to).await.unwrap();
        assert_eq!(made.left_out, [""; 0]);
        put(&world, 0, "after the backup").await;
        let copy = restored(&to).await;
        assert_eq!(text(&copy, 0).await, "first");
        assert_eq!(text(&copy, 1).await, long);
        assert_eq!(text(&copy, 2).await, "");
        assert_eq!(copy.root().id, world.root().id);
        let puts = copy.events("PutObject").await;
        assert!(3 <= puts.len(), "{puts:?}");
        put(&copy, 3, "it works on").await;
        put(&world, 0, "first").await;
    }
}

#[tokio::test]
async fn a_second_backup_copies_only_what_is_not_there() {
    let world = World::new().await;
    let place = tempfile::tempdir().unwrap();
    put(&world, 0, &large("stays")).await;
    put(&world, 1, &large("is replaced")).await;
    let first = make(&world, place.path()).await.unwrap();
    assert_eq!(first.copied, first.blobs);
    put(&world, 1, &large("has replaced")).await;
    let second = make(&world, place.path()).await.unwrap();
    assert_eq!((second.blobs, second.copied), (first.blobs, 1));
    let copy = restored(place.path()).await;
    assert_eq!(text(&copy, 0).await, large("stays"));
    assert_eq!(text(&copy, 1).await, large("has replaced"));
    let snapshots = std::fs::read_dir(place.path().join("snapshots")).unwrap();
    assert_eq!(snapshots.count(), 1, "what is needed no longer goes");
}

#[tokio::test]
async fn a_damaged_store_gives_no_backup() {
    let world = World::new().await;
    let place = tempfile::tempdir().unwrap();
    put(&world, 0, &large("whole")).await;
    make(&world, place.path()).await.unwrap();
    put(&world, 1, &large("garbled")).await;
    for damage in ["changed", "", "longer than before"] {
        let blob = blobs_in(world.directory())
            .into_iter()
            .find(|blob| std::fs::read(blob).unwrap() != large("whole").as_bytes())
            .unwrap();
        std::fs::write(&blob, damage).unwrap();
        let error = make(&world, place.path()).await.unwrap_err();
        assert!(
            matches!(error, BackupError::Damaged { .. }),
            "{damage}: {error:?}"
        );
    }
    for blob in blobs_in(world.directory()) {
        std::fs::remove_file(blob).unwrap();
    }
    let error = make(&world, place.path()).await.unwrap_err();
    assert!(matches!(error, BackupError::Blob(_)), "{error:?}");
    // The backup before is as it was.
    assert_eq!(text(&restored(place.path()).await, 0).await, large("whole"));
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let world = World::new().await;
    put(&world, 0, &large("content")).await;
    let files = |folder: &Path| -> Vec<PathBuf> {
        let mut waiting = vec![folder.to_owned()];
        let mut files = Vec::new();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(
                    std::fs::read_dir(path)
                        .unwrap()
                        .map(|one| one.unwrap().path()),
                );
            } else {
                files.push(path);
            }
        }
        files
    };
    let checked = ["meta.sqlite", "blobs.jsonl"];
    let mut tried = 0;
    let whole = tempfile::tempdir().unwrap();
    make(&world, whole.path()).await.unwrap();
    for path in files(whole.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_blob = name.len() == 32;
        if !is_blob && !checked.contains(&name) {
            continue;
        }
        let before = std::fs::read(&path).unwrap();
        let mut after = before.clone();
        let middle = after.len() / 2;
        after[middle] ^= 1;
        std::fs::write(&path, &after).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("data");
        let error = restore(whole.path(), &data_dir).await.unwrap_err();
        let told = matches!(
            error,
            BackupError::Damaged { .. } | BackupError::DamagedFile(_)
        );
        assert!(told, "{name}: {error:?}");
        assert!(!data_dir.exists(), "{name}: half a directory was left");
        std::fs::write(&path, &before).unwrap();
        tried += 1;
    }
    assert!(3 <= tried, "{tried}");
    std::fs::remove_file(whole.path().join("backup.json")).unwrap();
    let parent = tempfile::tempdir().unwrap();
    let error = restore(whole.path(), &parent.path().join("data"))
        .await
        .unwrap_err();
    assert!(matches!(error, BackupError::NoBackup(_)), "{error:?}");
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_made_of_nothing() {
    let world = World::new().await;
    let place = tempfile::tempdir().unwrap();
    make(&world, place.path()).await.unwrap();
    let error = restore(place.path(), world.directory()).await.unwrap_err();
    assert!(matches!(error, BackupError::Occupied(_)), "{error:?}");
    let nowhere = tempfile::tempdir().unwrap();
    let error = back_up(&BackUp {
        settings: &Settings::default(),
        data_dir: nowhere.path(),
        to: &place.path().join("other"),
        secrets: false,
        clock: &SystemClock,
    })
    .await
    .unwrap_err();
    assert!(matches!(error, BackupError::NoData(_)), "{error:?}");
}

#[tokio::test]
async fn what_lies_elsewhere_is_left_to_its_own_tools() {
    let world = World::new().await;
    let place = tempfile::tempdir().unwrap();
    let mut postgres = Settings::default();
    postgres.metadata.url = Secret::from_text("postgres://host/database");
    let mut bucket = Settings::default();
    bucket.objects.store = ObjectStore::S3;
    for (settings, tool) in [(postgres, "pg_dump"), (bucket, "bucket's versions")] {
        let error = back_up(&BackUp {
            settings: &settings,
            data_dir: world.directory(),
            to: place.path(),
            secrets: false,
            clock: &SystemClock,
        })
        .await
        .unwrap_err();
        assert!(error.to_string().contains(tool), "{error}");
    }
}
