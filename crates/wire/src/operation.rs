//! The link between an operation's table and its generated types.

use serde_json::Value;

use crate::schema::Operation;

/// An operation with its generated types; the implementors are types without values.
///
/// The conversions are not generic: the code that serde derives is compiled where the types are
/// generated, once.
pub trait OperationType: Send + Sync + 'static {
    /// What a handler receives.
    type Input: Send;
    /// What a handler answers; `()` where success has no body.
    type Output: Send;
    /// The operation's table.
    const OPERATION: &'static Operation;

    /// Reads the input from a document that [`crate::validate`] has accepted.
    fn input(document: Value) -> Result<Self::Input, serde_json::Error>;

    /// Writes the output as a document.
    fn document(output: &Self::Output) -> Result<Value, serde_json::Error>;
}
