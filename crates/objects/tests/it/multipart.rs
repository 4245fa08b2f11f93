//! Uploads in parts.

use sightline_objects::{
    Algorithm, Checksum, CompletedPart, Completion, Coverage, Declared, Entry, Error, ListQuery,
    NewUpload, Object, Part, Payload, PayloadError, Position, RangeSpec, Upload, UploadRef, Wanted,
};
use sightline_testkit::blob::pattern;

use crate::world::{World, bucket, parse, read};

const MIB: usize = 1 << 20;

struct Uploading<'w> {
    world: &'w World,
    upload: Upload,
}

impl<'w> Uploading<'w> {
    async fn begin(
        world: &'w World,
        checksum: Option<(Algorithm, Option<Coverage>)>,
    ) -> Uploading<'w> {
        let new = NewUpload {
            bucket: bucket(),
            key: parse("k"),
            attributes: Default::default(),
            checksum,
        };
        let permit = world.permit("s3:PutObject");
        let upload = world.objects.create_upload(&permit, new).await.unwrap();
        Uploading { world, upload }
    }

    fn named(&self) -> UploadRef {
        UploadRef {
            bucket: bucket(),
            key: parse("k"),
            upload_id: self.upload.id().to_owned(),
        }
    }

    async fn part(&self, number: u32, bytes: &[u8]) -> Part {
        self.try_part(number, Payload::whole(bytes.to_vec()))
            .await
            .unwrap()
    }

    async fn try_part(&self, number: u32, payload: Payload) -> Result<Part, Error> {
        let permit = self.world.permit("s3:PutObject");
        self.world
            .objects
            .upload_part(&permit, self.named(), number, payload)
            .await
    }

    async fn complete(&self, parts: &[&Part]) -> Result<Object, Error> {
        self.complete_as(parts.iter().map(|part| named(part)).collect())
            .await
    }

    async fn complete_as(&self, parts: Vec<CompletedPart>) -> Result<Object, Error> {
        self.try_complete(self.completion(parts)).await
    }

    fn completion(&self, parts: Vec<CompletedPart>) -> Completion {
        Completion {
            upload: self.named(),
            parts,
            condition: None,
            size: None,
            checksum: None,
        }
    }

    async fn try_complete(&self, completion: Completion) -> Result<Object, Error> {
        let permit = self.world.permit("s3:PutObject");
        self.world
            .objects
            .complete_upload(&permit, completion)
            .await
    }

    async fn abort(&self) -> Result<(), Error> {
        let permit = self.world.permit("s3:AbortMultipartUpload");
        self.world.objects.abort_upload(&permit, self.named()).await
    }
}

fn named(part: &Part) -> CompletedPart {
    CompletedPart {
        number: part.number,
        etag: part.etag.clone(),
        checksum: part.checksum.clone(),
    }
}

