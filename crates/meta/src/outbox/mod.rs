//! The event outbox: what happened, written in the transaction that made it so.
//!
//! An event is turned into its final text once ([`Sealed`]) and only buffered by the change that
//! it belongs to. When the writer ends a group of changes it numbers the events of those that
//! stand, links each to the one before by a hash and stores all of them in as few rows as their
//! size allows. Everything by which events are looked up is derived from the records afterwards.

mod adopt;
mod chain;
mod index;
mod lookup;
mod prune;
mod record;

pub(crate) use adopt::adopt;
pub(crate) use chain::append;
pub use chain::{BLOCK_EVENTS_MAX, Block, Head, blocks, head, pruned};
pub use index::index;
pub use lookup::{Attribute, Lookup, Recorded, lookup};
pub use prune::{Oldest, Prunable, Pruned, bytes_after, oldest, prune};
pub use record::{Sealed, is_by_service, time_of};

use sightline_types::Event;

use crate::{MetaError, Tx};

impl Tx<'_> {
    /// Records `event` with this transaction: both happen, or neither.
    pub fn record(&mut self, event: &Event) -> Result<(), MetaError> {
        self.events.push(Sealed::of(event)?);
        Ok(())
    }
}
