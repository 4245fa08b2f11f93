//! The real binary in a world that fails it: disks, clocks, torn files, hostile bytes.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod clock;
mod disk;
mod hostile;
mod rig;
mod torn;
