//! What AWS puts on the wire: operation tables, protocols, validation texts, routing, SigV4.
//!
//! Every protocol decodes a request into one document form and encodes an answer from it, driven
//! by the static tables that code generation writes into the `model-*` crates. This crate does no
//! I/O, keeps no state but compiled patterns, and knows no engine. Start at [`schema`].

pub mod schema;
