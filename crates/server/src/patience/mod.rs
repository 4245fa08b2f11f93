//! How long the server waits for a client: for a request's head, for its body, for the client to
//! take an answer, and for the next request.
//!
//! Each wait has a limit of its own, so that no client can hold a connection for longer by being
//! slow than by being idle.

mod body;
mod connection;

pub(crate) use body::{Guarded, Hears, Held, patient};
pub(crate) use connection::{Patient, Turn};
