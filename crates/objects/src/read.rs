//! Reading objects: the row, the conditions, the range, and the bytes of one blob or of many.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sightline_identity::Permit;
use sightline_meta::Reader;
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};
use sightline_types::Page;

use crate::bucket::demand;
use crate::holds::Pin;
use crate::small;
use crate::store::{self, PARTS_MAX};
use crate::{
    BucketName, Conditions, Error, Object, ObjectKey, Objects, Part, RangeSpec, VersionId,
    Versioning,
};

/// How often a row is read again because its bytes were replaced before they could be opened.
const LOOKUPS_MAX: usize = 100;

/// What is wanted of an object.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Under which conditions.
    pub conditions: Conditions,
    /// Only these bytes.
    pub range: Option<RangeSpec>,
    /// Only the bytes of this part.
    pub part: Option<u32>,
    /// This version and not the newest.
    pub version: Option<VersionId>,
}

impl Wanted {
    fn action(&self) -> &'static str {
        match self.version {
            None => "s3:GetObject",
            Some(_) => "s3:GetObjectVersion",
        }
    }
}

/// Which parts of which version of an object are wanted.
#[derive(Clone, Debug)]
pub struct PartsWanted {
    /// This version and not the newest.
    pub version: Option<VersionId>,
    /// Only those with higher numbers.
    pub after: u32,
    /// At most so many; 1,000 are the most.
    pub max: u32,
}

/// An object and the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The object.
    pub object: Object,
    /// The bytes asked for; `None` if they are all.
    pub range: Option<ByteRange>,
}

impl Selected {
    /// The bytes asked for.
    #[must_use]
    pub fn bytes(&self) -> ByteRange {
        self.range.unwrap_or(ByteRange {
            start: 0,
            end: self.object.size,
        })
    }
}

/// Where the bytes of an object lie: in its parts, in a blob of its own, or at hand.
struct Place {
    selected: Selected,
    parts: Vec<Part>,
    small: Option<Vec<u8>>,
}

/// An object with its bytes.
pub struct Found {
    /// The object and the part of it that was asked for.
    pub selected: Selected,
    /// The bytes asked for. They stay as they are although the object be replaced or deleted.
    pub bytes: BlobStream,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

impl Objects {
    /// Finds an object without its bytes.
    pub async fn head(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        key: &ObjectKey,
        wanted: &Wanted,
    ) -> Result<Selected, Error> {
        permit.expect_action(wanted.action());
        Ok(self.look_up(bucket, key, wanted, false).await?.selected)
    }

    /// Finds an object to tell who may reach it, or to confirm that.
    pub async fn describe(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Object, Error> {
        debug_assert!(permit.action().ends_with("Acl"), "the permit is for that");
        let (bucket, key, version) = (bucket.clone(), key.clone(), version.cloned());
        let read = move |reader: &Reader<'_>| find(reader, &bucket, &key, version.as_ref());
        self.meta.read(read).await
    }

    /// An object and a page of its parts with numbers above `after`.
    pub async fn parts_of(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        key: &ObjectKey,
        wanted: &PartsWanted,
    ) -> Result<(Object, Page<Part>), Error> {
        permit.expect_action(match wanted.version {
            None => "s3:GetObject",
            Some(_) => "s3:GetObjectVersion",
        });
        let (bucket, key, wanted) = (bucket.clone(), key.clone(), wanted.clone());
        let read = move |reader: &Reader<'_>| {
            let object = find(reader, &bucket, &key, wanted.version.as_ref())?;
            if object.part_count == 0 {
                let (items, next_token) = (Vec::new(), None);
                return Ok((object, Page { items, next_token }));
            }
            let content = &object.content_id;
            let mut items = store::parts(reader, content, wanted.after, wanted.max + 1)?;
            let more = wanted.max < u32::try_from(items.len()).unwrap_or(u32::MAX);
            items.truncate(wanted.max as usize);
            let last = items.last().map(|part| part.number.to_string());
            let next_token = last.filter(|_| more);
            Ok((object, Page { items, next_token }))
        };
        self.meta.read(read).await
    }

    /// Reads an object.
    pub async fn get(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        key: &ObjectKey,
        wanted: &Wanted,
    ) -> Result<Found, Error> {
        permit.expect_action(wanted.action());
        self.read(bucket, key, wanted).await
    }

