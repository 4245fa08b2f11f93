//! An engine on its own directory, and permits to use it.

use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt;
use sightline_blob::DirBlobStore;
use sightline_identity::{Identity, Permit};
use sightline_meta::{Meta, MetaError, Reader, outbox, params};
use sightline_objects::{
    Attributes, BucketName, Deletion, Error, Found, ListQuery, NewObject, Object, ObjectKey,
    Objects, Payload, Wanted,
};
use sightline_ports::{BlobStore, SystemClock};
use sightline_types::{Arn, Caller, Cx, OperationName, Recorded, RequestId, Timestamp};

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) meta: Meta,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) identity: Identity,
    pub(crate) objects: Objects,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), "us-east-1").await
    }

    /// Opens the engine on a directory, which another one may have left behind.
    pub(crate) async fn open(directory: tempfile::TempDir, region: &str) -> Self {
        let blobs = Arc::new(DirBlobStore::open(&directory.path().join("objects")).unwrap());
        Self::over(directory, region, blobs).await
    }

    /// Opens the engine on other blobs than the directory's.
    pub(crate) async fn over(
        directory: tempfile::TempDir,
        region: &str,
        blobs: Arc<dyn BlobStore>,
    ) -> Self {
        let meta = sightline_testkit::store::open(directory.path());
        Self::of(directory, region, blobs, meta).await
    }

    /// Opens the engine on stores that are open.
    pub(crate) async fn of(
        directory: tempfile::TempDir,
        region: &str,
        blobs: Arc<dyn BlobStore>,
        meta: Meta,
    ) -> Self {
        let region = region.parse().unwrap();
        let secret_key = directory.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, Timestamp::EPOCH);
        let identity = identity.await.unwrap();
        let objects = Objects::new(meta.clone(), Arc::clone(&blobs), Arc::new(SystemClock));
        Self {
            directory,
            meta,
            blobs,
            identity,
            objects,
        }
    }

    /// The same with a bucket `bkt`.
    pub(crate) async fn with_bucket() -> Self {
        let world = Self::new().await;
        let permit = world.permit("s3:CreateBucket");
        world
            .objects
            .create_bucket(&permit, &bucket(), None)
            .await
            .unwrap();
        world
    }

    pub(crate) fn permit(&self, action: &'static str) -> Permit {
        let cx = Cx {
            request_id: RequestId::random(),
            received_at: Timestamp::EPOCH,
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller: Caller {
                arn: "arn:aws:sts::123456789012:assumed-role/R/alice".to_owned(),
                user_id: "AROA:alice".to_owned(),
                user_name: "alice".to_owned(),
                access_key_id: "AKIAEXAMPLE".to_owned(),
                session_began: None,
            },
            source: "127.0.0.1".to_owned(),
            tls: None,
            signed: None,
            user_agent: "test".to_owned(),
            operation: OperationName {
                source: "s3.amazonaws.com",
                name: action.strip_prefix("s3:").unwrap(),
                read_only: false,
            },
            parameters: None,
            recorded: Recorded::default(),
        };
        self.identity
            .platform_permit(&Arc::new(cx), action, Arn::s3("*", None))
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) -> Object {
        self.try_put(new(key), Payload::whole(bytes.to_vec()))
            .await
            .unwrap()
    }

    pub(crate) async fn try_put(&self, new: NewObject, payload: Payload) -> Result<Object, Error> {
        self.objects
            .put(&self.permit("s3:PutObject"), new, payload)
            .await
    }

    pub(crate) async fn find(&self, key: &str, wanted: &Wanted) -> Result<Found, Error> {
        self.objects
            .get(&self.permit("s3:GetObject"), &bucket(), &parse(key), wanted)
            .await
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        read(self.find(key, &Wanted::default()).await.unwrap()).await
    }

    pub(crate) async fn delete(&self, key: &str) {
        let permit = self.permit("s3:DeleteObject");
        self.objects
            .delete(&permit, &bucket(), Deletion::of(parse(key)))
            .await
            .unwrap();
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let query = ListQuery {
            max: 1000,
            ..ListQuery::default()
        };
        let listing = self
            .objects
            .list(&self.permit("s3:ListBucket"), &bucket(), &query)
            .await;
        listing
            .unwrap()
            .entries
            .iter()
            .map(|entry| entry.name().to_owned())
            .collect()
    }

    pub(crate) async fn blob_count(&self) -> usize {
        self.blobs.list(None, usize::MAX).await.unwrap().len()
    }

    /// How many blobs lie with the metadata.
    pub(crate) async fn small_count(&self) -> usize {
        let count = |reader: &Reader<'_>| {
            let found = reader.query("SELECT 1 FROM small_blobs", params![], |_| Ok(()))?;
            Ok::<_, MetaError>(found.len())
        };
        self.meta.read(count).await.unwrap()
    }

    /// The names of all recorded events, oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let lookup = outbox::Lookup {
            attribute: None,
            from: None,
            until: None,
            before_seq: None,
            limit: 1000,
        };
        let found = self
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup))
            .await
            .unwrap();
        found
            .items
            .into_iter()
            .rev()
            .map(|event| event.name)
            .collect()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

pub(crate) fn bucket() -> BucketName {
    "bkt".parse().unwrap()
}

pub(crate) fn parse(key: &str) -> ObjectKey {
    key.parse().unwrap()
}

pub(crate) fn new(key: &str) -> NewObject {
    NewObject {
        bucket: bucket(),
        key: parse(key),
        attributes: Attributes::default(),
        condition: None,
    }
}

pub(crate) async fn read(found: Found) -> Vec<u8> {
    let pieces: Vec<_> = found.bytes.try_collect().await.unwrap();
    pieces.concat()
}
