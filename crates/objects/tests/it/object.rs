//! Objects: what is written is what is read, under any key, by any number of writers.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sightline_objects::{
    Algorithm, Attributes, Checksum, Conditions, Declared, Error, Etags, NewObject, Object,
    Payload, PayloadError, RangeSpec, Trailer, Wanted, WriteCondition,
};
use sightline_testkit::blob::{failing_source, pattern};

use crate::world::{World, bucket, new, parse, read};

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let world = World::with_bucket().await;
    let attributes = Attributes {
        content_type: Some("text/csv".to_owned()),
        cache_control: Some("no-store".to_owned()),
        user: BTreeMap::from([("owner".to_owned(), "ünïcode".to_owned())]),
        ..Attributes::default()
    };
    let new = NewObject {
        attributes: attributes.clone(),
        ..new("k")
    };
    let put = world.try_put(new, Payload::whole("hello")).await.unwrap();
    assert_eq!(
        put.etag, "5d41402abc4b2a76b9719d911017c592",
        "the MD5 of hello"
    );
    let found = world.find("k", &Wanted::default()).await.unwrap();
    assert_eq!(found.selected.object, put);
    assert_eq!(found.selected.object.attributes, attributes);
    assert_eq!(read(found).await, b"hello");
    let permit = world.permit("s3:GetObject");
    let head = world
        .objects
        .head(&permit, &bucket(), &parse("k"), &Wanted::default())
        .await;
    assert_eq!(head.unwrap().object, put);
}

#[tokio::test]
async fn ranges_and_conditions_select_what_is_read() {
    let world = World::with_bucket().await;
    world.put("k", b"0123456789").await;
    let wanted = Wanted {
        range: Some(RangeSpec::Within(2, 4)),
        ..Wanted::default()
    };
    let found = world.find("k", &wanted).await.unwrap();
    assert_eq!(
        found.selected.range.map(|range| (range.start, range.end)),
        Some((2, 5))
    );
    assert_eq!(read(found).await, b"234");
    let beyond = Wanted {
        range: Some(RangeSpec::From(10)),
        ..Wanted::default()
    };
    let refused = world.find("k", &beyond).await;
    assert!(
        matches!(refused, Err(Error::RangeNotSatisfiable { size: 10 })),
        "{refused:?}"
    );

    let other = Conditions {
        if_match: Some(Etags::parse("\"x\"")),
        ..Conditions::default()
    };
    let refused = world
        .find(
            "k",
            &Wanted {
                conditions: other,
                ..Wanted::default()
            },
        )
        .await;
    assert!(
        matches!(refused, Err(Error::PreconditionFailed { .. })),
        "{refused:?}"
    );

    let absent = world.find("absent", &Wanted::default()).await;
    assert!(matches!(absent, Err(Error::KeyNotFound(_))), "{absent:?}");
}

#[tokio::test]
async fn keys_are_data_and_never_paths() {
    let world = World::with_bucket().await;
    let longest = "é".repeat(512);
    let keys = [
        "a/../b",
        "b",
        "../../../etc/passwd",
        "/etc/passwd",
        "a//b",
        "a/b",
        "a/b/",
        "a/",
        "a",
        ".",
        "..",
        "%2e%2e/b",
        "%2e",
        "a\\b",
        "a\\..\\b",
        " ",
        "a b",
        "\u{1}",
        "ü",
        "u\u{308}",
        "\u{202e}x",
        "CON",
        "A",
        &longest,
    ];
    for key in keys {
        world.put(key, key.as_bytes()).await;
    }
    let mut sorted: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    sorted.sort_unstable();
    assert_eq!(world.keys().await, sorted);
    for key in keys {
        assert_eq!(world.get(key).await, key.as_bytes(), "{key:?}");
    }
    let mut files = Vec::new();
    files_below(world.path(), &mut files);
    let blobs = files.iter().filter(|path| path.contains("/objects/blobs/"));
    assert_eq!(blobs.clone().count(), keys.len());
    assert_eq!(
        files
            .iter()
            .filter(|path| path.contains("/meta.sqlite") || path.ends_with("/secret.key"))
            .count(),
        files.len() - keys.len()
    );
    world.delete("a/../b").await;
    assert_eq!(world.get("b").await, b"b");
}

