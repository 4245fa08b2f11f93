//! The traits behind which a default can be exchanged for its scale-out twin.
//!
//! Each port is small, and its comments state the promise that every implementation is tested
//! for by the contract suites in `testkit`. Ports know no protocol, no engine and no SQL.

mod blob;
mod clock;
mod launch;

pub use blob::{BlobError, BlobId, BlobStore, BlobStream, ByteRange};
pub use clock::{Clock, SystemClock};
pub use launch::{
    Command, Environment, Exit, HostName, InstanceLog, InstanceReport, LaunchError, LaunchSpec,
    Launcher, Limits, Mount, Network, Progress, RunningJob, Signal,
};
