//! What tests of several crates share: contract suites for the ports, a clock that tests move, and
//! a launcher whose instances are closures.
//!
//! Only ever a dev-dependency. `blob` and `launcher` assert the promises of a port on any
//! implementation; `clock` and `scripted` are implementations that a test steers; `store` and
//! `postgres` give a test the metadata store that its run is about.

#![expect(
    clippy::expect_used,
    reason = "an assertion of a suite fails by panicking"
)]

pub mod blob;
pub mod clock;
pub mod launcher;
pub mod postgres;
pub mod scripted;
pub mod store;
