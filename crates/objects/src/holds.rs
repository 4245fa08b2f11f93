//! Which blobs must stay although no row names them yet, or no longer does.
//!
//! A blob is stored before the row that names it is committed, and a reader may be in the middle
//! of one whose row has just been replaced. Both are known here, so that neither the deletion of
//! replaced bytes nor the collection of orphans takes a blob from under anybody's hands.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sightline_meta::{MetaError, Tx};
use sightline_ports::BlobId;

use crate::store;

/// Knows every blob on its way in or out. Cloning gives another handle to the same knowledge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Stored, or about to be, and not yet named by a committed row.
    fresh: HashSet<BlobId>,
    /// How many readers each blob has.
    pinned: HashMap<BlobId, usize>,
    /// Groups that a row named together and that none should name any more.
    doomed: Vec<Vec<BlobId>>,
    /// Blobs that are being deleted at this moment.
    burying: HashSet<BlobId>,
}

impl State {
    fn any_pinned(&self, blobs: &[BlobId]) -> bool {
        blobs.iter().any(|blob| self.pinned.contains_key(blob))
    }
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a new blob until it is named by a row or given up.
    pub(crate) fn fresh(&self, id: BlobId) -> Fresh {
        self.lock().fresh.insert(id.clone());
        Fresh {
            id,
            holds: self.clone(),
            kept: false,
            small: None,
        }
    }

    /// Holds the bytes of a small blob until a row names it. No store has it, so that nobody could
    /// take it away.
    pub(crate) fn fresh_small(&self, id: BlobId, bytes: Bytes) -> Fresh {
        Fresh {
            id,
            holds: self.clone(),
            kept: false,
            small: Some(bytes),
        }
    }

    /// Whether a blob may still be named by a row that is not committed yet, or is being read.
    pub(crate) fn is_held(&self, id: &BlobId) -> bool {
        let state = self.lock();
        state.fresh.contains(id) || state.pinned.contains_key(id)
    }

    /// Keeps blobs readable until the pin is dropped; `None` if one of them is being deleted, so
    /// that whoever read their row must read it again.
    pub(crate) fn pin(&self, blobs: Vec<BlobId>) -> Option<Pin> {
        let mut state = self.lock();
        if blobs.iter().any(|blob| state.burying.contains(blob)) {
            return None;
        }
        for blob in &blobs {
            *state.pinned.entry(blob.clone()).or_default() += 1;
        }
        Some(Pin {
            blobs,
            holds: self.clone(),
        })
    }

    /// Marks blobs that a transaction ceases to name.
    ///
    /// The mark takes effect when the answer of the transaction is dropped, which is after its
    /// commit has succeeded or failed, whether or not anybody waited for it.
    pub(crate) fn doom(&self, blobs: Vec<BlobId>) -> Doomed {
        Doomed {
            blobs,
            holds: self.clone(),
        }
    }

    /// Takes the doomed groups that nobody reads.
    pub(crate) fn take_doomed(&self) -> Vec<Vec<BlobId>> {
        let mut state = self.lock();
        let doomed = mem::take(&mut state.doomed);
        let (read, free) = doomed
            .into_iter()
            .partition(|blobs| state.any_pinned(blobs));
        state.doomed = read;
        free
    }

    /// Begins the deletion of blobs that no row names, unless somebody reads one of them: then
    /// they are doomed until later.
    pub(crate) fn bury(&self, blobs: Vec<BlobId>) -> Option<Burial> {
        let mut state = self.lock();
        if state.any_pinned(&blobs) {
            state.doomed.push(blobs);
            return None;
        }
        state.burying.extend(blobs.iter().cloned());
        Some(Burial {
            blobs,
            holds: self.clone(),
        })
    }
}

/// A blob that no row names yet. Dropping it unkept dooms the blob.
#[derive(Debug)]
pub(crate) struct Fresh {
    id: BlobId,
    holds: Holds,
    kept: bool,
    small: Option<Bytes>,
}

impl Fresh {
    pub(crate) fn id(&self) -> &BlobId {
        &self.id
    }

    /// Says that a row of `tx` names the blob, and stores the bytes of a small one with it. The
    /// hold itself ends with the drop, which a transaction leaves to its answer: until the commit
    /// the row is visible to nobody else.
    pub(crate) fn keep(&mut self, tx: &mut Tx<'_>) -> Result<(), MetaError> {
        if let Some(bytes) = &self.small {
            store::put_small(tx, &self.id, bytes)?;
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.small.is_some() {
            return;
        }
        let mut state = self.holds.lock();
        state.fresh.remove(&self.id);
        if !self.kept {
            state.doomed.push(vec![self.id.clone()]);
        }
    }
}

/// Blobs that somebody reads.
#[derive(Debug)]
pub(crate) struct Pin {
    blobs: Vec<BlobId>,
    holds: Holds,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        for blob in &self.blobs {
            if let Some(readers) = state.pinned.get_mut(blob) {
                *readers -= 1;
                if *readers == 0 {
                    state.pinned.remove(blob);
                }
            }
        }
    }
}

/// Blobs that are doomed from the moment this is dropped.
#[derive(Debug)]
pub(crate) struct Doomed {
    blobs: Vec<BlobId>,
    holds: Holds,
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let blobs = mem::take(&mut self.blobs);
        if !blobs.is_empty() {
            self.holds.lock().doomed.push(blobs);
        }
    }
}

/// Blobs to be deleted while this is held. They have no readers and get none.
#[derive(Debug)]
pub(crate) struct Burial {
    pub(crate) blobs: Vec<BlobId>,
    holds: Holds,
}

impl Drop for Burial {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        for blob in &self.blobs {
            state.burying.remove(blob);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: &str) -> BlobId {
        BlobId::parse(&digit.repeat(32)).unwrap()
    }

    #[test]
    fn read_blobs_are_not_taken_until_their_last_reader_has_gone() {
        let holds = Holds::default();
        let group = vec![id("a"), id("b")];
        let (one, two) = (
            holds.pin(group.clone()).unwrap(),
            holds.pin(vec![id("b")]).unwrap(),
        );
        drop(holds.doom(group.clone()));
        assert!(holds.take_doomed().is_empty());
        drop(one);
        assert!(holds.take_doomed().is_empty(), "a group goes together");
        assert!(holds.bury(group.clone()).is_none());
        drop(two);
        let taken = holds.take_doomed();
        assert_eq!(taken, [group.clone(), group.clone()]);
        let burial = holds.bury(group).unwrap();
        assert!(
            holds.pin(vec![id("b")]).is_none(),
            "a blob being deleted takes no reader"
        );
        drop(burial);
        assert!(holds.pin(vec![id("b")]).is_some());
    }

    #[test]
    fn a_blob_given_up_is_doomed_and_a_kept_one_is_not() {
        let holds = Holds::default();
        let given_up = holds.fresh(id("a"));
        assert!(holds.is_held(&id("a")));
        drop(given_up);
        assert!(!holds.is_held(&id("a")));
        assert_eq!(holds.take_doomed(), [[id("a")]]);

        let mut kept = holds.fresh(id("b"));
        kept.kept = true;
        assert!(
            holds.is_held(&id("b")),
            "the hold lasts until the commit is known"
        );
        drop(kept);
        assert!(holds.take_doomed().is_empty());
    }
}
