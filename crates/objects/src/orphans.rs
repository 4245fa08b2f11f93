//! The collection of blobs that no row names: what crashes and broken connections leave behind.

use crate::{Error, Objects};

/// Blobs looked at in one step, so that neither memory nor a snapshot is held for long.
const STEP_BLOBS: usize = 1000;

impl Objects {
    /// Deletes every blob that no row names and that nobody is about to name; gives their number.
    /// On a store that several servers share, one of them sets such blobs aside, and deletes those
    /// that were so for longer than anybody may still need them.
    ///
    /// Safe at any time beside other work, and bounded in each step. The server calls it at start
    /// and then now and again.
    pub async fn collect_orphans(&self) -> Result<usize, Error> {
        self.sweep().await;
        if !self.collects().await? {
            return Ok(0);
        }
        let mark = self.mark().await?;
        let mut collected = self.delete_set_aside().await?;
        let mut after = None;
        loop {
            let mut blobs = self.blobs.list(after.as_ref(), STEP_BLOBS).await?;
            let Some(last) = blobs.last() else { break };
            after = Some(last.clone());
            // The order matters. A blob that was stored before it was listed is fresh until its
            // row is committed; so one that is not fresh now is named now, or never will be.
            blobs.retain(|blob| !self.holds.is_held(blob) && mark.as_ref() != Some(blob));
            collected += self.delete_unnamed(blobs).await?;
        }
        if 0 < collected {
            tracing::info!(blobs = collected, "blobs that nothing names were deleted");
        }
        Ok(collected)
    }
}
