//! The processes of an instance, as `/proc` of the host shows them.

use std::collections::BTreeMap;
use std::fs;

/// One process at the moment of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Clock ticks after boot.
    started: u64,
    resident_pages: u64,
}

/// All processes that the server can see, read once.
#[derive(Debug, Default)]
pub(super) struct Snapshot(BTreeMap<u32, Process>);

impl Snapshot {
    /// Reads `/proc`. A process that ends meanwhile is left out.
    pub(super) fn take() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Self::default();
        };
        let processes = entries.flatten().filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((id, parse_stat(&stat)?))
        });
        Self(processes.collect())
    }

    /// The program that namespace pid 1 started: its oldest child, for orphans that it adopts
    /// were started later.
    pub(super) fn program_of(&self, first: u32) -> Option<u32> {
        let children = self.0.iter().filter(|(_, process)| process.parent == first);
        children
            .min_by_key(|(_, process)| process.started)
            .map(|(&id, _)| id)
    }

    /// Namespace pid 1 with all its descendants. Nothing in a PID namespace can leave this tree.
    pub(super) fn tree(&self, first: u32) -> Vec<u32> {
        let mut members = vec![first];
        let mut next = 0;
        while let Some(&parent) = members.get(next) {
            let children = self
                .0
                .iter()
                .filter(|(_, process)| process.parent == parent);
            members.extend(children.map(|(&id, _)| id));
            next += 1;
        }
        members
    }

    /// The memory of `members` in bytes, pages that several share counted once if `limit` is in
    /// question.
    ///
    /// Resident sizes are cheap to read but count a page once for each process that maps it.
    /// Only when their sum is over the limit is the exact figure read from each process.
    pub(super) fn memory_bytes(&self, members: &[u32], limit: u64) -> u64 {
        let page_bytes = rustix::param::page_size() as u64;
        let resident = |id: &u32| {
            self.0.get(id).map_or(0, |process| {
                process.resident_pages.saturating_mul(page_bytes)
            })
        };
        let upper_bound: u64 = members.iter().map(resident).sum();
        if upper_bound <= limit {
            return upper_bound;
        }
        members
            .iter()
            .map(|id| proportional_bytes(*id).unwrap_or_else(|| resident(id)))
            .sum()
    }
}

/// The parent of a process, if the process exists.
pub(super) fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(parse_stat(&stat)?.parent)
}

/// The proportional set size, or `None` when the kernel does not tell.
fn proportional_bytes(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Reads a line of `/proc/*/stat`; the name in its second field may hold spaces and brackets.
fn parse_stat(line: &str) -> Option<Process> {
    let (_, after_name) = line.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        resident_pages: fields.get(21)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = "4021 (a) b) R 77 4021 4021 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 \
                    155001 2609152 204 18446744073709551615 1 1 0";
        let expected = Process {
            parent: 77,
            started: 155_001,
            resident_pages: 204,
        };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("12 (x"), None);
    }

    #[test]
    fn the_program_is_the_oldest_child_and_the_tree_is_whole() {
        let process = |parent, started| Process {
            parent,
            started,
            resident_pages: 1,
        };
        let snapshot = Snapshot(BTreeMap::from([
            (1, process(0, 0)),
            (50, process(1, 9)),
            // The PIDs have wrapped round: the orphan's is lower.
            (70, process(50, 10)),
            (20, process(50, 12)),
            (21, process(70, 11)),
            (90, process(1, 5)),
        ]));
        assert_eq!(snapshot.program_of(50), Some(70));
        assert_eq!(snapshot.program_of(21), None);
        let mut tree = snapshot.tree(50);
        tree.sort_unstable();
        assert_eq!(tree, [20, 21, 50, 70]);
    }

    #[test]
    fn this_process_is_seen_with_its_memory() {
        let own = std::process::id();
        let snapshot = Snapshot::take();
        let cheap = snapshot.memory_bytes(&[own], u64::MAX);
        assert!(1 << 20 <= cheap, "{cheap} bytes");
        let exact = snapshot.memory_bytes(&[own], 0);
        assert!(0 < exact && exact <= cheap, "{exact} of {cheap} bytes");
    }
}
