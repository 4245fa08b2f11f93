//! Writing objects.

use std::sync::{Arc, OnceLock};

use sightline_identity::Permit;
use sightline_meta::{Reader, Tx};
use sightline_ports::{BlobError, BlobId, BlobStream};

use crate::bucket::demand;
use crate::checksum::{Algorithm, Digests};
use crate::holds::{Doomed, Fresh, Holds};
use crate::small::{self, Sized};
use crate::version::Rank;
use crate::{
    Attributes, BucketName, Error, Object, ObjectKey, Objects, PAYLOAD_BYTES_MAX, Payload,
    PayloadError, VersionId, Versioning, WriteCondition, event, store,
};

/// An object to be written.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// The bucket that it goes to.
    pub bucket: BucketName,
    /// Its key; an object that has it is replaced.
    pub key: ObjectKey,
    /// What is said of its bytes.
    pub attributes: Attributes,
    /// The condition under which it is written.
    pub condition: Option<WriteCondition>,
}

/// What a transaction that changes objects leaves to be settled after its commit: holds on new
/// blobs end, replaced contents are doomed. Dropping it does both.
#[derive(Default)]
pub(crate) struct Settled<T> {
    pub(crate) value: T,
    pub(crate) fresh: Option<Fresh>,
    pub(crate) doomed: Vec<Doomed>,
}

impl Objects {
    /// Writes an object durably. Readers see the one before it or all of this, never a mixture.
    pub async fn put(
        &self,
        permit: &Permit,
        new: NewObject,
        payload: Payload,
    ) -> Result<Object, Error> {
        permit.expect_action("s3:PutObject");
        self.put_with(permit, new, payload, None).await
    }

    /// The same, with a checksum of the algorithm `wanted` if the bytes come without one.
    pub(crate) async fn put_with(
        &self,
        permit: &Permit,
        new: NewObject,
        payload: Payload,
        wanted: Option<Algorithm>,
    ) -> Result<Object, Error> {
        // Few bytes are taken sooner than asked about; the transaction checks the same.
        let few = |length: &u64| *length <= self.small_bytes_max as u64;
        if !payload.length.as_ref().is_some_and(few) {
            self.demand_writable(&new).await?;
        }
        let (mut fresh, digests) = self.store_or_hold(payload, wanted).await?;
        let object = Object {
            key: new.key,
            size: digests.size,
            etag: digests.etag(),
            modified_at: self.clock.now(),
            checksum: digests.checksum,
            attributes: new.attributes,
            part_count: 0,
            version: None,
            rank: Rank::first(),
            content_id: fresh.id().clone(),
        };
        let (bucket, condition) = (new.bucket, new.condition);
        let (event, holds) = (
            event(permit, &bucket, Some(&object.key)),
            self.holds.clone(),
        );
        let write = move |tx: &mut Tx<'_>| {
            let placed = place(tx, &holds, &bucket, object, condition.as_ref())?;
            tx.record(&event)?;
            fresh.keep(tx)?;
            Ok(Settled {
                fresh: Some(fresh),
                ..placed
            })
        };
        self.settle(self.meta.write(write).await).await
    }

    /// Refuses a write that cannot succeed before its bytes are taken. What counts is checked
    /// again in the transaction.
    async fn demand_writable(&self, new: &NewObject) -> Result<(), Error> {
        let (bucket, key, condition) = (new.bucket.clone(), new.key.clone(), new.condition.clone());
        let read = move |reader: &Reader<'_>| {
            demand(reader, &bucket)?;
            check(reader, &bucket, &key, condition.as_ref())?;
            Ok(())
        };
        self.meta.read(read).await
    }

    /// Holds bytes if they are few until a row names them, or stores them as a new blob, and tells
    /// what they are. `wanted` is computed over them if they come without a checksum.
    async fn store_or_hold(
        &self,
        payload: Payload,
        wanted: Option<Algorithm>,
    ) -> Result<(Fresh, Digests), Error> {
        let arriving = Arriving::new(payload, wanted)?;
        if self.small_bytes_max == 0 {
            let fresh = self.put_blob(arriving.id, arriving.bytes).await?;
            return Ok((fresh, read_to_end(&arriving.digests)?));
        }
        let fresh = match small::sized(arriving.bytes, self.small_bytes_max).await? {
            Sized::Small(bytes) => self.holds.fresh_small(arriving.id, bytes),
            Sized::Large(bytes) => self.put_blob(arriving.id, bytes).await?,
        };
        Ok((fresh, read_to_end(&arriving.digests)?))
    }

    /// Stores bytes as a new blob whatever their number, and tells what they are.
    pub(crate) async fn store(
        &self,
        payload: Payload,
        wanted: Option<Algorithm>,
    ) -> Result<(Fresh, Digests), Error> {
        let arriving = Arriving::new(payload, wanted)?;
        let fresh = self.put_blob(arriving.id, arriving.bytes).await?;
        Ok((fresh, read_to_end(&arriving.digests)?))
    }

    async fn put_blob(&self, id: BlobId, bytes: BlobStream) -> Result<Fresh, BlobError> {
        let fresh = self.holds.fresh(id);
        self.blobs.put(fresh.id(), bytes).await?;
        Ok(fresh)
    }

    /// Ends the holds of a transaction whose outcome is known, and deletes what it doomed.
    pub(crate) async fn settle<T>(&self, outcome: Result<Settled<T>, Error>) -> Result<T, Error> {
        let value = outcome.map(
            |Settled {
                 value,
                 fresh,
                 doomed,
             }| {
                drop((fresh, doomed));
                value
            },
        );
        self.sweep().await;
        value
    }

    /// Deletes every blob that is doomed and that nobody reads.
    ///
    /// A blob that cannot be deleted now is found again by the collection of orphans.
    pub(crate) async fn sweep(&self) {
        for blobs in self.holds.take_doomed() {
            if let Err(error) = self.delete_unnamed(blobs).await {
                tracing::warn!(%error, "replaced bytes stay until orphans are collected");
            }
        }
    }

    /// Deletes those of `blobs` that no row names, and tells how many.
    ///
    /// Even of doomed blobs some may be named: the commit that ceased to may have failed.
    pub(crate) async fn delete_unnamed(&self, blobs: Vec<BlobId>) -> Result<usize, Error> {
        let read = move |reader: &Reader<'_>| {
            let mut unnamed = Vec::new();
            for blob in blobs {
                if !store::is_named(reader, &blob)? {
                    unnamed.push(blob);
                }
            }
            Ok::<_, Error>(unnamed)
        };
        let unnamed = self.meta.read(read).await?;
        if self.meta.server().is_some() {
            self.set_aside(unnamed).await?;
            return Ok(0);
        }
        let Some(burial) = self.holds.bury(unnamed) else {
            return Ok(0);
        };
        for blob in &burial.blobs {
            self.blobs.delete(blob).await?;
        }
        Ok(burial.blobs.len())
    }
}

