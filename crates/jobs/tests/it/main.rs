//! The jobs engine from creation to end, over real stores and scripted instances.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test is its failure"
)]

mod access;
mod failing;
mod processing;
mod queue;
mod restart;
mod scripts;
mod servers;
mod stopping;
mod training;
mod world;
