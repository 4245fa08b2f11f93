//! Stores of immutable blobs behind [`sightline_ports::BlobStore`].
//!
//! A blob has a random name made by the server and is written once. This crate knows neither
//! buckets nor keys, so no text given by a user ever becomes a path here. Start at
//! [`DirBlobStore`], which keeps each blob as a file; [`S3BlobStore`] keeps each as an object of a
//! bucket elsewhere, and is there with the feature `s3`.

mod dir;
mod read;
#[cfg(feature = "s3")]
mod s3;
mod stage;
#[cfg(feature = "s3")]
mod upload;

pub use dir::DirBlobStore;
#[cfg(feature = "s3")]
pub use s3::{S3BlobConfig, S3BlobStore};
