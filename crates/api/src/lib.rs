//! What every protocol crate shares: the table of operations and the wrapper around each.
//!
//! A handler converts, acts and converts. Everything that must not be forgotten stands here once,
//! in [`Operations::call`]: decoding and validation by the service's model, the permission on the
//! resource that the model names, the event of what was done or refused, and the error envelope.
//! This crate must never know a particular operation. Handlers are registered with
//! [`Operations::serve`] and [`Operations::serve_stream`].

mod body;
mod call;
mod fault;
mod operations;

pub use body::{Body, BodyFault, TooLarge, empty, full, pieces, read_to_limit, stream};
pub use call::{Call, Reply};
pub use fault::{Fault, FaultTable};
pub use operations::{Operations, Request, encode_fault};
