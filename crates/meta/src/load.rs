//! What the writer has to do and has done, for whoever watches a server.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    arrived: AtomicU64,
    taken: AtomicU64,
    commits: AtomicU64,
    committed: AtomicU64,
}

/// What the writer has to do and has done since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterLoad {
    /// Changes and events that wait for the writer.
    pub waiting: u64,
    /// Commits, each of a group of changes.
    pub commits: u64,
    /// Changes and events that those commits had room for.
    pub committed: u64,
    /// Changes and events that were taken up and came to nothing, because their group could not
    /// be committed.
    pub refused: u64,
}

impl Counters {
    pub(crate) fn arrived(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// A group has been tried.
    pub(crate) fn tried(&self, length: usize, kept: bool) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if kept {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.committed.fetch_add(length, Ordering::Relaxed);
        }
        self.taken.fetch_add(length, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> WriterLoad {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (commits, committed) = (read(&self.commits), read(&self.committed));
        let taken = read(&self.taken);
        WriterLoad {
            // A change may be done before its arrival is seen here.
            waiting: read(&self.arrived).saturating_sub(taken),
            commits,
            committed,
            refused: taken.saturating_sub(committed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_came_to_nothing_is_told() {
        let counters = Counters::default();
        (0..6).for_each(|_| counters.arrived());
        counters.tried(3, true);
        counters.tried(1, false);
        let expected = WriterLoad {
            waiting: 2,
            commits: 1,
            committed: 3,
            refused: 1,
        };
        assert_eq!(counters.load(), expected);
    }
}
