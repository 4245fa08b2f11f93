//! Which resource a request needs its permission on.

use serde_json::Value;
use sightline_types::{AccountId, Arn, Region};

use crate::schema::Operation;

/// A request that names no resource, although its operation acts on one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request does not name the resource of {operation}")]
pub struct UnnamedResource {
    /// The operation.
    pub operation: &'static str,
}

/// Names the resource of a request from the templates of its operation.
///
/// `processing-job/{ProcessingJobName}` is completed to an ARN of the operation's service; a
/// template that is one parameter alone, `{ResourceArn}`, takes an ARN from the request. The first
/// template whose parameters are all present counts. S3 and IAM spell their ARNs without region.
pub fn resolve_resource(
    operation: &'static Operation,
    document: &Value,
    region: &Region,
    account: &AccountId,
) -> Result<Arn, UnnamedResource> {
    let found = operation.resources.iter().find_map(|template| {
        let filled = fill(template, document)?;
        let is_one_parameter =
            template.starts_with('{') && template.find('}') == Some(template.len() - 1);
        match operation.service.name {
            "s3" => Some(s3(&filled)),
            _ if is_one_parameter => filled.parse().ok(),
            service @ "iam" => Some(Arn::global(service, account, &filled)),
            service => Some(Arn::new(service, region, account, &filled)),
        }
    });
    found.ok_or(UnnamedResource {
        operation: operation.name,
    })
}

/// The template with its parameters' values; `None` when one is absent or empty.
fn fill(template: &str, document: &Value) -> Option<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(
            document
                .get(name)?
                .as_str()
                .filter(|value| !value.is_empty())?,
        );
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

fn s3(resource: &str) -> Arn {
    match resource.split_once('/') {
        Some((bucket, key)) => Arn::s3(bucket, Some(key)),
        None => Arn::s3(resource, None),
    }
}
