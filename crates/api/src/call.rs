//! What a handler is given and what it gives back.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sightline_identity::Permit;

use crate::Body;

/// A permitted request on its way into a handler.
#[derive(Debug)]
pub struct Call {
    /// The decision that let the request through.
    pub permit: Permit,
    /// The request's input.
    pub document: Value,
    /// The request's headers, for the few that no model names.
    pub headers: HeaderMap,
    /// The payload of operations whose input streams, the document of others as it came.
    pub body: Body,
}

/// A handler's answer where the model alone does not make it.
#[derive(Debug)]
pub struct Reply<T> {
    /// The output by the model.
    pub output: T,
    /// The payload, for operations whose output streams.
    pub body: Option<Body>,
    /// A status other than the model's, such as 206.
    pub status: Option<StatusCode>,
    /// Headers that no model names; they replace those that it does.
    pub headers: HeaderMap,
}

impl<T> Reply<T> {
    /// An answer that the model alone makes.
    #[must_use]
    pub fn new(output: T) -> Self {
        Self {
            output,
            body: None,
            status: None,
            headers: HeaderMap::new(),
        }
    }

    /// The same answer with a payload.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}