#[tokio::test]
async fn parts_become_one_object_in_the_order_of_their_numbers() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    let bytes = pattern(11 * MIB);
    let (first, rest) = bytes.split_at(5 * MIB);
    let (second, third) = rest.split_at(5 * MIB);
    let three = upload.part(9, third).await;
    upload.part(2, b"to be replaced").await;
    let two = upload.part(2, second).await;
    let one = upload.part(1, first).await;
    upload.part(5, b"never joined").await;
    assert_eq!(
        world.keys().await,
        [""; 0],
        "an unfinished upload is no object"
    );

    let object = upload.complete(&[&one, &two, &three]).await.unwrap();
    assert_eq!((object.size, object.part_count), (11 * MIB as u64, 3));
    assert!(
        object.etag.ends_with("-3") && object.etag.len() == 34,
        "{}",
        object.etag
    );
    assert!(world.get("k").await == bytes);
    assert_eq!(
        world.blob_count().await,
        3,
        "replaced and unused parts are freed"
    );

    let across = RangeSpec::Within(5 * MIB as u64 - 2, 10 * MIB as u64 + 1);
    let wanted = Wanted {
        range: Some(across),
        ..Wanted::default()
    };
    let got = read(world.find("k", &wanted).await.unwrap()).await;
    assert!(got == bytes[5 * MIB - 2..10 * MIB + 2]);
    let wanted = Wanted {
        part: Some(9),
        ..Wanted::default()
    };
    let found = world.find("k", &wanted).await.unwrap();
    assert_eq!(
        found.selected.range.map(|range| range.start),
        Some(10 * MIB as u64)
    );
    assert!(read(found).await == third);
    let wanted = Wanted {
        part: Some(3),
        ..Wanted::default()
    };
    let absent = world.find("k", &wanted).await;
    assert!(
        matches!(absent, Err(Error::PartNotFound { number: 3 })),
        "{absent:?}"
    );

    let again = upload.complete(&[&one, &two, &three]).await.unwrap();
    assert_eq!(again, object, "a repeated completion succeeds");
    world.delete("k").await;
    assert_eq!(world.blob_count().await, 0);
    let gone = upload.complete(&[&one]).await;
    assert!(matches!(gone, Err(Error::UploadNotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_read_of_parts_goes_on_although_the_object_is_replaced() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    let bytes = pattern(6 * MIB);
    let one = upload.part(1, &bytes[..5 * MIB]).await;
    let two = upload.part(2, &bytes[5 * MIB..]).await;
    upload.complete(&[&one, &two]).await.unwrap();
    let found = world.find("k", &Wanted::default()).await.unwrap();
    world.put("k", b"new").await;
    assert_eq!(
        world.blob_count().await,
        3,
        "both parts wait for their reader"
    );
    assert!(read(found).await == bytes);
    world.delete("k").await;
    assert_eq!(world.blob_count().await, 0);
}

#[tokio::test]
async fn parts_that_do_not_fit_are_refused_and_the_upload_stays() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    let small = upload.part(1, b"small").await;
    let large = upload.part(2, &pattern(5 * MIB)).await;

    let refused = upload.complete(&[&small, &large]).await;
    assert!(
        matches!(
            refused,
            Err(Error::PartTooSmall {
                number: 1,
                size: 5,
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = upload.complete(&[&large, &small]).await;
    assert!(matches!(refused, Err(Error::PartOrder)), "{refused:?}");
    let refused = upload.complete(&[&small, &small]).await;
    assert!(matches!(refused, Err(Error::PartOrder)), "{refused:?}");
    let other = CompletedPart {
        etag: large.etag.clone(),
        ..named(&small)
    };
    let refused = upload.complete_as(vec![other]).await;
    assert!(
        matches!(refused, Err(Error::InvalidPart { number: 1 })),
        "{refused:?}"
    );
    let absent = CompletedPart {
        number: 3,
        ..named(&small)
    };
    let refused = upload.complete_as(vec![absent]).await;
    assert!(
        matches!(refused, Err(Error::InvalidPart { number: 3 })),
        "{refused:?}"
    );
    let refused = upload.complete(&[]).await;
    assert!(matches!(refused, Err(Error::NoParts)), "{refused:?}");
    for number in [0, 10_001] {
        let refused = upload.try_part(number, Payload::whole("x")).await;
        assert!(matches!(refused, Err(Error::PartNumber)), "{refused:?}");
    }
    let wrong_size = Completion {
        size: Some(6),
        ..upload.completion(vec![named(&small)])
    };
    let refused = upload.try_complete(wrong_size).await;
    let expected = PayloadError::Length { declared: 6 };
    assert!(
        matches!(&refused, Err(Error::Payload(found)) if *found == expected),
        "{refused:?}"
    );
    let right_size = Completion {
        size: Some(5),
        ..upload.completion(vec![named(&small)])
    };
    upload.try_complete(right_size).await.unwrap();
    assert_eq!(world.get("k").await, b"small");
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    let part = upload.part(1, b"x").await;
    upload.abort().await.unwrap();
    assert_eq!(world.blob_count().await, 0);
    assert!(matches!(
        upload.abort().await,
        Err(Error::UploadNotFound(_))
    ));
    assert!(matches!(
        upload.complete(&[&part]).await,
        Err(Error::UploadNotFound(_))
    ));
    let refused = upload.try_part(1, Payload::whole("x")).await;
    assert!(
        matches!(refused, Err(Error::UploadNotFound(_))),
        "{refused:?}"
    );
    assert_eq!(world.blob_count().await, 0);
    assert_eq!(
        world.events().await,
        [
            "CreateBucket",
            "PutObject",
            "PutObject",
            "AbortMultipartUpload"
        ]
    );
}

#[tokio::test]
async fn an_upload_is_found_by_its_own_key_only() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    for upload_id in [
        upload.upload.id().to_owned(),
        "x".to_owned(),
        "a".repeat(32),
    ] {
        let other = UploadRef {
            key: parse("other"),
            upload_id,
            ..upload.named()
        };
        let permit = world.permit("s3:PutObject");
        let refused = world
            .objects
            .upload_part(&permit, other, 1, Payload::whole("x"))
            .await;
        assert!(
            matches!(refused, Err(Error::UploadNotFound(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn parts_and_uploads_are_listed_in_pages() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, None).await;
    let second = Uploading::begin(&world, None).await;
    for number in [3, 1, 7] {
        upload.part(number, b"x").await;
    }
    let page = async |after, max| {
        let permit = world.permit("s3:ListMultipartUploadParts");
        let (_, page) = world
            .objects
            .parts(&permit, upload.named(), after, max)
            .await
            .unwrap();
        let numbers: Vec<u32> = page.items.iter().map(|part| part.number).collect();
        (numbers, page.next_token)
    };
    assert_eq!(page(0, 2).await, (vec![1, 3], Some("3".to_owned())));
    assert_eq!(page(3, 2).await, (vec![7], None));
    assert_eq!(page(0, 3).await, (vec![1, 3, 7], None));

    let uploads = async |after| {
        let permit = world.permit("s3:ListBucketMultipartUploads");
        let list = ListQuery {
            after,
            max: 1,
            ..ListQuery::default()
        };
        let page = world.objects.uploads(&permit, &bucket(), &list).await;
        let page = page.unwrap();
        match &page.entries[..] {
            [Entry::Object(upload)] => (upload.id().to_owned(), page.truncated),
            other => panic!("{other:?}"),
        }
    };
    let (first, more) = uploads(None).await;
    assert!(more);
    let (last, more) = uploads(Some(Position::Upload("k".to_owned(), first.clone()))).await;
    assert!(!more);
    let mut expected = [upload.upload.id(), second.upload.id()];
    expected.sort_unstable();
    assert_eq!([first.as_str(), &last], expected);
}

#[tokio::test]
async fn checksums_of_parts_make_that_of_the_object() {
    let world = World::with_bucket().await;
    let upload = Uploading::begin(&world, Some((Algorithm::Crc32, None))).await;
    // The CRC-32 of `hello` is NhCmhg== in Base64 (zlib.crc32).
    let hello = Checksum::parse(Algorithm::Crc32, "NhCmhg==").unwrap();
    let declared = Payload {
        checksum: Declared::Value(hello.clone()),
        ..Payload::whole("hello")
    };
    let sent = upload.try_part(1, declared).await.unwrap();
    assert_eq!(sent.checksum, Some(hello.clone()));
    let computed = upload.part(1, b"hello").await;
    assert_eq!(
        computed.checksum,
        Some(hello),
        "a part without one gets its upload's kind"
    );

    let sha = Checksum::parse(Algorithm::Sha1, "qvTGHdzF6KLavt4PO0gs2a6pQ00=").unwrap();
    let other = Payload {
        checksum: Declared::Value(sha),
        ..Payload::whole("hello")
    };
    let refused = upload.try_part(1, other).await;
    assert!(
        matches!(refused, Err(Error::ChecksumType { .. })),
        "{refused:?}"
    );

    let object = upload.complete(&[&computed]).await.unwrap();
    let checksum = object.checksum.unwrap();
    // zlib.crc32 of the four bytes 36 10 a6 86.
    assert_eq!(
        (checksum.text().as_str(), checksum.coverage()),
        ("FKTmaw==-1", Coverage::Composite)
    );

    let whole = Some((Algorithm::Crc32, Some(Coverage::FullObject)));
    let upload = Uploading::begin(&world, whole).await;
    let part = upload.part(1, b"hello").await;
    let object = upload.complete(&[&part]).await.unwrap();
    assert_eq!(object.checksum.unwrap().text(), "NhCmhg==");
}
