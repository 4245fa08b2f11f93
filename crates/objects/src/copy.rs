//! Copies within the store.
//!
//! The copy of an object that was written in one piece shares its blob, whatever its size: a blob
//! is deleted only when no row names it. An object that was written in parts is read and written
//! anew, so that its copy is of one piece with the ETag and the checksum of one.

use sightline_identity::Permit;
use sightline_meta::{Reader, Tx};
use sightline_ports::ByteRange;

use crate::bucket::demand;
use crate::checksum::Algorithm;
use crate::object::{Settled, check, place};
use crate::read::find;
use crate::version::Rank;
use crate::{
    Attributes, BucketName, Conditions, Error, NewObject, Object, ObjectKey, Objects,
    PAYLOAD_BYTES_MAX, Part, Payload, RangeSpec, Tags, UploadRef, VersionId, Wanted,
    WriteCondition, event,
};

/// How often a copy is begun again because its source was replaced in between.
const ATTEMPTS_MAX: usize = 100;

/// What is copied.
#[derive(Clone, Debug)]
pub struct CopySource {
    /// The bucket that it lies in.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// This version and not the newest.
    pub version: Option<VersionId>,
    /// The conditions under which it is copied.
    pub conditions: Conditions,
}

/// A copy to be made.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What is copied.
    pub source: CopySource,
    /// The bucket that the copy goes to.
    pub bucket: BucketName,
    /// The copy's key.
    pub key: ObjectKey,
    /// What is said of the copy; `None` for what is said of the source.
    pub attributes: Option<Attributes>,
    /// The copy's tags.
    pub tags: CopyTags,
    /// The algorithm of the copy's checksum; `None` for that of the source.
    pub checksum: Option<Algorithm>,
    /// The condition under which the copy is written.
    pub condition: Option<WriteCondition>,
}

/// The tags of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTags {
    /// Those of the source.
    Keep,
    /// None, and the source must have none: the caller may not read them or not write them.
    Absent,
    /// These.
    Replace(Tags),
}

/// A copy that was made.
#[derive(Clone, Debug)]
pub struct Copied<T> {
    /// The copy.
    pub copy: T,
    /// The version of the source, if its bucket keeps versions.
    pub source_version: Option<VersionId>,
}

impl CopySource {
    fn find(&self, reader: &Reader<'_>) -> Result<Object, Error> {
        let object = find(reader, &self.bucket, &self.key, self.version.as_ref())?;
        self.conditions.check_copy(&object)?;
        Ok(object)
    }

    fn expect_permit(&self, permit: &Permit) {
        permit.expect_action(match self.version {
            None => "s3:GetObject",
            Some(_) => "s3:GetObjectVersion",
        });
    }

    fn wanted(&self, range: Option<RangeSpec>) -> Wanted {
        Wanted {
            range,
            version: self.version.clone(),
            ..Wanted::default()
        }
    }
}

impl Copy {
    /// Refuses what would change nothing, and what one request may not copy.
    fn expect_sound(&self, source: &Object) -> Result<(), Error> {
        let onto_itself = self.source.bucket == self.bucket && self.source.key == self.key;
        if onto_itself && self.attributes.is_none() && self.source.version.is_none() {
            return Err(Error::CopyOntoItself(self.key.clone()));
        }
        if self.tags == CopyTags::Absent && !source.attributes.tags.is_empty() {
            return Err(Error::SourceTagged(self.source.key.clone()));
        }
        if PAYLOAD_BYTES_MAX < source.size {
            return Err(Error::CopyTooLarge {
                max: PAYLOAD_BYTES_MAX,
            });
        }
        Ok(())
    }

    fn attributes_of(&self, source: &Object) -> Attributes {
        let said = self.attributes.as_ref().unwrap_or(&source.attributes);
        let tags = match &self.tags {
            CopyTags::Keep => source.attributes.tags.clone(),
            CopyTags::Absent => Tags::new(),
            CopyTags::Replace(tags) => tags.clone(),
        };
        Attributes {
            tags,
            ..said.clone()
        }
    }

    /// Whether the copy can be of the source's blob as it lies there. Few bytes go with their one
    /// row and are copied.
    fn shares(&self, source: &Object) -> bool {
        let algorithm = source.checksum.as_ref().map(|sum| sum.algorithm());
        let as_it_lies = self.checksum.is_none() || self.checksum == algorithm;
        source.part_count == 0 && as_it_lies && !source.may_be_small()
    }
}

