//! The contract of [`BlobStore`], asserted on any implementation of it.
//!
//! A test makes an empty store and calls [`keeps_every_promise`]. The functions panic where a
//! promise is broken, as assertions do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};

/// The largest amount of a blob that a store may hold in memory, whatever the blob's size.
const HELD_BYTES_MAX: u64 = 12 * 1024 * 1024;

/// Size of the pieces in which the suite sends large blobs.
const PIECE_BYTES: usize = 64 * 1024;

/// The whole of a blob.
pub const WHOLE: ByteRange = ByteRange {
    start: 0,
    end: u64::MAX,
};

/// Asserts every promise of the port on an empty `store`.
pub async fn keeps_every_promise(store: Arc<dyn BlobStore>) {
    assert_eq!(
        names(&*store).await,
        [],
        "the suite starts on an empty store"
    );
    blobs_come_back_as_they_went(&*store).await;
    ranges_are_cut_to_the_blob(&*store).await;
    absent_blobs_are_not_found(&*store).await;
    failed_sources_leave_nothing(&*store).await;
    dropped_puts_leave_nothing(&*store).await;
    open_reads_outlive_deletion(&*store).await;
    memory_does_not_grow_with_the_blob(&*store).await;
    lists_are_paged_in_order(&*store).await;
    concurrent_blobs_do_not_mix(store).await;
}

/// A way in which the ground under a store can fail, switched on and off by the test.
pub struct Failure<'f> {
    /// What fails, for the messages of assertions.
    pub name: &'static str,
    /// Whether a write that is told to have failed may have succeeded, as when only the answer is
    /// lost. Otherwise a failed write leaves nothing.
    pub loses_answers: bool,
    /// Makes the ground fail.
    pub begin: &'f dyn Fn(),
    /// Makes it whole again.
    pub end: &'f dyn Fn(),
}

/// How long an operation may take to give up on a failing ground.
const GIVING_UP_MAX: Duration = Duration::from_secs(60);

/// Asserts that under `failure` every answer of `store` is true: what it says it stored is there,
/// what it says it read is right, what it says is missing is missing; and that some answer was an
/// error. `kept` and `written` are unused names, and are unused again afterwards.
pub async fn tells_the_truth_under(
    failure: &Failure<'_>,
    store: &dyn BlobStore,
    kept: &BlobId,
    written: &BlobId,
) {
    let name = failure.name;
    let bytes = pattern(6_000_001);
    put(store, kept, &bytes).await;
    for length in [4096, 11_000_003] {
        (failure.begin)();
        let tried =
            tokio::time::timeout(GIVING_UP_MAX, try_everything(store, kept, written, length));
        let (errors, stored) = tried
            .await
            .unwrap_or_else(|_| panic!("{name}: it never gives up"));
        (failure.end)();
        assert!(0 < errors, "{name}: nothing failed");
        let found = read_if_there(store, written).await;
        let listed = names(store).await.contains(written);
        assert_eq!(listed, found.is_some(), "{name}: lists and reads differ");
        match found {
            Some(found) => {
                assert!(
                    stored || failure.loses_answers,
                    "{name}: a failed put is readable"
                );
                assert!(found == pattern(length), "{name}: a torn blob is readable");
            }
            None => assert!(!stored, "{name}: an acknowledged blob is gone"),
        }
        assert!(
            get(store, kept, WHOLE).await == bytes,
            "{name}: another blob suffered"
        );
        store.delete(written).await.expect("it is deleted");
    }
    put(store, written, b"the name is usable again").await;
    store.delete(written).await.expect("it is deleted");
    store.delete(kept).await.expect("it is deleted");
}

/// Runs each operation once, and tells how many failed and whether the put succeeded.
async fn try_everything(
    store: &dyn BlobStore,
    kept: &BlobId,
    written: &BlobId,
    length: usize,
) -> (usize, bool) {
    let mut errors = 0;
    let stored = match store.put(written, source(pattern(length))).await {
        Ok(size) => {
            assert_eq!(size, length as u64);
            true
        }
        Err(BlobError::Store { .. }) => {
            errors += 1;
            false
        }
        Err(other) => panic!("a failing store gave {other:?}"),
    };
    match store.get(kept, WHOLE).await {
        Ok(bytes) => match bytes.try_collect::<Vec<Bytes>>().await {
            Ok(pieces) => assert!(
                pieces.concat() == pattern(6_000_001),
                "a read was cut short"
            ),
            Err(_) => errors += 1,
        },
        Err(BlobError::Store { .. }) => errors += 1,
        Err(other) => panic!("a blob that is there gave {other:?}"),
    }
    match store.list(None, usize::MAX).await {
        Ok(listed) => assert!(listed.contains(kept), "a list lacks a blob"),
        Err(_) => errors += 1,
    }
    (errors, stored)
}

