//! Real sandboxes, attacked from inside, as root and as an ordinary user.

mod contract;
#[cfg(test)]
mod environment;
mod escape;
mod injection;
mod kill;
mod limits;
mod ordinary;
mod rig;
mod self_test;
