//! Objects uploaded in parts.
//!
//! A part's bytes are stored once and never copied: completing an upload makes one row that names
//! the parts in their order, whatever their size.

use sightline_identity::Permit;
use sightline_meta::{Reader, Tx};
use sightline_ports::{BlobError, BlobId};
use sightline_types::{Page, Timestamp};

use crate::bucket::demand;
use crate::checksum::{Algorithm, Checksum, Coverage, etag_of_parts};
use crate::holds::Fresh;
use crate::object::{Settled, new_id, place};
use crate::store::{self, PARTS_MAX};
use crate::version::Rank;
use crate::{
    Attributes, BucketName, Error, Object, ObjectKey, Objects, Part, Payload, PayloadError, Upload,
    WriteCondition, event,
};

/// Bytes that each part but the last must have, as S3 has it.
const PART_BYTES_MIN: u64 = 5 << 20;

/// Parts on a page at most, as S3 has it.
const PAGE_MAX: u32 = 1000;

/// An upload to be begun.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// The bucket that the object goes to.
    pub bucket: BucketName,
    /// The key that it will have.
    pub key: ObjectKey,
    /// What is said of its bytes.
    pub attributes: Attributes,
    /// The checksum that it will have; the algorithm's usual coverage unless one is given.
    pub checksum: Option<(Algorithm, Option<Coverage>)>,
}

/// The names by which an upload is found: all three must fit.
#[derive(Clone, Debug)]
pub struct UploadRef {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The text that [`Upload::id`] gave.
    pub upload_id: String,
}

impl UploadRef {
    fn not_found(&self) -> Error {
        Error::UploadNotFound(self.upload_id.clone())
    }

    fn id(&self) -> Result<BlobId, Error> {
        BlobId::parse(&self.upload_id).ok_or_else(|| self.not_found())
    }

    fn find(&self, reader: &Reader<'_>) -> Result<Upload, Error> {
        demand(reader, &self.bucket)?;
        let found = store::upload(reader, &self.bucket, &self.key, &self.id()?)?;
        found.ok_or_else(|| self.not_found())
    }
}

/// A part as the completion of its upload names it.
#[derive(Clone, Debug)]
pub struct CompletedPart {
    /// Its number.
    pub number: u32,
    /// Its ETag without quotes.
    pub etag: String,
    /// Its checksum, if named.
    pub checksum: Option<Checksum>,
}

/// What makes an upload an object.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The upload.
    pub upload: UploadRef,
    /// The parts to be joined, in their order.
    pub parts: Vec<CompletedPart>,
    /// The condition under which the object is written.
    pub condition: Option<WriteCondition>,
    /// The object's size, if declared.
    pub size: Option<u64>,
    /// The object's checksum, if declared.
    pub checksum: Option<Checksum>,
}