async fn read_if_there(store: &dyn BlobStore, id: &BlobId) -> Option<Vec<u8>> {
    match store.get(id, WHOLE).await {
        Ok(bytes) => Some(read_all(bytes).await),
        Err(BlobError::NotFound(_)) => None,
        Err(other) => panic!("a healthy store gave {other:?}"),
    }
}

/// A blob name made of one digit, for tests that want to read it.
#[must_use]
pub fn id(digit: char) -> BlobId {
    let text: String = std::iter::repeat_n(digit, 32).collect();
    BlobId::parse(&text).expect("a hexadecimal digit names a blob")
}

/// A source that gives `bytes` as one piece.
#[must_use]
pub fn source(bytes: impl Into<Bytes>) -> BlobStream {
    let bytes = bytes.into();
    stream::iter([Ok(bytes)]).boxed()
}

/// A source that gives each of `pieces` and then fails as a broken connection does.
#[must_use]
pub fn failing_source(pieces: Vec<Bytes>) -> BlobStream {
    let failure = Err(io::Error::from(io::ErrorKind::ConnectionReset));
    stream::iter(pieces.into_iter().map(Ok))
        .chain(stream::iter([failure]))
        .boxed()
}

/// Reads a stream to its end.
pub async fn read_all(bytes: BlobStream) -> Vec<u8> {
    let pieces: Vec<Bytes> = bytes
        .try_collect()
        .await
        .expect("the blob is readable to its end");
    pieces.concat()
}

/// `length` bytes in which every position can be told from its neighbours.
#[must_use]
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(31) >> 3) as u8 ^ at as u8)
        .collect()
}

async fn names(store: &dyn BlobStore) -> Vec<BlobId> {
    store
        .list(None, usize::MAX)
        .await
        .expect("the store lists its blobs")
}

async fn put(store: &dyn BlobStore, id: &BlobId, bytes: &[u8]) {
    let size = store
        .put(id, source(bytes.to_vec()))
        .await
        .expect("the blob is stored");
    assert_eq!(size, bytes.len() as u64);
}

async fn get(store: &dyn BlobStore, id: &BlobId, range: ByteRange) -> Vec<u8> {
    read_all(store.get(id, range).await.expect("the blob is there")).await
}

async fn blobs_come_back_as_they_went(store: &dyn BlobStore) {
    for length in [0, 1, 4096, PIECE_BYTES + 1, 3 * 1024 * 1024 + 7] {
        let bytes = pattern(length);
        let pieces: Vec<_> = bytes
            .chunks(70_001)
            .map(|piece| Ok(piece.to_vec().into()))
            .collect();
        let size = store
            .put(&id('a'), stream::iter(pieces).boxed())
            .await
            .expect("it is stored");
        assert_eq!(size, length as u64);
        assert!(
            get(store, &id('a'), WHOLE).await == bytes,
            "{length} bytes differ"
        );
        store.delete(&id('a')).await.expect("it is deleted");
    }
    assert_eq!(names(store).await, []);
}

async fn ranges_are_cut_to_the_blob(store: &dyn BlobStore) {
    let bytes = pattern(1_000_000);
    put(store, &id('b'), &bytes).await;
    let cases = [
        (0, 1),
        (0, 0),
        (999_999, 1_000_000),
        (300_000, 700_001),
        (10, u64::MAX),
    ];
    for (start, end) in cases {
        let wanted = &bytes[start..usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len())];
        let got = get(
            store,
            &id('b'),
            ByteRange {
                start: start as u64,
                end,
            },
        )
        .await;
        assert!(got == wanted, "{start}..{end} differs");
    }
    let beyond = ByteRange {
        start: 1_000_000,
        end: 2_000_000,
    };
    assert!(get(store, &id('b'), beyond).await.is_empty());
    store.delete(&id('b')).await.expect("it is deleted");
}

async fn absent_blobs_are_not_found(store: &dyn BlobStore) {
    match store.get(&id('c'), WHOLE).await.map(|_| ()) {
        Err(BlobError::NotFound(absent)) => assert_eq!(absent, id('c')),
        other => panic!("an absent blob gave {other:?}"),
    }
    store
        .delete(&id('c'))
        .await
        .expect("deleting an absent blob succeeds");
}

async fn failed_sources_leave_nothing(store: &dyn BlobStore) {
    for pieces in [0, 1, 2, 100] {
        let sent = vec![Bytes::from(pattern(PIECE_BYTES)); pieces];
        match store.put(&id('d'), failing_source(sent)).await {
            Err(BlobError::Source(cause)) => {
                assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
            }
            other => panic!("a failing source gave {other:?}"),
        }
        assert!(
            store.get(&id('d'), WHOLE).await.is_err(),
            "{pieces} pieces are readable"
        );
        assert_eq!(names(store).await, []);
    }
    put(store, &id('d'), b"the name is free again").await;
    store.delete(&id('d')).await.expect("it is deleted");
}

