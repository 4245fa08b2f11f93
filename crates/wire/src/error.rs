//! Why a request could not be read, or an answer not be written.

use crate::schema::Protocol;

/// A request that cannot be read as its operation's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is not of the protocol's format.
    #[error("The request body is not well-formed {format}: {detail}")]
    Malformed {
        /// `JSON`, `XML` or `form data`.
        format: &'static str,
        /// What is wrong and where.
        detail: String,
    },
    /// A value in the body is of another type than the model says.
    #[error("{detail}{}", place(path))]
    WrongType {
        /// Where the value stands.
        path: String,
        /// What was found and what was expected.
        detail: String,
    },
    /// A header, path segment or query parameter cannot be read.
    #[error("The value of {name} is not {expected}")]
    Parameter {
        /// The name on the wire.
        name: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The path or the query is not percent-encoded UTF-8.
    #[error("Couldn't parse the specified URI.")]
    Uri,
    /// The body is longer than a document may be.
    #[error("The request body is larger than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The document nests deeper, or has more parts, than any valid one.
    #[error("The request has more than {max} {what}")]
    TooComplex {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl DecodeError {
    /// The error code with which services of this protocol answer; the status is 400.
    #[must_use]
    pub fn code(&self, protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => "SerializationException",
            Protocol::Query => "MalformedInput",
            Protocol::RestXml => self.s3_code(),
        }
    }

    fn s3_code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::WrongType { .. } | Self::TooComplex { .. } => {
                "MalformedXML"
            }
            Self::Parameter { .. } => "InvalidArgument",
            Self::Uri => "InvalidURI",
            Self::TooLarge { .. } => "MaxMessageLengthExceeded",
        }
    }
}

/// An answer that does not fit its operation's output: a fault of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A value is of another type than the model says.
    #[error("the answer's {path:?} is not {expected}")]
    WrongType {
        /// Where the value stands.
        path: String,
        /// What the model says.
        expected: &'static str,
    },
    /// A value cannot stand in a header.
    #[error("the answer's header {0:?} has a value that headers cannot hold")]
    Header(String),
    /// The parts do not make an HTTP answer.
    #[error("could not assemble the answer")]
    Http,
}

/// Names a place in a document; the whole document needs no name.
fn place(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!(" at '{path}'")
}