fn files_below(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn replaced_and_deleted_bytes_are_freed() {
    let world = World::with_bucket().await;
    for round in 0..5_u8 {
        world.put("k", &[round; 1000]).await;
    }
    assert_eq!(world.blob_count().await, 1);
    world.delete("k").await;
    world.delete("k").await;
    assert_eq!(world.blob_count().await, 0);
    assert!(matches!(
        world.find("k", &Wanted::default()).await,
        Err(Error::KeyNotFound(_))
    ));
}

#[tokio::test]
async fn a_read_goes_on_although_its_object_is_replaced() {
    let world = World::with_bucket().await;
    let old = pattern(3_000_000);
    world.put("k", &old).await;
    let mut found = world.find("k", &Wanted::default()).await.unwrap();
    let first = found.bytes.try_next().await.unwrap().unwrap();
    world.put("k", b"new").await;
    assert_eq!(world.get("k").await, b"new");
    let rest = read(found).await;
    assert!(
        [&first[..], &rest].concat() == old,
        "the open read was disturbed"
    );
    world.put("other", b"").await;
    assert_eq!(
        world.blob_count().await,
        2,
        "the old bytes go once nobody reads them"
    );
}

/// Racing writers, and readers among them, see one whole version at each moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_one_whole_object_remains() {
    let world = World::with_bucket().await;
    let version = |n: u8| vec![n; 100_000 + usize::from(n)];
    world.put("k", &version(0)).await;
    let check = |bytes: Vec<u8>| {
        let n = *bytes.first().unwrap();
        assert!(
            bytes == version(n),
            "{} bytes of {n} and others",
            bytes.len()
        );
        n
    };
    let write = stream::iter(1..=64_u8).for_each_concurrent(16, async |n| {
        let put = world.put("k", &version(n)).await;
        assert_eq!(put.size, version(n).len() as u64);
    });
    let read = stream::iter(0..200).for_each_concurrent(8, async |_| {
        check(world.get("k").await);
    });
    tokio::join!(write, read);
    let winner = check(world.get("k").await);
    let head = world
        .find("k", &Wanted::default())
        .await
        .unwrap()
        .selected
        .object;
    assert_eq!(head.size, version(winner).len() as u64);
    world.put("last", b"").await;
    assert_eq!(world.blob_count().await, 2, "every loser's bytes are freed");
}

