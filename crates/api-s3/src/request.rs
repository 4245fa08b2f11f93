//! What every S3 request says in the same way: names, owner, and what is asked for in vain.

use http::StatusCode;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_objects::{BucketName, Error, Etags, ObjectKey, VersionId, WriteCondition};
use sightline_types::Arn;

use crate::App;
use crate::faults::{fault, invalid_argument, table};

/// Reads the name of a bucket.
pub(crate) fn bucket(text: &str) -> Result<BucketName, Fault> {
    text.parse().map_err(|error| fault(Error::Name(error)))
}

/// Reads the key of an object.
pub(crate) fn key(text: &str) -> Result<ObjectKey, Fault> {
    text.parse().map_err(|error| fault(Error::Name(error)))
}

/// Refuses a request that is meant for another account's bucket.
pub(crate) fn expect_owner(permit: &Permit, expected: Option<&String>) -> Result<(), Fault> {
    match expected {
        Some(owner) if owner != permit.cx().account.as_str() => Err(Fault::new(
            "AccessDenied",
            StatusCode::FORBIDDEN,
            "Access Denied",
        )),
        Some(_) | None => Ok(()),
    }
}

/// Refuses, by name, what a request asks for and this server does not do: doing the rest would
/// let the caller believe that all of it was done.
pub(crate) fn refuse_unserved(asked: &[(&'static str, bool)]) -> Result<(), Fault> {
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((header, _)) => {
            let text = format!(
                "A header you provided implies functionality that is not implemented: {header}"
            );
            let fault = Fault::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, text);
            Err(fault.with("Header", *header))
        }
    }
}

/// The version that a request names.
pub(crate) fn version(named: Option<&String>) -> Result<Option<VersionId>, Fault> {
    let read = |text: &String| text.parse().map_err(|error| fault(Error::Name(error)));
    named.map(read).transpose()
}

/// A version as it stands in answers.
pub(crate) fn shown_version(version: Option<&VersionId>) -> Option<String> {
    version.map(VersionId::to_string)
}

/// Asks for a permission that a request needs beside that of its operation.
pub(crate) fn permit_also(
    app: &App,
    permit: &Permit,
    action: &'static str,
    resource: Arn,
) -> Result<Permit, Fault> {
    let permitted = app.identity.permit(permit.cx(), action, resource);
    permitted.map_err(|error| Fault::of(table, error.kind(), &error))
}

/// The condition on which an object is written or deleted.
pub(crate) fn write_condition(
    if_match: Option<&String>,
    if_none_match: Option<&String>,
) -> Result<Option<WriteCondition>, Fault> {
    match (if_match, if_none_match) {
        (None, None) => Ok(None),
        (Some(etags), None) => Ok(Some(WriteCondition::Match(Etags::parse(etags)))),
        (None, Some(any)) if any.trim() == "*" => Ok(Some(WriteCondition::Absent)),
        (_, Some(_)) => refuse_unserved(&[("If-None-Match", true)]).map(|()| None),
    }
}

/// An ETag as it stands in answers.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// A size as the model's number; none of ours comes near the bound.
pub(crate) fn long(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A number of the query that may not be negative.
pub(crate) fn limit(name: &str, asked: Option<i32>, default: i32) -> Result<i32, Fault> {
    match asked {
        None => Ok(default),
        Some(number) if 0 <= number => Ok(number),
        Some(number) => {
            let text = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(invalid_argument(name, &number.to_string(), &text))
        }
    }
}
