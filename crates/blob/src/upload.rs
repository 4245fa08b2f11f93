//! A large blob on its way into a bucket, which ends completed or aborted.

use std::sync::Arc;

use futures_util::future;
use object_store::MultipartId;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use sightline_ports::{BlobError, BlobId, BlobStream};

use crate::s3::{Part, Place};

/// A multipart upload. Unless completed, it is aborted, by its drop at the latest.
pub(crate) struct Upload {
    place: Arc<Place>,
    path: Path,
    id: Option<MultipartId>,
}

impl Upload {
    /// Begins an upload; nothing of it is readable.
    ///
    /// The request is a task of its own: the bucket may have begun the upload although the caller
    /// no longer waits for the answer, and only the answer tells what is to be aborted.
    pub(crate) async fn begin(place: &Arc<Place>, id: &BlobId) -> Result<Self, BlobError> {
        let (place, path) = (Arc::clone(place), place.path_of(id));
        #[expect(clippy::disallowed_methods, reason = "awaited right below")]
        let beginning = tokio::spawn(async move {
            let begun = place.bucket.create_multipart(&path);
            let id = place.within("write a blob", begun).await?;
            Ok(Self {
                place,
                path,
                id: Some(id),
            })
        });
        beginning.await.map_err(|error| BlobError::Store {
            action: "write a blob",
            source: std::io::Error::other(error),
        })?
    }

    /// Sends every byte and makes the blob visible, or leaves nothing.
    pub(crate) async fn fill(
        mut self,
        first: Part,
        mut bytes: BlobStream,
    ) -> Result<u64, BlobError> {
        let filled = match self.send(first, &mut bytes).await {
            Ok((size, parts)) => self.complete(parts).await.map(|()| size),
            Err(error) => Err(error),
        };
        if filled.is_err()
            && let Some(id) = self.id.take()
        {
            abort(&self.place, &self.path, &id).await;
        }
        self.id = None;
        filled
    }

    /// Sends the parts, each while the next one is gathered.
    async fn send(
        &self,
        first: Part,
        bytes: &mut BlobStream,
    ) -> Result<(u64, Vec<PartId>), BlobError> {
        let (mut size, mut parts, mut part) = (0, Vec::new(), first);
        loop {
            size += part.size();
            let last = part.last;
            let sending = self.send_part(parts.len(), part);
            if last {
                parts.push(sending.await?);
                return Ok((size, parts));
            }
            // Both are awaited before either is judged, so that nothing goes on behind a failure.
            let (sent, next) = future::join(sending, Part::gather(bytes)).await;
            parts.push(sent?);
            part = next.map_err(BlobError::Source)?;
        }
    }

    async fn send_part(&self, index: usize, part: Part) -> Result<PartId, BlobError> {
        let id = self.id.clone().unwrap_or_default();
        let payload = part.into_payload();
        let sent = self.place.bucket.put_part(&self.path, &id, index, payload);
        self.place.within("write a blob", sent).await
    }

    /// Makes the blob visible. If the answer is lost, so may be the failure: whatever there is
    /// then is deleted.
    async fn complete(&self, parts: Vec<PartId>) -> Result<(), BlobError> {
        let id = self.id.clone().unwrap_or_default();
        let completed = self.place.bucket.complete_multipart(&self.path, &id, parts);
        match self.place.within("write a blob", completed).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.place.forget(&self.path).await;
                Err(error)
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (place, path) = (Arc::clone(&self.place), self.path.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { abort(&place, &path, &id).await }));
        }
    }
}

/// Gives up an upload's parts. What cannot be given up now stays invisible until the bucket's own
/// rule for incomplete uploads ends it.
async fn abort(place: &Place, path: &Path, id: &MultipartId) {
    let aborted = place
        .within("abort a blob", place.bucket.abort_multipart(path, id))
        .await;
    if let Err(error) = aborted {
        tracing::warn!(%path, %error, "an unfinished upload stays in the bucket, unseen");
    }
}
