//! Proof from outside: the real binary, clients that sign, and what must hold whatever happens.
//!
//! Never part of the product. [`Server`] runs the binary and kills it, [`Client`] speaks HTTP to
//! it byte by byte, and [`crash`] is the campaign that kills it over and over under load and
//! compares what is left with what was acknowledged. Nothing here knows an engine: everything is
//! seen through the port, the command line and the data directory's size.

mod client;
pub mod crash;
mod dice;
mod faults;
mod server;

pub use client::{Answer, Ask, Client, Key, raw};
pub use dice::Dice;
pub use faults::{DiskFault, FailingDisk, MovedClock, SmallDisk};
pub use server::{Launch, Server};
