//! The audit engine on its own directory.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod delivery;
mod retention;
mod tampering;
mod world;
