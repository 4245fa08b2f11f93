//! Making, finding and removing buckets.

use sightline_identity::{Permit, forget_resource_policy};
use sightline_meta::{Reader, Tx};
use sightline_types::Arn;

use crate::object::Settled;
use crate::read::find;
use crate::{
    Bucket, BucketName, Error, ObjectKey, Objects, Tags, VersionId, Versioning, event, multipart,
    store,
};

/// In this region a bucket needs no location constraint, must not have one, and making one's own
/// bucket again succeeds.
const CLASSIC_REGION: &str = "us-east-1";

/// Unfinished uploads that end with their bucket at most: a transaction stays short.
const UPLOADS_ENDED_MAX: u32 = 1_000;

impl Objects {
    /// Makes a bucket in the server's region, which `location` must name.
    ///
    /// In us-east-1 there is no name for it, and making a bucket again is no error: S3 keeps both
    /// from its first days, and clients rely on the second.
    pub async fn create_bucket(
        &self,
        permit: &Permit,
        name: &BucketName,
        location: Option<&str>,
    ) -> Result<(), Error> {
        permit.expect_action("s3:CreateBucket");
        let cx = permit.cx();
        let region = cx.region.as_str();
        let classic = region == CLASSIC_REGION;
        let location_ok = match location {
            None => classic,
            Some(asked) => !classic && asked == region,
        };
        if !location_ok {
            let asked = location.unwrap_or_default().to_owned();
            return Err(Error::WrongLocation {
                asked,
                region: region.to_owned(),
            });
        }
        let bucket = Bucket {
            name: name.clone(),
            owner: cx.account.to_string(),
            region: region.to_owned(),
            created_at: self.clock.now(),
            versioning: Versioning::Off,
            tags: Tags::new(),
        };
        let event = event(permit, name, None);
        let write = move |tx: &mut Tx<'_>| {
            if store::bucket(tx, &bucket.name)?.is_none() {
                store::insert_bucket(tx, &bucket)?;
                forget_resource_policy(tx, &Arn::s3(bucket.name.as_str(), None))?;
            } else if !classic {
                return Err(Error::BucketExists(bucket.name));
            }
            tx.record(&event)?;
            Ok(())
        };
        self.meta.write(write).await
    }

    /// Finds a bucket.
    pub async fn head_bucket(&self, permit: &Permit, name: &BucketName) -> Result<Bucket, Error> {
        permit.expect_action("s3:ListBucket");
        self.bucket(name).await
    }

    /// Finds a bucket to tell its region.
    pub async fn bucket_location(
        &self,
        permit: &Permit,
        name: &BucketName,
    ) -> Result<Bucket, Error> {
        permit.expect_action("s3:GetBucketLocation");
        self.bucket(name).await
    }

    /// Finds a bucket to tell what is configured of it, which the permit's action names.
    pub async fn bucket_configuration(
        &self,
        permit: &Permit,
        name: &BucketName,
    ) -> Result<Bucket, Error> {
        debug_assert!(
            permit.action().starts_with("s3:Get") || permit.action().ends_with("BucketPolicy"),
            "the permit is for the configuration"
        );
        self.bucket(name).await
    }

    /// Says whether a bucket keeps versions. One that has kept any can only suspend that.
    pub async fn set_versioning(
        &self,
        permit: &Permit,
        name: &BucketName,
        versioning: Versioning,
    ) -> Result<(), Error> {
        permit.expect_action("s3:PutBucketVersioning");
        let (event, name) = (event(permit, name, None), name.clone());
        let write = move |tx: &mut Tx<'_>| {
            demand(tx, &name)?;
            store::set_versioning(tx, &name, versioning)?;
            tx.record(&event)?;
            Ok(())
        };
        self.meta.write(write).await
    }

    /// Confirms that the bucket's owner alone has access to it, or to the object `key` in it, by
    /// lists: these are switched off for good, so there is nothing to change.
    pub async fn confirm_owners_access(
        &self,
        permit: &Permit,
        name: &BucketName,
        key: Option<&ObjectKey>,
        version: Option<&VersionId>,
    ) -> Result<(), Error> {
        debug_assert!(permit.action().ends_with("Acl"), "the permit is for that");
        let event = event(permit, name, key);
        let (name, key, version) = (name.clone(), key.cloned(), version.cloned());
        let write = move |tx: &mut Tx<'_>| {
            demand(tx, &name)?;
            if let Some(key) = &key {
                find(tx, &name, key, version.as_ref())?;
            }
            tx.record(&event)?;
            Ok(())
        };
        self.meta.write(write).await
    }

    /// Every bucket, by name.
    pub async fn buckets(&self, permit: &Permit) -> Result<Vec<Bucket>, Error> {
        permit.expect_action("s3:ListAllMyBuckets");
        self.meta.read(|reader| Ok(store::buckets(reader)?)).await
    }

    /// Removes a bucket that holds neither objects nor versions of any. Unfinished uploads end with
    /// it, as S3 has it, unless there are more than one transaction should end.
    pub async fn delete_bucket(&self, permit: &Permit, name: &BucketName) -> Result<(), Error> {
        permit.expect_action("s3:DeleteBucket");
        let event = event(permit, name, None);
        let (name, holds) = (name.clone(), self.holds.clone());
        let write = move |tx: &mut Tx<'_>| {
            demand(tx, &name)?;
            let uploads = store::uploads_of_bucket(tx, &name, UPLOADS_ENDED_MAX + 1)?;
            let too_many = UPLOADS_ENDED_MAX < u32::try_from(uploads.len()).unwrap_or(u32::MAX);
            if too_many || store::bucket_in_use(tx, &name)? {
                return Err(Error::BucketNotEmpty(name));
            }
            let mut settled = Settled::default();
            for upload in &uploads {
                settled.doomed.push(holds.doom(multipart::end(tx, upload)?));
            }
            store::delete_bucket(tx, &name)?;
            forget_resource_policy(tx, &Arn::s3(name.as_str(), None))?;
            tx.record(&event)?;
            Ok(settled)
        };
        self.settle(self.meta.write(write).await).await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        let name = name.clone();
        let read =
            |reader: &Reader<'_>| store::bucket(reader, &name)?.ok_or(Error::BucketNotFound(name));
        self.meta.read(read).await
    }
}

/// Fails unless the bucket exists.
pub(crate) fn demand(reader: &Reader<'_>, name: &BucketName) -> Result<Bucket, Error> {
    store::bucket(reader, name)?.ok_or_else(|| Error::BucketNotFound(name.clone()))
}
