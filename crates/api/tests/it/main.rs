//! The wrapper around every operation, over a service of two operations.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod bodies;
mod calls;
mod tiny;
