//! Stores of immutable blobs behind [`sightline_ports::BlobStore`].
//!
//! A blob has a random name made by the server and is written once. This crate knows neither
//! buckets nor keys, so no text given by a user ever becomes a path here. Start at
//! [`DirBlobStore`], which keeps each blob as a file.

mod dir;
mod read;
mod stage;

pub use dir::DirBlobStore;