/// Bytes on their way in, under the name that they will have.
struct Arriving {
    id: BlobId,
    bytes: BlobStream,
    digests: Arc<OnceLock<Digests>>,
}

impl Arriving {
    fn new(payload: Payload, wanted: Option<Algorithm>) -> Result<Self, Error> {
        let max = PAYLOAD_BYTES_MAX;
        if payload.length.is_some_and(|length| max < length) {
            return Err(PayloadError::TooLarge { max }.into());
        }
        let id = new_id().ok_or_else(|| lost("a random name has another form"))?;
        let (bytes, digests) = payload.checked(wanted);
        Ok(Self { id, bytes, digests })
    }
}

fn read_to_end(digests: &OnceLock<Digests>) -> Result<Digests, Error> {
    let digests = digests.get().cloned();
    digests.ok_or_else(|| lost("the bytes were not read to their end"))
}

fn lost(what: &str) -> Error {
    Error::Blob(BlobError::Store {
        action: "store a blob",
        source: std::io::Error::other(what.to_owned()),
    })
}

/// Gives `object` its key, if `condition` allows. What the key had before is kept where the
/// bucket keeps versions, and let go of elsewhere.
pub(crate) fn place(
    tx: &mut Tx<'_>,
    holds: &Holds,
    bucket: &BucketName,
    mut object: Object,
    condition: Option<&WriteCondition>,
) -> Result<Settled<Object>, Error> {
    let found = demand(tx, bucket)?;
    let present = check(tx, bucket, &object.key, condition)?;
    let doomed = match found.versioning {
        Versioning::Off => {
            let released = present.map(|replaced| store::release(tx, &replaced));
            released.transpose()?.into_iter().collect()
        }
        versioning @ (Versioning::Enabled | Versioning::Suspended) => {
            let (id, rank, released) =
                make_room(tx, bucket, &object.key, present.as_ref(), versioning)?;
            (object.version, object.rank) = (Some(id), rank);
            released
        }
    };
    store::put_object(tx, bucket, &object)?;
    Ok(Settled {
        value: object,
        fresh: None,
        doomed: doomed.into_iter().map(|blobs| holds.doom(blobs)).collect(),
    })
}

/// Makes room for a new version of a key: keeps what the key has, and lets go of the version
/// without a name where the new one is without a name too. Gives name and rank of the new one,
/// and the blobs let go of.
pub(crate) fn make_room(
    tx: &mut Tx<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    present: Option<&Object>,
    versioning: Versioning,
) -> Result<(VersionId, Rank, Vec<Vec<BlobId>>), Error> {
    let kept = store::newest_kept(tx, bucket, key)?.map(|kept| kept.rank);
    let newest = kept
        .into_iter()
        .chain(present.map(|object| object.rank.clone()));
    let rank = newest
        .min()
        .map_or_else(Rank::first, |newest| newest.newer());
    let nameless = versioning == Versioning::Suspended;
    let id = match nameless {
        true => VersionId::null(),
        false => VersionId::draw(&rank),
    };
    let mut released = Vec::new();
    if let Some(object) = present {
        store::delete_object(tx, bucket, key)?;
        match nameless && object.version.as_ref().is_some_and(VersionId::is_null) {
            true => released.push(store::release(tx, object)?),
            false => store::keep_version(tx, bucket, object)?,
        }
    }
    if nameless && let Some(kept) = store::kept_version(tx, bucket, key, &id)? {
        store::delete_kept(tx, bucket, key, &kept.rank)?;
        if let Some(object) = &kept.object {
            released.push(store::release(tx, object)?);
        }
    }
    Ok((id, rank, released))
}

/// The object that has the key now, if `condition` allows replacing it.
pub(crate) fn check(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    condition: Option<&WriteCondition>,
) -> Result<Option<Object>, Error> {
    let present = store::object(reader, bucket, key)?;
    if present.is_none() && matches!(condition, Some(WriteCondition::Match(_))) {
        return Err(Error::KeyNotFound(key.clone()));
    }
    condition.map_or(Ok(()), |condition| condition.check(present.as_ref()))?;
    Ok(present)
}

/// Draws the name of a new blob or upload.
pub(crate) fn new_id() -> Option<BlobId> {
    BlobId::parse(&uuid::Uuid::new_v4().simple().to_string())
}