#[tokio::test]
async fn of_many_first_writers_one_wins() {
    let world = World::with_bucket().await;
    let outcomes: Vec<Result<Object, Error>> = stream::iter(0..16_u8)
        .map(|n| {
            let new = NewObject {
                condition: Some(WriteCondition::Absent),
                ..new("k")
            };
            world.try_put(new, Payload::whole(vec![n; 10]))
        })
        .buffer_unordered(16)
        .collect()
        .await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 15));
    for outcome in lost {
        assert!(
            matches!(outcome, Err(Error::PreconditionFailed { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(world.blob_count().await, 1);

    let etag = won.into_iter().next().unwrap().unwrap().etag;
    let matching = |text: &str| Some(WriteCondition::Match(Etags::parse(text)));
    let wrong = NewObject {
        condition: matching("\"x\""),
        ..new("k")
    };
    let refused = world.try_put(wrong, Payload::whole("x")).await;
    assert!(
        matches!(refused, Err(Error::PreconditionFailed { .. })),
        "{refused:?}"
    );
    let absent = NewObject {
        condition: matching("*"),
        ..new("absent")
    };
    let refused = world.try_put(absent, Payload::whole("x")).await;
    assert!(matches!(refused, Err(Error::KeyNotFound(_))), "{refused:?}");
    let right = NewObject {
        condition: matching(&etag),
        ..new("k")
    };
    world.try_put(right, Payload::whole("x")).await.unwrap();
}

/// The CRC-32 of `hello` is `NhCmhg==` in Base64, by zlib.
fn crc(text: &str) -> Declared {
    Declared::Value(Checksum::parse(Algorithm::Crc32, text).unwrap())
}

fn trailing_crc(text: Option<&str>) -> Declared {
    let trailer = Trailer::default();
    if let Some(text) = text {
        trailer.set(text.to_owned());
    }
    Declared::Trailing(Algorithm::Crc32, trailer)
}

fn hello(md5: Option<[u8; 16]>, length: Option<u64>, checksum: Declared) -> Payload {
    Payload {
        md5,
        length,
        checksum,
        ..Payload::whole("hello")
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_was_declared_are_not_stored() {
    let world = World::with_bucket().await;
    world.put("k", b"before").await;
    let wrong_crc = PayloadError::Checksum(Algorithm::Crc32);
    let missing_crc = PayloadError::ChecksumMissing(Algorithm::Crc32);
    let nothing = || Declared::Nothing;
    let cases = [
        (hello(Some([0; 16]), None, nothing()), PayloadError::Md5),
        (
            hello(None, Some(6), nothing()),
            PayloadError::Length { declared: 6 },
        ),
        (
            hello(None, Some(4), nothing()),
            PayloadError::Length { declared: 4 },
        ),
        (hello(None, None, crc("AAAAAA==")), wrong_crc.clone()),
        (hello(None, None, trailing_crc(Some("AAAAAA=="))), wrong_crc),
        (
            hello(None, None, trailing_crc(Some("gibberish"))),
            missing_crc.clone(),
        ),
        (hello(None, None, trailing_crc(None)), missing_crc),
    ];
    for (payload, expected) in cases {
        match world.try_put(new("k"), payload).await {
            Err(Error::Payload(found)) => assert_eq!(found, expected),
            other => panic!("{other:?} instead of {expected:?}"),
        }
        assert_eq!(world.get("k").await, b"before");
        assert_eq!(world.blob_count().await, 1);
    }
    for checksum in [crc("NhCmhg=="), trailing_crc(Some("NhCmhg=="))] {
        let put = world
            .try_put(new("k"), hello(None, Some(5), checksum))
            .await
            .unwrap();
        assert_eq!(
            put.checksum.map(|sum| sum.text()).as_deref(),
            Some("NhCmhg==")
        );
    }
}

#[tokio::test]
async fn bytes_that_break_off_are_not_stored() {
    let world = World::with_bucket().await;
    world.put("k", b"before").await;
    let broken = Payload::new(failing_source(vec![Bytes::from("hel")]));
    match world.try_put(new("k"), broken).await {
        Err(Error::Source(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.get("k").await, b"before");
    assert_eq!(world.blob_count().await, 1);
}

#[tokio::test]
async fn writes_to_an_absent_bucket_take_no_bytes() {
    let world = World::new().await;
    let never_read = Payload::new(stream::poll_fn(|_| panic!("bytes were taken")).boxed());
    let refused = world.try_put(new("k"), never_read).await;
    assert!(
        matches!(refused, Err(Error::BucketNotFound(_))),
        "{refused:?}"
    );
    let found = world.find("k", &Wanted::default()).await;
    assert!(matches!(found, Err(Error::BucketNotFound(_))), "{found:?}");
}

#[tokio::test]
async fn files_are_stored_from_their_present_position() {
    let world = World::with_bucket().await;
    let bytes = pattern(1_000_000);
    let path = world.path().join("file");
    std::fs::write(&path, &bytes).unwrap();
    let payload = Payload::file(std::fs::File::open(&path).unwrap());
    assert_eq!(
        world.try_put(new("k"), payload).await.unwrap().size,
        1_000_000
    );
    assert!(world.get("k").await == bytes);
}
