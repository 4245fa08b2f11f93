//! Uploads that nobody goes on with: ended once they are older than the operator allows.

use sightline_identity::Permit;
use sightline_meta::Reader;
use sightline_types::Timestamp;

use crate::{Error, Objects, UploadRef, store};

/// Uploads looked up in one step. Each is ended in a transaction of its own.
const STEP_UPLOADS: u32 = 100;

impl Objects {
    /// Ends every upload that was begun before `before`, and tells how many. Their parts are
    /// deleted as those of an upload that is aborted.
    ///
    /// Safe at any time beside other work: an upload that is completed first is an object, and a
    /// part that comes later finds no upload.
    pub async fn expire_uploads(&self, permit: &Permit, before: Timestamp) -> Result<usize, Error> {
        permit.expect_action("s3:AbortMultipartUpload");
        let mut ended = 0;
        loop {
            let look = move |reader: &Reader<'_>| store::old_uploads(reader, before, STEP_UPLOADS);
            let found: Vec<UploadRef> = self.meta.read(look).await?;
            if found.is_empty() {
                return Ok(ended);
            }
            for upload in found {
                match self.end_upload(permit, upload).await {
                    Ok(()) => ended += 1,
                    Err(Error::UploadNotFound(_) | Error::BucketNotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
