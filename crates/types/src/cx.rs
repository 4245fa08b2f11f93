//! The context of one request: who asks, from where, when, and under which identifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// When the session began whose key that is; permanent keys have none.
    pub session_began: Option<Timestamp>,
}

/// How a connection is protected, in the words of CloudTrail's `tlsDetails`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name.
    pub cipher_suite: String,
    /// The name that the client called the server by, if it gave one.
    pub server_name: Option<String>,
}

/// How a request to S3 was signed, in the words of CloudTrail's `additionalEventData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `SigV4` or `SigV2`.
    pub version: &'static str,
    /// `AuthHeader`, `QueryString` or `HtmlForm`: where the signature stood.
    pub method: &'static str,
}

/// What travels with a request from the front door to the event it leaves behind.
#[derive(Debug)]
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
    /// How the connection was protected; `None` if it was not.
    pub tls: Option<TlsDetails>,
    /// How it was signed, if S3 was asked.
    pub signed: Option<Signed>,
    /// The client's `User-Agent`, cut to 1,024 characters.
    pub user_agent: String,
    /// The operation asked for.
    pub operation: OperationName,
    /// The request's parameters with secrets removed, for the event.
    pub parameters: Option<Arc<Value>>,
    /// Whether an engine has taken the recording of this request's success upon itself.
    pub recorded: Recorded,
}

impl Cx {
    /// The context of another operation that this request leads the platform to do.
    #[must_use]
    pub fn of_operation(&self, operation: OperationName) -> Self {
        Self {
            request_id: self.request_id.clone(),
            received_at: self.received_at,
            account: self.account.clone(),
            region: self.region.clone(),
            caller: self.caller.clone(),
            source: self.source.clone(),
            tls: self.tls.clone(),
            signed: self.signed,
            user_agent: self.user_agent.clone(),
            operation,
            parameters: None,
            recorded: Recorded::default(),
        }
    }
}

/// The name of an operation as activity shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationName {
    /// The service, such as `sagemaker.amazonaws.com`.
    pub source: &'static str,
    /// The operation, such as `CreateTrainingJob`.
    pub name: &'static str,
    /// Whether it changes nothing.
    pub read_only: bool,
}

/// Set once by the engine that records a change, so that the front door does not do it again.
#[derive(Debug, Default)]
pub struct Recorded(AtomicBool);

impl Recorded {
    /// Says that the change's own transaction holds its event.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was said.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
