//! What tests of several crates share: contract suites for the ports, and sources that misbehave.
//!
//! Only ever a dev-dependency. Each port has one module whose functions assert its promises on
//! any implementation.

#![expect(
    clippy::expect_used,
    reason = "an assertion of a suite fails by panicking"
)]

pub mod blob;
pub mod launcher;
