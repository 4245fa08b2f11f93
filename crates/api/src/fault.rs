//! A failure on its way to the caller.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use sightline_types::ErrorKind;
use sightline_wire::protocol::ErrorAnswer;

/// The code and status with which a service answers each kind of failure.
pub type FaultTable = fn(ErrorKind) -> (&'static str, StatusCode);

/// A failure as the caller shall see it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The error code.
    pub code: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The text for people. Of the server's own failures it says nothing but where to look.
    pub message: String,
    /// Further members of the error's body, such as S3's `Key`.
    pub details: Map<String, Value>,
    /// Headers that belong to the failure, such as the `ETag` of what has not changed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    /// A failure with this code, status and text.
    #[must_use]
    pub fn new(code: &str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            status,
            message: message.into(),
            details: Map::new(),
            headers: Vec::new(),
        }
    }

    /// A failure of this kind, coded as the service's table says.
    ///
    /// What went wrong inside the server is logged with its causes and not shown.
    #[must_use]
    pub fn of(
        table: FaultTable,
        kind: ErrorKind,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let (code, status) = table(kind);
        if matches!(kind, ErrorKind::Internal | ErrorKind::Unavailable) {
            tracing::error!(error = %chain(error), "a request failed inside the server");
            let text = "We encountered an internal error. The server's log has it under this \
                        request id. Please try again.";
            return Self::new(code, status, text);
        }
        Self::new(code, status, error.to_string())
    }

    /// The same failure with one more member in its body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same failure with a header. A value that headers cannot hold is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn into_answer(self) -> ErrorAnswer {
        ErrorAnswer {
            code: self.code,
            message: self.message,
            status: self.status,
            details: self.details,
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
