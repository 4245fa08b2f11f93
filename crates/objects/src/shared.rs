//! Blobs of a store that several servers share: proof that all see the same ones, and patience in
//! deleting them.
//!
//! A server knows what it reads and writes itself, but not what the others do. So a blob that no
//! row names is set aside first, and deleted when it has been so for longer than any read of it or
//! any commit that names it may take.

use bytes::Bytes;
use futures_util::StreamExt as _;
use sightline_meta::{MetaError, Reader, Tx, settings};
use sightline_ports::{BlobError, BlobId, ByteRange};
use sightline_types::Timestamp;

use crate::object::new_id;
use crate::{Error, Objects, store};

/// The setting that holds the name of a blob by which servers know each other's blob store.
const MARK: &str = "blob_store";

/// What the blob of that name says.
const MARK_TEXT: &[u8] = b"Servers that share a metadata store know their blob store by this.\n";

/// The lease of the one server that collects.
const LEASE: &str = "objects/collection";

/// Blobs deleted in one step.
const STEP_BLOBS: u32 = 1000;

impl Objects {
    /// Whether this server's blobs are those of all servers on the metadata store.
    pub async fn shares_blobs(&self) -> Result<bool, Error> {
        let Some(mark) = self.mark().await? else {
            return self.mark_store().await;
        };
        let all = ByteRange {
            start: 0,
            end: MARK_TEXT.len() as u64,
        };
        match self.blobs.get(&mark, all).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn mark_store(&self) -> Result<bool, Error> {
        let lost = || BlobError::Store {
            action: "name a blob",
            source: std::io::Error::other("a random name has another form"),
        };
        let mine = new_id().ok_or_else(lost)?;
        let text = futures_util::stream::iter([Ok(Bytes::from_static(MARK_TEXT))]);
        self.blobs.put(&mine, text.boxed()).await?;
        let name = mine.clone();
        let first = self.meta.write(move |tx| {
            if settings::get(tx, MARK)?.is_some() {
                return Ok(false);
            }
            settings::put(tx, MARK, name.as_str())?;
            Ok::<_, MetaError>(true)
        });
        if first.await? {
            return Ok(true);
        }
        // Another server was first; its mark is the one that counts.
        self.blobs.delete(&mine).await?;
        Box::pin(self.shares_blobs()).await
    }

    /// The blob by which servers know the store; no object's.
    pub(crate) async fn mark(&self) -> Result<Option<BlobId>, Error> {
        let found = self.meta.read(|reader| settings::get(reader, MARK)).await?;
        Ok(found.and_then(|text| BlobId::parse(&text)))
    }

    /// Notes blobs that no row names, to be deleted after the grace. Whether one is named after all
    /// is looked at again then.
    pub(crate) async fn set_aside(&self, blobs: Vec<BlobId>) -> Result<(), Error> {
        if blobs.is_empty() {
            return Ok(());
        }
        let noted = self.meta.write(move |tx: &mut Tx<'_>| {
            let now = tx.database_time()?;
            blobs
                .iter()
                .try_for_each(|blob| store::set_aside(tx, blob, now))
        });
        Ok(noted.await?)
    }

    /// Whether this is the server that collects at present.
    pub(crate) async fn collects(&self) -> Result<bool, Error> {
        Ok(self.meta.lease(LEASE).await?)
    }

    /// Deletes what has been set aside for longer than the grace, and tells how much that was.
    pub(crate) async fn delete_set_aside(&self) -> Result<usize, Error> {
        let grace_ms = i64::try_from(self.grace.as_millis()).unwrap_or(i64::MAX);
        let mut deleted = 0;
        let mut after = String::new();
        loop {
            let from = after.clone();
            let due = self.meta.read(move |reader: &Reader<'_>| {
                let now = reader.database_time()?.millis();
                let before = Timestamp::from_millis(now.saturating_sub(grace_ms));
                store::set_aside_before(reader, before, &from, STEP_BLOBS)
            });
            let due: Vec<(BlobId, bool)> = due.await?;
            let Some((last, _)) = due.last() else {
                return Ok(deleted);
            };
            last.as_str().clone_into(&mut after);
            let mut done = Vec::new();
            for (blob, named) in due {
                if named {
                    done.push(blob);
                } else if let Some(burial) = self.holds.bury(vec![blob.clone()]) {
                    self.blobs.delete(&blob).await?;
                    drop(burial);
                    deleted += 1;
                    done.push(blob);
                }
            }
            let forgotten = self.meta.write(move |tx: &mut Tx<'_>| {
                done.iter()
                    .try_for_each(|blob| store::forget_aside(tx, blob))
            });
            forgotten.await?;
        }
    }
}
