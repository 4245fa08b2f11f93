//! The directory store against the contract of its port, and what is particular to directories.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use sightline_blob::DirBlobStore;
use sightline_ports::{BlobError, BlobStore};
use sightline_testkit::blob::{
    Failure, WHOLE, failing_source, id, keeps_every_promise, pattern, read_all, source,
    tells_the_truth_under,
};

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(files_below(&entry.path()));
        } else {
            names.push(entry.path().to_str().unwrap().to_owned());
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_store_keeps_every_promise() {
    let root = tempfile::tempdir().unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    keeps_every_promise(Arc::new(store)).await;
    assert_eq!(
        files_below(root.path()),
        [""; 0],
        "failed and dropped puts leave no file either"
    );
}

#[tokio::test]
async fn blobs_survive_a_restart_and_leftovers_do_not() {
    let root = tempfile::tempdir().unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    store.put(&id('a'), source("kept")).await.unwrap();
    std::fs::write(root.path().join("tmp").join(id('b').as_str()), "half a bl").unwrap();
    drop(store);

    let store = DirBlobStore::open(root.path()).unwrap();
    assert_eq!(
        read_all(store.get(&id('a'), WHOLE).await.unwrap()).await,
        b"kept"
    );
    assert_eq!(store.list(None, 10).await.unwrap(), [id('a')]);
    assert_eq!(files_below(&root.path().join("tmp")), [""; 0]);
}

#[tokio::test]
async fn planted_links_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join(id('a').as_str()), "secret").unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    store.put(&id('a'), source("ours")).await.unwrap();

    let file = root.path().join("blobs/aa").join(id('a').as_str());
    std::fs::remove_file(&file).unwrap();
    symlink(outside.path().join(id('a').as_str()), &file).unwrap();
    let read = store.get(&id('a'), WHOLE).await.map(|_| ());
    assert!(matches!(read, Err(BlobError::Store { .. })), "{read:?}");

    symlink(outside.path(), root.path().join("blobs/bb")).unwrap();
    let put = store.put(&id('b'), source("must stay inside")).await;
    assert!(matches!(put, Err(BlobError::Store { .. })), "{put:?}");
    std::fs::write(outside.path().join(id('b').as_str()), "secret").unwrap();
    let read = store.get(&id('b'), WHOLE).await.map(|_| ());
    assert!(matches!(read, Err(BlobError::Store { .. })), "{read:?}");
    let deleted = store.delete(&id('b')).await;
    assert!(
        matches!(deleted, Err(BlobError::Store { .. })),
        "{deleted:?}"
    );
    assert_eq!(
        files_below(outside.path()).len(),
        2,
        "nothing was written or deleted through the link"
    );
}

#[tokio::test]
async fn a_store_that_fails_to_publish_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    // A file stands where the blob's folder must be, so writing succeeds and publishing fails.
    std::fs::write(root.path().join("blobs/cc"), "").unwrap();
    let put = store.put(&id('c'), source(pattern(3_000_000))).await;
    assert!(matches!(put, Err(BlobError::Store { .. })), "{put:?}");
    std::fs::remove_file(root.path().join("blobs/cc")).unwrap();
    store.put(&id('c'), source("now it works")).await.unwrap();
    assert_eq!(store.list(None, 10).await.unwrap(), [id('c')]);
}

#[test]
fn an_unfinished_blob_is_removed_although_the_runtime_ends_at_once() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    let put =
        runtime.block_on(store.put(&id('d'), failing_source(vec![pattern(2_000_000).into()])));
    assert!(matches!(put, Err(BlobError::Source(_))), "{put:?}");
    drop(runtime);
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test]
async fn a_failing_directory_is_never_believed() {
    let root = tempfile::tempdir().unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    let folder = root.path().join("blobs/bb");
    let unfinished = root.path().join("tmp").join(id('b').as_str());
    for (name, obstacle) in [("no folder", folder), ("no new file", unfinished)] {
        let failure = Failure {
            name,
            loses_answers: false,
            begin: &|| {
                drop(std::fs::remove_dir(&obstacle));
                std::fs::write(&obstacle, "").unwrap();
            },
            end: &|| std::fs::remove_file(&obstacle).unwrap(),
        };
        tells_the_truth_under(&failure, &store, &id('a'), &id('b')).await;
    }
}

#[tokio::test]
async fn an_open_read_whose_file_shrinks_ends_in_an_error() {
    let root = tempfile::tempdir().unwrap();
    let store = DirBlobStore::open(root.path()).unwrap();
    store
        .put(&id('a'), source(pattern(5_000_000)))
        .await
        .unwrap();
    let mut reading = store.get(&id('a'), WHOLE).await.unwrap();
    reading.next().await.unwrap().unwrap();
    let file = root.path().join("blobs/aa").join(id('a').as_str());
    std::fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let rest: Vec<_> = reading.collect().await;
    let error = rest.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
