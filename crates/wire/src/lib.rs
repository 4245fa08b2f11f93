//! What AWS puts on the wire: operation tables, protocols, validation texts, routing, SigV4.
//!
//! Every protocol decodes a request into one document form and encodes an answer from it, driven
//! by the static tables that code generation writes into the `model-*` crates. This crate does no
//! I/O, keeps no state but compiled patterns, and knows no engine. Start at [`schema`].

pub mod chunked;
mod error;
mod facts;
pub mod limits;
mod operation;
mod path;
mod pattern;
pub mod post;
pub mod protocol;
mod redact;
mod resource;
pub mod route;
pub mod schema;
pub mod sigv2;
pub mod sigv4;
pub mod uri;
mod validate;

pub use error::{DecodeError, EncodeError};
pub use facts::condition_facts;
pub use operation::OperationType;
pub use pattern::Pattern;
pub use redact::redact;
pub use resource::{UnnamedResource, resolve_resource};
pub use validate::{ValidationError, validate};