    /// Reads an object for whoever may.
    pub(crate) async fn read(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        wanted: &Wanted,
    ) -> Result<Found, Error> {
        let mut lookups = 0;
        loop {
            let Place {
                selected,
                parts,
                small,
            } = self.look_up(bucket, key, wanted, true).await?;
            if let Some(bytes) = small {
                let bytes = small::within(bytes, selected.bytes());
                return Ok(Found { selected, bytes });
            }
            lookups += 1;
            let pieces = pieces(&selected, &parts);
            let blobs = pieces.iter().map(|(blob, _)| blob.clone()).collect();
            let Some(pin) = self.holds.pin(blobs) else {
                tokio::task::yield_now().await;
                continue;
            };
            match self.open(pieces, pin).await {
                Ok(bytes) => return Ok(Found { selected, bytes }),
                Err(BlobError::NotFound(_)) if lookups < LOOKUPS_MAX => {}
                Err(error) => return Err(Error::Blob(error)),
            }
        }
    }

    async fn look_up(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        wanted: &Wanted,
        to_read: bool,
    ) -> Result<Place, Error> {
        let (bucket, key, wanted) = (bucket.clone(), key.clone(), wanted.clone());
        let read = move |reader: &Reader<'_>| {
            let object = find(reader, &bucket, &key, wanted.version.as_ref())?;
            wanted.conditions.check(&object)?;
            let parts = if object.part_count == 0 {
                Vec::new()
            } else {
                store::parts(reader, &object.content_id, 0, PARTS_MAX)?
            };
            let range = select(&object, &parts, &wanted)?;
            let small = match to_read && object.may_be_small() {
                true => store::small(reader, &object.content_id)?,
                false => None,
            };
            Ok(Place {
                selected: Selected { object, range },
                parts,
                small,
            })
        };
        self.meta.read(read).await
    }

    /// Opens the first of some pieces at once and each further one in its turn.
    async fn open(&self, pieces: Vec<Piece>, pin: Pin) -> Result<BlobStream, BlobError> {
        let mut pieces = pieces.into_iter();
        let Some((blob, range)) = pieces.next() else {
            return Ok(stream::empty().boxed());
        };
        let first = self.blobs.get(&blob, range).await?;
        let blobs = Arc::clone(&self.blobs);
        let rest = stream::iter(pieces)
            .then(move |(blob, range)| open_later(Arc::clone(&blobs), blob, range))
            .try_flatten();
        // The pin must live as long as somebody may ask for a further blob.
        Ok(first.chain(rest).inspect(move |_| _ = &pin).boxed())
    }
}

/// The object that a key has, or the version of this name.
pub(crate) fn find(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<&VersionId>,
) -> Result<Object, Error> {
    let found = demand(reader, bucket)?;
    let object = store::object(reader, bucket, key)?;
    let Some(id) = version else {
        if let Some(object) = object {
            return Ok(object.seen_in(&found));
        }
        let newest = match found.versioning {
            Versioning::Off => None,
            Versioning::Enabled | Versioning::Suspended => store::newest_kept(reader, bucket, key)?,
        };
        let gone = || Error::KeyNotFound(key.clone());
        return newest.ok_or_else(gone)?.into_object(false);
    };
    if let Some(object) = object.filter(|object| object.version.as_ref() == Some(id)) {
        return Ok(object.seen_in(&found));
    }
    let kept = store::kept_version(reader, bucket, key, id)?;
    let gone = || Error::VersionNotFound {
        key: key.clone(),
        version: id.clone(),
    };
    kept.ok_or_else(gone)?.into_object(true)
}

async fn open_later(
    blobs: Arc<dyn BlobStore>,
    blob: BlobId,
    range: ByteRange,
) -> std::io::Result<BlobStream> {
    blobs.get(&blob, range).await.map_err(std::io::Error::other)
}

/// The bytes that are wanted of an object; `None` for all of them.
fn select(object: &Object, parts: &[Part], wanted: &Wanted) -> Result<Option<ByteRange>, Error> {
    let Some(number) = wanted.part else {
        return wanted
            .range
            .map(|range| range.within(object.size))
            .transpose();
    };
    if object.part_count == 0 && number == 1 {
        return Ok(Some(ByteRange {
            start: 0,
            end: object.size,
        }));
    }
    let mut start = 0;
    for part in parts {
        let end = start + part.size;
        if part.number == number {
            return Ok(Some(ByteRange { start, end }));
        }
        start = end;
    }
    Err(Error::PartNotFound { number })
}

/// A blob and the range that is wanted of it.
type Piece = (BlobId, ByteRange);

/// The blobs that the selected bytes lie in.
fn pieces(selected: &Selected, parts: &[Part]) -> Vec<Piece> {
    let wanted = selected.bytes();
    if parts.is_empty() {
        return vec![(selected.object.content_id.clone(), wanted)];
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    for part in parts {
        let end = start + part.size;
        if wanted.start < end && start < wanted.end {
            let range = ByteRange {
                start: wanted.start.saturating_sub(start),
                end: wanted.end.min(end) - start,
            };
            pieces.push((part.blob.clone(), range));
        }
        start = end;
    }
    pieces
}