impl Objects {
    /// Begins an upload.
    pub async fn create_upload(&self, permit: &Permit, new: NewUpload) -> Result<Upload, Error> {
        permit.expect_action("s3:PutObject");
        let upload = Upload {
            id: new_id().ok_or_else(unnamed)?,
            key: new.key,
            initiated_at: self.clock.now(),
            checksum: new.checksum.map(coverage).transpose()?,
            attributes: new.attributes,
        };
        let (event, bucket) = (event(permit, &new.bucket, Some(&upload.key)), new.bucket);
        let write = move |tx: &mut Tx<'_>| {
            demand(tx, &bucket)?;
            store::insert_upload(tx, &bucket, &upload)?;
            tx.record(&event)?;
            Ok(upload)
        };
        self.meta.write(write).await
    }

    /// Stores a part, in the place of one that has its number.
    pub async fn upload_part(
        &self,
        permit: &Permit,
        upload: UploadRef,
        number: u32,
        payload: Payload,
    ) -> Result<Part, Error> {
        permit.expect_action("s3:PutObject");
        if !(1..=PARTS_MAX).contains(&number) {
            return Err(Error::PartNumber);
        }
        let sought = upload.clone();
        let found = self.meta.read(move |reader| sought.find(reader)).await?;
        let expected = found.checksum.map(|(algorithm, _)| algorithm);
        let sent = payload.algorithm();
        if expected.is_some() && sent.is_some() && expected != sent {
            return Err(Error::ChecksumType {
                expected,
                found: sent,
            });
        }
        let (fresh, digests) = self.store(payload, expected).await?;
        let part = Part {
            number,
            size: digests.size,
            etag: digests.etag(),
            checksum: digests.checksum,
            modified_at: self.clock.now(),
            blob: fresh.id().clone(),
        };
        self.keep_part(permit, upload, part, fresh).await
    }

    /// Gives an upload a part whose bytes are stored.
    async fn keep_part(
        &self,
        permit: &Permit,
        upload: UploadRef,
        part: Part,
        mut fresh: Fresh,
    ) -> Result<Part, Error> {
        let event = event(permit, &upload.bucket, Some(&upload.key));
        let holds = self.holds.clone();
        let write = move |tx: &mut Tx<'_>| {
            let id = upload.find(tx)?.id;
            let replaced = store::parts(tx, &id, part.number - 1, 1)?;
            store::put_part(tx, &id, &part)?;
            tx.record(&event)?;
            fresh.keep(tx)?;
            let replaced = replaced.into_iter().filter(|old| old.number == part.number);
            let doomed = replaced.map(|part| holds.doom(vec![part.blob])).collect();
            Ok(Settled {
                value: part,
                fresh: Some(fresh),
                doomed,
            })
        };
        self.settle(self.meta.write(write).await).await
    }

    /// Makes an object of the parts named. Completing an upload again gives the same object as
    /// long as it is there, so that a client whose connection broke can repeat its request.
    pub async fn complete_upload(
        &self,
        permit: &Permit,
        completion: Completion,
    ) -> Result<Object, Error> {
        permit.expect_action("s3:PutObject");
        let upload = &completion.upload;
        let event = event(permit, &upload.bucket, Some(&upload.key));
        let (holds, now) = (self.holds.clone(), self.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            let Completion {
                upload,
                parts,
                condition,
                ..
            } = &completion;
            if let Some(object) = completed(tx, upload)? {
                tx.record(&event)?;
                return Ok(Settled {
                    value: object,
                    fresh: None,
                    doomed: Vec::new(),
                });
            }
            let found = upload.find(tx)?;
            let stored = store::parts(tx, &found.id, 0, PARTS_MAX)?;
            let joined = join(&stored, parts)?;
            let object = object_of(found, &joined, now)?;
            completion.check(&object)?;
            let unused = forget_unused(tx, &object.content_id, &stored, &joined)?;
            store::delete_upload(tx, &object.content_id)?;
            let mut placed = place(tx, &holds, &upload.bucket, object, condition.as_ref())?;
            tx.record(&event)?;
            let unused = unused.into_iter().map(|blob| holds.doom(vec![blob]));
            placed.doomed.extend(unused);
            Ok(placed)
        };
        self.settle(self.meta.write(write).await).await
    }

    /// Ends an upload and deletes its parts.
    pub async fn abort_upload(&self, permit: &Permit, upload: UploadRef) -> Result<(), Error> {
        permit.expect_action("s3:AbortMultipartUpload");
        self.end_upload(permit, upload).await
    }

    /// The same for whoever may.
    pub(crate) async fn end_upload(&self, permit: &Permit, upload: UploadRef) -> Result<(), Error> {
        let (event, holds) = (
            event(permit, &upload.bucket, Some(&upload.key)),
            self.holds.clone(),
        );
        let write = move |tx: &mut Tx<'_>| {
            let doomed = vec![holds.doom(end(tx, &upload)?)];
            tx.record(&event)?;
            Ok(Settled {
                value: (),
                fresh: None,
                doomed,
            })
        };
        self.settle(self.meta.write(write).await).await
    }

    /// The upload and a page of its parts with numbers above `after`.
    pub async fn parts(
        &self,
        permit: &Permit,
        upload: UploadRef,
        after: u32,
        max: u32,
    ) -> Result<(Upload, Page<Part>), Error> {
        permit.expect_action("s3:ListMultipartUploadParts");
        let read = move |reader: &Reader<'_>| {
            let found = upload.find(reader)?;
            let max = max.min(PAGE_MAX);
            let mut items = store::parts(reader, &found.id, after, max + 1)?;
            let more = max < u32::try_from(items.len()).unwrap_or(u32::MAX);
            items.truncate(max as usize);
            let last = items.last().map(|part| part.number.to_string());
            Ok((
                found,
                Page {
                    items,
                    next_token: last.filter(|_| more),
                },
            ))
        };
        self.meta.read(read).await
    }
}

/// Ends an upload, and names the blobs of its parts.
pub(crate) fn end(tx: &mut Tx<'_>, upload: &UploadRef) -> Result<Vec<BlobId>, Error> {
    let id = upload.find(tx)?.id;
    let blobs = store::release_parts(tx, &id)?;
    store::delete_upload(tx, &id)?;
    Ok(blobs)
}

fn unnamed() -> Error {
    let source = std::io::Error::other("a random name has another form");
    Error::Blob(BlobError::Store {
        action: "name an upload",
        source,
    })
}

