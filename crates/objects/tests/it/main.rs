//! The engine over a real database file and a real directory of blobs.

#[cfg(test)]
mod bucket;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod million;
#[cfg(test)]
mod model;
#[cfg(test)]
mod multipart;
#[cfg(test)]
mod object;
#[cfg(test)]
mod race;
#[cfg(test)]
mod small;
#[cfg(test)]
mod version;
#[cfg(test)]
mod world;
