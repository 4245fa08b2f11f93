//! What every S3 request says in the same way: names, owner, and what is asked for in vain.

use http::StatusCode;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_objects::{BucketName, Error, Etags, ObjectKey, WriteCondition};

use crate::faults::{fault, invalid_argument};

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

/// Accepts the only version that objects of unversioned buckets have.
pub(crate) fn expect_current_version(version: Option<&String>) -> Result<(), Fault> {
    match version {
        Some(id) if id != "null" => Err(invalid_argument(
            "versionId",
            id,
            "Invalid version id specified",
        )),
        Some(_) | None => Ok(()),
    }
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