/// The coverage asked for if the algorithm allows it, or else its usual one.
fn coverage(
    (algorithm, asked): (Algorithm, Option<Coverage>),
) -> Result<(Algorithm, Coverage), Error> {
    let refused = match (algorithm, asked) {
        (Algorithm::Crc64Nvme, Some(Coverage::Composite)) => true,
        (Algorithm::Sha1 | Algorithm::Sha256, Some(Coverage::FullObject)) => true,
        (_, _) => false,
    };
    if refused {
        return Err(Error::ChecksumCoverage(algorithm));
    }
    let usual = match algorithm {
        Algorithm::Crc64Nvme => Coverage::FullObject,
        Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha1 | Algorithm::Sha256 => {
            Coverage::Composite
        }
    };
    Ok((algorithm, asked.unwrap_or(usual)))
}

/// The object that this upload has become, if it was completed and is still there.
fn completed(reader: &Reader<'_>, upload: &UploadRef) -> Result<Option<Object>, Error> {
    let id = upload.id()?;
    let bucket = demand(reader, &upload.bucket)?;
    let present = store::object(reader, &upload.bucket, &upload.key)?;
    if let Some(object) = present.filter(|object| object.content_id == id) {
        return Ok(Some(object.seen_in(&bucket)));
    }
    let kept = store::kept_with_content(reader, id.as_str())?.and_then(|kept| kept.object);
    Ok(kept
        .map(|object| *object)
        .filter(|object| object.key == upload.key))
}

impl Completion {
    /// Compares an object with what was declared of it.
    fn check(&self, object: &Object) -> Result<(), Error> {
        if let Some(declared) = self.size.filter(|size| *size != object.size) {
            return Err(PayloadError::Length { declared }.into());
        }
        match &self.checksum {
            Some(declared) if object.checksum.as_ref() != Some(declared) => {
                Err(PayloadError::Checksum(declared.algorithm()).into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The object that an upload becomes.
fn object_of(upload: Upload, joined: &[&Part], now: Timestamp) -> Result<Object, Error> {
    let etags = joined.iter().map(|part| part.etag.as_str());
    Ok(Object {
        key: upload.key,
        size: joined.iter().map(|part| part.size).sum(),
        etag: etag_of_parts(etags).ok_or(Error::NoParts)?,
        modified_at: now,
        checksum: checksum_of(upload.checksum, joined),
        attributes: upload.attributes,
        part_count: u32::try_from(joined.len()).unwrap_or(PARTS_MAX),
        version: None,
        rank: Rank::first(),
        content_id: upload.id,
    })
}

/// The stored parts that are named, each checked.
fn join<'s>(stored: &'s [Part], named: &[CompletedPart]) -> Result<Vec<&'s Part>, Error> {
    let mut joined: Vec<&Part> = Vec::with_capacity(named.len());
    for wanted in named {
        if joined
            .last()
            .is_some_and(|last| wanted.number <= last.number)
        {
            return Err(Error::PartOrder);
        }
        let place = stored.binary_search_by_key(&wanted.number, |part| part.number);
        let found = place.ok().and_then(|place| stored.get(place));
        let same = |part: &&Part| {
            part.etag == wanted.etag
                && (wanted.checksum.is_none() || wanted.checksum == part.checksum)
        };
        let number = wanted.number;
        joined.push(found.filter(same).ok_or(Error::InvalidPart { number })?);
    }
    let Some((_, but_last)) = joined.split_last() else {
        return Err(Error::NoParts);
    };
    match but_last.iter().find(|part| part.size < PART_BYTES_MIN) {
        None => Ok(joined),
        Some(part) => {
            let Part {
                number, size, etag, ..
            } = part;
            Err(Error::PartTooSmall {
                number: *number,
                size: *size,
                etag: etag.clone(),
            })
        }
    }
}

fn checksum_of(wanted: Option<(Algorithm, Coverage)>, parts: &[&Part]) -> Option<Checksum> {
    let (algorithm, coverage) = wanted?;
    let sums = parts
        .iter()
        .map(|part| part.checksum.as_ref().map(|sum| (sum, part.size)));
    let sums: Option<Vec<(&Checksum, u64)>> = sums.collect();
    Checksum::of_parts(algorithm, coverage, &sums?)
}

/// Forgets the stored parts that were not joined, and names their blobs.
fn forget_unused(
    tx: &mut Tx<'_>,
    content: &BlobId,
    stored: &[Part],
    joined: &[&Part],
) -> Result<Vec<BlobId>, Error> {
    let mut kept = joined.iter().peekable();
    let mut unused = Vec::new();
    for part in stored {
        if kept.next_if(|kept| kept.number == part.number).is_none() {
            store::delete_part(tx, content, part.number)?;
            unused.push(part.blob.clone());
        }
    }
    Ok(unused)
}
