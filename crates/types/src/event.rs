//! The record that an action leaves behind.

use std::sync::Arc;

use serde_json::Value;

use crate::{Cx, RequestId, Timestamp};

/// A resource that an event touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRef {
    /// CloudFormation-style type, such as `AWS::SageMaker::TrainingJob`.
    pub kind: String,
    /// The name or ARN by which people look it up.
    pub name: String,
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// It was done.
    Success,
    /// It was refused or failed, with the code and the message that the caller saw.
    Failure {
        /// The protocol's error code, such as `AccessDeniedException`.
        code: String,
        /// The message beside it.
        message: String,
    },
}

/// One action of one principal, as CloudTrail would record it.
///
/// The source of the field set is CloudTrail's record contents, event version 1.11.
#[derive(Clone, Debug)]
pub struct Event {
    /// Unique identifier of the event.
    pub id: String,
    /// When the action was asked for.
    pub at: Timestamp,
    /// What was asked for, by whom, from where, with which client and parameters.
    pub cx: Arc<Cx>,
    /// What it touched.
    pub resources: Vec<ResourceRef>,
    /// How it ended.
    pub outcome: EventOutcome,
    /// What the answer said of it, for actions that make something.
    pub response: Option<Value>,
}

impl Event {
    /// The event of the request `cx` ending with `outcome`, touching nothing as yet.
    #[must_use]
    pub fn of(cx: &Arc<Cx>, outcome: EventOutcome) -> Self {
        Self {
            id: RequestId::random().to_string(),
            at: cx.received_at,
            cx: Arc::clone(cx),
            resources: Vec::new(),
            outcome,
            response: None,
        }
    }
}
