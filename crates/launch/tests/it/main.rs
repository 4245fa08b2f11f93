//! Real sandboxes, attacked from inside, as root and as an ordinary user.

#[cfg(test)]
mod api;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod escape;
#[cfg(test)]
mod injection;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod ordinary;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod self_test;
#[cfg(test)]
mod train;
