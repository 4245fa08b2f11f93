//! Deleting objects and versions.

use sightline_identity::Permit;
use sightline_meta::Tx;
use sightline_ports::BlobId;
use sightline_types::{Arn, ResourceRef, Timestamp};

use crate::bucket::demand;
use crate::holds::{Doomed, Holds};
use crate::object::{Settled, check, make_room};
use crate::version::Version;
use crate::{
    Bucket, BucketName, Error, ObjectKey, Objects, VersionId, Versioning, WriteCondition, event,
    store,
};

/// What is to be deleted.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// The key.
    pub key: ObjectKey,
    /// This version for good; else the key's object, which its bucket may keep as a version.
    pub version: Option<VersionId>,
    /// The condition under which it is deleted.
    pub condition: Option<WriteCondition>,
}

impl Deletion {
    /// The deletion of whatever object has the key.
    #[must_use]
    pub fn of(key: ObjectKey) -> Self {
        Self {
            key,
            version: None,
            condition: None,
        }
    }

    fn action(&self) -> &'static str {
        match self.version {
            None => "s3:DeleteObject",
            Some(_) => "s3:DeleteObjectVersion",
        }
    }
}

/// What a deletion has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The delete marker that was written, or the version that was deleted.
    pub version: Option<VersionId>,
    /// Whether that is a delete marker.
    pub marker: bool,
}

impl Objects {
    /// Deletes an object; that it does not exist is no error unless the condition says so.
    pub async fn delete(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        deletion: Deletion,
    ) -> Result<Deleted, Error> {
        permit.expect_action(deletion.action());
        let event = event(permit, bucket, Some(&deletion.key));
        let (holds, bucket, now) = (self.holds.clone(), bucket.clone(), self.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            let bucket = demand(tx, &bucket)?;
            let mut settled = Settled::default();
            settled.value = delete(tx, &holds, &bucket, &deletion, now, &mut settled.doomed)?;
            tx.record(&event)?;
            Ok(settled)
        };
        self.settle(self.meta.write(write).await).await
    }

    /// Deletes many objects in one transaction, each with a permit of its own. What is refused
    /// of one does not keep the others.
    pub async fn delete_many(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        deletions: Vec<(Permit, Deletion)>,
    ) -> Result<Vec<Result<Deleted, Error>>, Error> {
        permit.expect_action("s3:DeleteObjects");
        let mut event = event(permit, bucket, None);
        for (permit, deletion) in &deletions {
            permit.expect_action(deletion.action());
            event.resources.push(ResourceRef {
                kind: "AWS::S3::Object".to_owned(),
                name: Arn::s3(bucket.as_str(), Some(deletion.key.as_str())).to_string(),
            });
        }
        let (holds, bucket, now) = (self.holds.clone(), bucket.clone(), self.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            let bucket = demand(tx, &bucket)?;
            let mut settled: Settled<Vec<_>> = Settled::default();
            for (_, deletion) in &deletions {
                match delete(tx, &holds, &bucket, deletion, now, &mut settled.doomed) {
                    Err(Error::Meta(error)) => return Err(Error::Meta(error)),
                    outcome => settled.value.push(outcome),
                }
            }
            tx.record(&event)?;
            Ok(settled)
        };
        self.settle(self.meta.write(write).await).await
    }
}

/// Deletes one object or version, and dooms what nobody names afterwards. It is refused, if at
/// all, before anything is changed.
fn delete(
    tx: &mut Tx<'_>,
    holds: &Holds,
    bucket: &Bucket,
    deletion: &Deletion,
    now: Timestamp,
    doomed: &mut Vec<Doomed>,
) -> Result<Deleted, Error> {
    let (deleted, released) = match (&deletion.version, bucket.versioning) {
        (Some(version), _) => delete_version(tx, bucket, deletion, version)?,
        (None, Versioning::Off) => {
            let present = check(tx, &bucket.name, &deletion.key, deletion.condition.as_ref())?;
            store::delete_object(tx, &bucket.name, &deletion.key)?;
            let released = present
                .map(|object| store::release(tx, &object))
                .transpose()?;
            (Deleted::default(), released.into_iter().collect())
        }
        (None, Versioning::Enabled | Versioning::Suspended) => mark(tx, bucket, deletion, now)?,
    };
    doomed.extend(released.into_iter().map(|blobs| holds.doom(blobs)));
    Ok(deleted)
}

/// What was deleted, and the groups of blobs that nobody names any more.
type Erased = (Deleted, Vec<Vec<BlobId>>);

/// Writes a delete marker.
fn mark(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<Erased, Error> {
    let (name, key) = (&bucket.name, &deletion.key);
    let present = check(tx, name, key, deletion.condition.as_ref())?;
    let (id, rank, released) = make_room(tx, name, key, present.as_ref(), bucket.versioning)?;
    let marker = Version {
        key: key.clone(),
        id,
        modified_at: now,
        latest: true,
        object: None,
        rank,
    };
    store::put_marker(tx, name, &marker)?;
    let deleted = Deleted {
        version: Some(marker.id),
        marker: true,
    };
    Ok((deleted, released))
}

/// Deletes a version for good; the one before it becomes the newest if it was that.
fn delete_version(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    deletion: &Deletion,
    id: &VersionId,
) -> Result<Erased, Error> {
    let (name, key) = (&bucket.name, &deletion.key);
    let mut deleted = Deleted {
        version: Some(id.clone()).filter(|_| bucket.versioning != Versioning::Off),
        marker: false,
    };
    let current = store::object(tx, name, key)?;
    let (object, kept) = match current.filter(|object| object.version.as_ref() == Some(id)) {
        Some(object) => (Some(object), None),
        None => match store::kept_version(tx, name, key, id)? {
            None => (None, None),
            Some(kept) => {
                deleted.marker = kept.object.is_none();
                (kept.object.map(|object| *object), Some(kept.rank))
            }
        },
    };
    if let Some(condition) = &deletion.condition {
        condition.check(object.as_ref())?;
    }
    match kept {
        Some(rank) => store::delete_kept(tx, name, key, &rank)?,
        None if object.is_some() => store::delete_object(tx, name, key)?,
        None => return Ok((deleted, Vec::new())),
    }
    let released = object
        .map(|object| store::release(tx, &object))
        .transpose()?;
    if store::object(tx, name, key)?.is_none()
        && let Some(Version {
            object: Some(newest),
            rank,
            ..
        }) = store::newest_kept(tx, name, key)?
    {
        store::delete_kept(tx, name, key, &rank)?;
        store::put_object(tx, name, &newest)?;
    }
    Ok((deleted, released.into_iter().collect()))
}
