//! A user id of its own for each running job, when the server runs as root.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// Ids that no account of the host uses; one is lent to each running job.
#[derive(Debug)]
pub(super) struct UidPool {
    range: RangeInclusive<u32>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lent: BTreeSet<u32>,
    next: u32,
}

/// A user id that no other job of this server has until this is dropped.
#[derive(Debug)]
pub(super) struct UidLease {
    pool: Arc<UidPool>,
    uid: u32,
}

impl UidPool {
    /// Starts lending at a place in `range` that depends on `salt`, so that several servers on
    /// one host are unlikely to give two jobs the same id, and an id rests before it comes again.
    pub(super) fn new(range: RangeInclusive<u32>, salt: u32) -> Arc<Self> {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        let next = range.start() + salt.wrapping_mul(257) % width;
        Arc::new(Self {
            range,
            state: Mutex::new(State {
                lent: BTreeSet::new(),
                next,
            }),
        })
    }

    /// Lends an id, or `None` when all are in use.
    pub(super) fn lend(self: &Arc<Self>) -> Option<UidLease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let from = state.next;
        let free = (from..=*self.range.end())
            .chain(*self.range.start()..from)
            .find(|uid| !state.lent.contains(uid))?;
        state.lent.insert(free);
        state.next = if free == *self.range.end() {
            *self.range.start()
        } else {
            free + 1
        };
        Some(UidLease {
            pool: Arc::clone(self),
            uid: free,
        })
    }
}

impl UidLease {
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for UidLease {
    fn drop(&mut self) {
        let mut state = self
            .pool
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.lent.remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_lent_once_and_comes_back() {
        let pool = UidPool::new(10..=12, 0);
        let first = pool.lend().unwrap();
        let second = pool.lend().unwrap();
        let third = pool.lend().unwrap();
        assert_eq!([first.uid(), second.uid(), third.uid()], [10, 11, 12]);
        assert!(pool.lend().is_none());
        drop(second);
        assert_eq!(pool.lend().unwrap().uid(), 11);
    }

    #[test]
    fn an_id_that_came_back_rests_while_others_are_free() {
        let pool = UidPool::new(10..=12, 0);
        drop(pool.lend().unwrap());
        assert_eq!(pool.lend().unwrap().uid(), 11);
    }

    #[test]
    fn every_salt_starts_inside_the_range() {
        for salt in [0, 1, 77, 4_194_304, u32::MAX] {
            let uid = UidPool::new(200_000..=265_535, salt).lend().unwrap().uid();
            assert!((200_000..=265_535).contains(&uid), "salt {salt} gave {uid}");
        }
    }
}
