//! Blobs as objects of a bucket: S3's own, or any server's that speaks S3.
//!
//! ```text
//! <prefix>/blobs/ab12…   one object per blob
//! ```
//! A blob that fits in one part is one PUT. A larger one is a multipart upload of parts of equal
//! size, so memory does not grow with it, and nothing is readable before it is completed. What a
//! failure leaves is removed at once where the backend can be reached; an upload that a crash
//! leaves behind is invisible, and ends by the bucket's own rule for incomplete uploads.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig,
};
use sightline_ports::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};

use crate::upload::Upload;

/// Bytes of a part: the least that S3 takes, so that as little as possible is held. The largest
/// blob, 5 GiB, has 1,024 of them, of the 10,000 that S3 allows.
pub(crate) const PART_BYTES: usize = 5 * 1024 * 1024;

/// Pieces of a part, so that a sender of tiny pieces cannot make us hold many; smaller pieces than
/// these are joined.
const PART_PIECES: usize = 1024;

/// How often a request is tried again when the backend fails or cuts the connection.
const RETRIES_MAX: usize = 4;

/// After which time no further try is made.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause before the first retry; each further one doubles, up to the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LONGEST: Duration = Duration::from_secs(2);

/// How long it may take to reach the backend.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A bucket of blobs, and how to reach it.
#[derive(Clone)]
pub struct S3BlobConfig {
    /// Where the backend listens, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What the blobs' keys begin with; empty for nothing.
    pub prefix: String,
    /// Who signs.
    pub access_key_id: String,
    /// The signer's secret.
    pub secret_access_key: String,
    /// The token that goes with a temporary key.
    pub session_token: Option<String>,
    /// How long the backend may take for one request, its retries included, and for the next
    /// piece of an answer.
    pub request_timeout: Duration,
}

impl fmt::Debug for S3BlobConfig {
    /// Shows everything but the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3BlobConfig")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Keeps each blob as an object of a bucket, durable once the backend has acknowledged it.
#[derive(Clone)]
pub struct S3BlobStore {
    place: Arc<Place>,
}

/// The bucket and where in it the blobs lie.
pub(crate) struct Place {
    pub(crate) bucket: AmazonS3,
    pub(crate) folder: Path,
    pub(crate) timeout: Duration,
}

impl fmt::Debug for S3BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3BlobStore")
            .field("bucket", &self.place.bucket.to_string())
            .field("folder", &self.place.folder)
            .finish_non_exhaustive()
    }
}

impl S3BlobStore {
    /// Opens the store, which fails unless the bucket can be listed.
    pub async fn open(config: &S3BlobConfig) -> Result<Self, BlobError> {
        let action = "open its bucket";
        let place = Place {
            bucket: client(config).map_err(|error| failed(action, error))?,
            folder: Path::from(format!("{}/blobs", config.prefix)),
            timeout: config.request_timeout,
        };
        let store = Self {
            place: Arc::new(place),
        };
        store.place.list(action, None, 1).await?;
        Ok(store)
    }
}

fn client(config: &S3BlobConfig) -> Result<AmazonS3, object_store::Error> {
    // One request of a large body takes as long as it takes; `Place::within` bounds each step.
    let options = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(true);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: BACKOFF_FIRST,
            max_backoff: BACKOFF_LONGEST,
            base: 2.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    };
    let builder = AmazonS3Builder::new()
        .with_endpoint(config.endpoint.trim_end_matches('/'))
        .with_region(&config.region)
        .with_bucket_name(&config.bucket)
        .with_access_key_id(&config.access_key_id)
        .with_secret_access_key(&config.secret_access_key)
        .with_virtual_hosted_style_request(false)
        .with_client_options(options)
        .with_retry(retry);
    match &config.session_token {
        Some(token) => builder.with_token(token).build(),
        None => builder.build(),
    }
}

impl Place {
    pub(crate) fn path_of(&self, id: &BlobId) -> Path {
        self.folder.clone().join(id.as_str())
    }

