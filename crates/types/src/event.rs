//! The record that an action leaves behind.

use std::sync::Arc;

use serde_json::Value;

use crate::{Arn, Cx, Timestamp};

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
            at: cx.received_at,
            cx: Arc::clone(cx),
            resources: Vec::new(),
            outcome,
            response: None,
        }
    }
}

impl ResourceRef {
    /// The reference to what an ARN names.
    #[must_use]
    pub fn of(arn: &Arn) -> Self {
        Self {
            kind: kind_of(arn),
            name: arn.to_string(),
        }
    }
}

/// The type by which activity names a resource, as CloudFormation spells it.
fn kind_of(arn: &Arn) -> String {
    let resource = arn.resource();
    let word = resource.split(['/', ':']).next().unwrap_or_default();
    match (arn.service(), word) {
        ("s3", _) if resource.contains('/') => "AWS::S3::Object".to_owned(),
        ("s3", _) => "AWS::S3::Bucket".to_owned(),
        ("iam", "role") => "AWS::IAM::Role".to_owned(),
        ("logs", _) => "AWS::Logs::LogGroup".to_owned(),
        ("sagemaker", word) => format!("AWS::SageMaker::{}", camel_case(word)),
        (service, word) => format!("AWS::{}::{}", camel_case(service), camel_case(word)),
    }
}

/// `training-job` as `TrainingJob`.
fn camel_case(text: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    text.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_typed_as_cloudformation_spells_them() {
        let cases = [
            (
                "arn:aws:sagemaker:r:1:training-job/a",
                "AWS::SageMaker::TrainingJob",
            ),
            (
                "arn:aws:sagemaker:r:1:processing-job/a",
                "AWS::SageMaker::ProcessingJob",
            ),
            ("arn:aws:s3:::bucket", "AWS::S3::Bucket"),
            ("arn:aws:s3:::bucket/key", "AWS::S3::Object"),
            ("arn:aws:iam::1:role/r", "AWS::IAM::Role"),
            ("arn:aws:logs:r:1:log-group:g:*", "AWS::Logs::LogGroup"),
        ];
        for (arn, kind) in cases {
            assert_eq!(ResourceRef::of(&arn.parse().unwrap()).kind, kind, "{arn}");
        }
    }
}
