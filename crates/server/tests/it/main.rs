//! The front door over whole services: requests in, answers out, no socket between.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod attacks;
mod backup;
mod expect;
mod forms;
mod leftovers;
mod limits;
mod permissions;
mod port;
mod probes;
mod refusals;
mod remote_blobs;
mod routes;
mod uploads;
mod world;