    /// Waits for the backend, but not for ever.
    pub(crate) async fn within<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<T, BlobError> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(answer) => answer.map_err(|error| failed(action, error)),
            Err(_) => Err(late(action, self.timeout)),
        }
    }

    async fn list(
        &self,
        action: &'static str,
        after: Option<&BlobId>,
        max: usize,
    ) -> Result<Vec<BlobId>, BlobError> {
        let mut objects = match after {
            Some(after) => self
                .bucket
                .list_with_offset(Some(&self.folder), &self.path_of(after)),
            None => self.bucket.list(Some(&self.folder)),
        };
        let mut found = Vec::new();
        while found.len() < max {
            let Some(object) = self.within(action, objects.try_next()).await? else {
                break;
            };
            found.extend(object.location.filename().and_then(BlobId::parse));
        }
        Ok(found)
    }

    /// Stores a blob of one part.
    ///
    /// A failure can mean that only the answer was lost, so what may have been stored is deleted.
    async fn put_whole(&self, id: &BlobId, part: Part) -> Result<u64, BlobError> {
        let (path, size) = (self.path_of(id), part.size);
        let put = self.bucket.put(&path, part.into_payload());
        match self.within("write a blob", put).await {
            Ok(_) => Ok(size),
            Err(error) => {
                self.forget(&path).await;
                Err(error)
            }
        }
    }

    /// Deletes what a failed write may have left. If that fails too, the blob is one that nothing
    /// names, and is collected with the others.
    pub(crate) async fn forget(&self, path: &Path) {
        let deleted = self.within("delete a blob", self.bucket.delete(path)).await;
        if let Err(error) = deleted {
            tracing::warn!(%path, %error, "a failed write may have left a blob that nothing names");
        }
    }

    /// The bytes of a blob within a range that begins before its end.
    async fn open(&self, id: &BlobId, range: ByteRange) -> Result<Option<BlobStream>, BlobError> {
        let action = "read a blob";
        let path = self.path_of(id);
        let wanted = match range {
            ByteRange {
                end: u64::MAX,
                start: 0,
            } => None,
            ByteRange {
                end: u64::MAX,
                start,
            } => Some(GetRange::Offset(start)),
            ByteRange { start, end } => Some(GetRange::Bounded(start..end)),
        };
        let options = GetOptions {
            range: wanted,
            ..GetOptions::default()
        };
        let opened = self
            .within_found(action, self.bucket.get_opts(&path, options))
            .await?;
        Ok(opened.map(|answer| punctual(answer.into_stream(), self.timeout)))
    }

    async fn size(&self, id: &BlobId) -> Result<Option<u64>, BlobError> {
        let path = self.path_of(id);
        let head = self.within_found("read a blob", self.bucket.head(&path));
        Ok(head.await?.map(|meta| meta.size))
    }

    /// As [`Self::within`]; `None` if the backend has no such object.
    async fn within_found<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<Option<T>, BlobError> {
        let found = async {
            match request.await {
                Ok(found) => Ok(Some(found)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.within(action, found).await
    }
}

#[async_trait]
impl BlobStore for S3BlobStore {
    async fn put(&self, id: &BlobId, mut bytes: BlobStream) -> Result<u64, BlobError> {
        let first = Part::gather(&mut bytes).await.map_err(BlobError::Source)?;
        if first.last {
            return self.place.put_whole(id, first).await;
        }
        let upload = Upload::begin(&self.place, id).await?;
        upload.fill(first, bytes).await
    }

    async fn get(&self, id: &BlobId, range: ByteRange) -> Result<BlobStream, BlobError> {
        let missing = || BlobError::NotFound(id.clone());
        if range.start < range.end {
            match self.place.open(id, range).await {
                Ok(opened) => return opened.ok_or_else(missing),
                // The backend refuses a range that begins behind the end; the port does not.
                Err(error) => match self.place.size(id).await {
                    Ok(Some(size)) if size <= range.start => {}
                    Ok(_) | Err(_) => return Err(error),
                },
            }
        } else {
            self.place.size(id).await?.ok_or_else(missing)?;
        }
        Ok(stream::empty().boxed())
    }

    async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let path = self.place.path_of(id);
        let delete = self.place.bucket.delete(&path);
        match self.place.within_found("delete a blob", delete).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, after: Option<&BlobId>, max: usize) -> Result<Vec<BlobId>, BlobError> {
        self.place.list("list its blobs", after, max).await
    }
}

/// Consecutive bytes of a blob.
pub(crate) struct Part {
    pieces: Vec<Bytes>,
    size: u64,
    pub(crate) last: bool,
}

impl Part {
    /// Takes bytes until a part is full or there are no more.
    pub(crate) async fn gather(bytes: &mut BlobStream) -> io::Result<Self> {
        let mut part = Self {
            pieces: Vec::new(),
            size: 0,
            last: false,
        };
        while part.size < PART_BYTES as u64 {
            let Some(piece) = bytes.next().await.transpose()? else {
                part.last = true;
                break;
            };
            part.size += piece.len() as u64;
            part.pieces.push(piece);
            if PART_PIECES <= part.pieces.len() {
                part.pieces = vec![part.pieces.concat().into()];
            }
        }
        Ok(part)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn into_payload(self) -> PutPayload {
        self.pieces.into_iter().collect()
    }
}

/// A stream that fails when the backend pauses for longer than `pause_max`.
fn punctual(
    pieces: stream::BoxStream<'static, Result<Bytes, object_store::Error>>,
    pause_max: Duration,
) -> BlobStream {
    stream::try_unfold(pieces, move |mut pieces| async move {
        match tokio::time::timeout(pause_max, pieces.try_next()).await {
            Ok(Ok(next)) => Ok(next.map(|piece| (piece, pieces))),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => Err(paused(pause_max)),
        }
    })
    .boxed()
}

fn failed(action: &'static str, error: object_store::Error) -> BlobError {
    BlobError::Store {
        action,
        source: io::Error::other(error),
    }
}

fn late(action: &'static str, after: Duration) -> BlobError {
    BlobError::Store {
        action,
        source: paused(after),
    }
}

fn paused(after: Duration) -> io::Error {
    let text = format!("the backend did not answer for {after:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}