/// A client that hangs up drops the future that stores its bytes.
async fn dropped_puts_leave_nothing(store: &dyn BlobStore) {
    for pieces in [0, 1, 100] {
        let sent = stream::iter(vec![Bytes::from(pattern(PIECE_BYTES)); pieces]).map(Ok);
        let name = id('e');
        let mut put = store.put(&name, sent.chain(stream::pending()).boxed());
        for _ in 0..pieces + 2 {
            assert!(
                futures_util::poll!(&mut put).is_pending(),
                "the source has not ended"
            );
            tokio::task::yield_now().await;
        }
        drop(put);
        assert!(
            store.get(&name, WHOLE).await.is_err(),
            "{pieces} pieces are readable"
        );
        assert_eq!(names(store).await, []);
    }
}

async fn open_reads_outlive_deletion(store: &dyn BlobStore) {
    let bytes = pattern(5_000_000);
    put(store, &id('f'), &bytes).await;
    let mut reading = store.get(&id('f'), WHOLE).await.expect("the blob is there");
    let first = reading
        .next()
        .await
        .expect("it has bytes")
        .expect("they are readable");
    assert!(first.len() < bytes.len(), "the read must still be going on");
    store.delete(&id('f')).await.expect("it is deleted");
    assert!(
        store.get(&id('f'), WHOLE).await.is_err(),
        "a deleted blob is gone for new readers"
    );
    let rest = read_all(reading).await;
    assert!(
        [first.as_ref(), &rest].concat() == bytes,
        "the open read was disturbed"
    );
}

/// Bytes that count how many of their kind are alive.
struct Counted(Bytes, Arc<AtomicU64>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len() as u64, Ordering::SeqCst);
    }
}

async fn memory_does_not_grow_with_the_blob(store: &dyn BlobStore) {
    let (held, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let piece = Bytes::from(pattern(PIECE_BYTES));
    let size = 4 * HELD_BYTES_MAX;
    let (counted, peak) = (Arc::clone(&held), Arc::clone(&most));
    let pieces = stream::iter(0..size / PIECE_BYTES as u64).map(move |_| {
        let now = counted.fetch_add(PIECE_BYTES as u64, Ordering::SeqCst) + PIECE_BYTES as u64;
        peak.fetch_max(now, Ordering::SeqCst);
        Ok(Bytes::from_owner(Counted(
            piece.clone(),
            Arc::clone(&counted),
        )))
    });
    assert_eq!(
        store
            .put(&id('0'), pieces.boxed())
            .await
            .expect("it is stored"),
        size
    );
    let most = most.load(Ordering::SeqCst);
    assert!(most <= HELD_BYTES_MAX, "a put held {most} bytes of {size}");
    assert_eq!(
        held.load(Ordering::SeqCst),
        0,
        "a finished put still holds bytes"
    );

    let mut reading = store.get(&id('0'), WHOLE).await.expect("the blob is there");
    let mut seen = 0;
    while let Some(piece) = reading.try_next().await.expect("it is readable") {
        assert!(
            piece.len() as u64 <= HELD_BYTES_MAX,
            "a read gave {} bytes at once",
            piece.len()
        );
        seen += piece.len() as u64;
    }
    assert_eq!(seen, size);
    store.delete(&id('0')).await.expect("it is deleted");
}

async fn lists_are_paged_in_order(store: &dyn BlobStore) {
    let mut wanted: Vec<BlobId> = (0..40_u32)
        .map(|n| format!("{:02x}{n:030x}", n.wrapping_mul(37) % 5))
        .map(|text| BlobId::parse(&text).expect("it names a blob"))
        .collect();
    for id in &wanted {
        put(store, id, b"x").await;
    }
    wanted.sort_unstable();
    for max in [1, 7, 40, 41] {
        let mut seen: Vec<BlobId> = Vec::new();
        loop {
            let page = store
                .list(seen.last(), max)
                .await
                .expect("the store lists its blobs");
            assert!(page.len() <= max);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, wanted, "pages of {max}");
    }
    for id in &wanted {
        store.delete(id).await.expect("it is deleted");
    }
}

async fn concurrent_blobs_do_not_mix(store: Arc<dyn BlobStore>) {
    let one = |n: u32| {
        let store = Arc::clone(&store);
        async move {
            let id = BlobId::parse(&format!("{n:032x}")).expect("it names a blob");
            let bytes = pattern(200_000 + n as usize);
            put(&*store, &id, &bytes).await;
            assert!(get(&*store, &id, WHOLE).await == bytes, "blob {n} differs");
            store.delete(&id).await.expect("it is deleted");
        }
    };
    stream::iter(0..64).for_each_concurrent(16, one).await;
    assert_eq!(names(&*store).await, []);
}
