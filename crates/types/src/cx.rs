//! The context of one request: who asks, from where, when, and under which identifier.

use std::sync::Arc;

use serde_json::Value;

use crate::{AccountId, Region, RequestId, Timestamp};

/// Who makes a request, as far as the signature proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal's ARN as `GetCallerIdentity` shows it.
    pub arn: String,
    /// The unique identifier that STS calls `UserId`.
    pub user_id: String,
    /// The name that people search activity by.
    pub user_name: String,
    /// The public half of the key that signed the request.
    pub access_key_id: String,
}

/// What travels with a request from the front door to the event it leaves behind.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Repeated in the answer, the logs and the event.
    pub request_id: RequestId,
    /// When the request's head had been read.
    pub received_at: Timestamp,
    /// The server's account.
    pub account: AccountId,
    /// The server's region.
    pub region: Region,
    /// The principal that signed the request.
    pub caller: Caller,
    /// The peer's address, or the name of a job's own socket.
    pub source: String,
    /// The client's `User-Agent`, cut to 1,024 characters.
    pub user_agent: String,
    /// The request's parameters with secrets removed, for the event; `None` until decoded.
    pub parameters: Option<Arc<Value>>,
}