impl Objects {
    /// Copies an object; `read` permits reading the source.
    pub async fn copy(
        &self,
        permit: &Permit,
        read: &Permit,
        copy: Copy,
    ) -> Result<Copied<Object>, Error> {
        permit.expect_action("s3:PutObject");
        copy.source.expect_permit(read);
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.try_copy(permit, copy.clone()).await {
                Err(Error::SourceChanged(_)) if attempts < ATTEMPTS_MAX => {}
                outcome => return outcome,
            }
        }
    }

    /// Copies an object unless it is replaced meanwhile by one that is copied in another way.
    async fn try_copy(&self, permit: &Permit, copy: Copy) -> Result<Copied<Object>, Error> {
        let sought = copy.clone();
        let look = move |reader: &Reader<'_>| {
            demand(reader, &sought.bucket)?;
            let source = sought.source.find(reader)?;
            sought.expect_sound(&source)?;
            check(
                reader,
                &sought.bucket,
                &sought.key,
                sought.condition.as_ref(),
            )?;
            Ok::<_, Error>(source)
        };
        let source = self.meta.read(look).await?;
        if copy.shares(&source) {
            return self.share(permit, copy).await;
        }
        let wanted = copy
            .checksum
            .or(source.checksum.as_ref().map(|sum| sum.algorithm()));
        let (payload, source) = self.payload_of(&copy.source, None).await?;
        copy.expect_sound(&source)?;
        let new = NewObject {
            attributes: copy.attributes_of(&source),
            bucket: copy.bucket,
            key: copy.key,
            condition: copy.condition,
        };
        let object = self.put_with(permit, new, payload, wanted).await?;
        Ok(Copied {
            copy: object,
            source_version: source.version,
        })
    }

    /// Gives a second row to the blob of an object.
    async fn share(&self, permit: &Permit, copy: Copy) -> Result<Copied<Object>, Error> {
        let event = event(permit, &copy.bucket, Some(&copy.key));
        let (holds, now) = (self.holds.clone(), self.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            // The source is read in the transaction that names its blob again, so that the blob
            // is never without a row that names it.
            let source = copy.source.find(tx)?;
            copy.expect_sound(&source)?;
            if !copy.shares(&source) {
                return Err(Error::SourceChanged(copy.source.key));
            }
            let object = Object {
                attributes: copy.attributes_of(&source),
                key: copy.key,
                modified_at: now,
                rank: Rank::first(),
                version: None,
                ..source.clone()
            };
            let placed = place(tx, &holds, &copy.bucket, object, copy.condition.as_ref())?;
            tx.record(&event)?;
            Ok(Settled {
                value: Copied {
                    copy: placed.value,
                    source_version: source.version,
                },
                fresh: None,
                doomed: placed.doomed,
            })
        };
        self.settle(self.meta.write(write).await).await
    }

    /// Stores a part that is a copy of an object, or of a range of it.
    pub async fn copy_part(
        &self,
        permit: &Permit,
        read: &Permit,
        part: (UploadRef, u32),
        (source, range): (CopySource, Option<ByteRange>),
    ) -> Result<Copied<Part>, Error> {
        source.expect_permit(read);
        let (payload, object) = self.payload_of(&source, range).await?;
        let (upload, number) = part;
        let part = self.upload_part(permit, upload, number, payload).await?;
        Ok(Copied {
            copy: part,
            source_version: object.version,
        })
    }

    /// The bytes of an object as the payload of a write.
    async fn payload_of(
        &self,
        source: &CopySource,
        range: Option<ByteRange>,
    ) -> Result<(Payload, Object), Error> {
        let spec = range.map(|range| RangeSpec::Within(range.start, range.end.saturating_sub(1)));
        let found = self
            .read(&source.bucket, &source.key, &source.wanted(spec))
            .await;
        if let Err(Error::RangeNotSatisfiable { size }) = found {
            return Err(Error::CopyRange { size });
        }
        let found = found?;
        let object = found.selected.object.clone();
        source.conditions.check_copy(&object)?;
        let bytes = found.selected.bytes();
        if range.is_some_and(|range| range != bytes) {
            return Err(Error::CopyRange { size: object.size });
        }
        let payload = Payload {
            length: Some(bytes.end - bytes.start),
            ..Payload::new(found.bytes)
        };
        Ok((payload, object))
    }
}
