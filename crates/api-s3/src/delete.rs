//! Deleting objects, one or many.

use std::sync::Arc;

use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ObjectIdentifier,
};
use sightline_objects::{BucketName, Deleted, Deletion, VersionId};
use sightline_types::Arn;

use crate::App;
use crate::checksum::verify_document;
use crate::faults::{fault, malformed};
use crate::request::{
    bucket, expect_owner, key, permit_also, refuse_unserved, shown_version, version,
    write_condition,
};

/// Objects that one request may delete, as S3 has it.
const OBJECTS_MAX: usize = 1000;

pub(crate) async fn one(
    app: Arc<App>,
    permit: Permit,
    input: DeleteObjectInput,
) -> Result<DeleteObjectOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    refuse_unserved(&[
        ("x-amz-mfa", input.mfa.is_some()),
        (
            "x-amz-if-match-last-modified-time",
            input.if_match_last_modified_time.is_some(),
        ),
        ("x-amz-if-match-size", input.if_match_size.is_some()),
    ])?;
    let bucket = bucket(&input.bucket)?;
    let deletion = Deletion {
        key: key(&input.key)?,
        version: version(input.version_id.as_ref())?,
        condition: write_condition(input.if_match.as_ref(), None)?,
    };
    let deleted = app.objects.delete(&permit, &bucket, deletion).await;
    let deleted = deleted.map_err(fault)?;
    Ok(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: shown_version(deleted.version.as_ref()),
        request_charged: None,
    })
}

/// Deletes many. The permission is asked for on each; what is refused of one is told beside what
/// was done to the others.
pub(crate) async fn many(
    app: Arc<App>,
    call: Call,
    input: DeleteObjectsInput,
) -> Result<Reply<DeleteObjectsOutput>, Fault> {
    let Call {
        permit,
        headers,
        body,
        ..
    } = call;
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    verify_document(&headers, body, true).await?;
    refuse_unserved(&[("x-amz-mfa", input.mfa.is_some())])?;
    let named = input.delete.objects;
    if !(1..=OBJECTS_MAX).contains(&named.len()) {
        return Err(malformed());
    }
    let bucket = bucket(&input.bucket)?;
    let (mut wanted, mut errors) = (Vec::new(), Vec::new());
    for object in named {
        match deletion(&app, &permit, &bucket, &object) {
            Ok(deletion) => wanted.push((deletion, object)),
            Err(fault) => errors.push(failed(object, fault)),
        }
    }
    let (deletions, named): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let done = app.objects.delete_many(&permit, &bucket, deletions).await;
    let mut deleted = Vec::new();
    for (object, outcome) in named.into_iter().zip(done.map_err(fault)?) {
        match outcome {
            Ok(done) => deleted.push(shown(object, &done)),
            Err(error) => errors.push(failed(object, fault(error))),
        }
    }
    let quiet = input.delete.quiet == Some(true);
    Ok(Reply::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        request_charged: None,
    }))
}

/// A deletion with the permit for it.
fn deletion(
    app: &App,
    permit: &Permit,
    bucket: &BucketName,
    object: &ObjectIdentifier,
) -> Result<(Permit, Deletion), Fault> {
    refuse_unserved(&[
        ("LastModifiedTime", object.last_modified_time.is_some()),
        ("Size", object.size.is_some()),
    ])?;
    let deletion = Deletion {
        key: key(&object.key)?,
        version: version(object.version_id.as_ref())?,
        condition: write_condition(object.e_tag.as_ref(), None)?,
    };
    let action = match deletion.version {
        None => "s3:DeleteObject",
        Some(_) => "s3:DeleteObjectVersion",
    };
    let resource = Arn::s3(bucket.as_str(), Some(deletion.key.as_str()));
    Ok((permit_also(app, permit, action, resource)?, deletion))
}

fn shown(object: ObjectIdentifier, done: &Deleted) -> DeletedObject {
    let marker = done.version.as_ref().filter(|_| done.marker);
    DeletedObject {
        key: Some(object.key),
        version_id: object.version_id,
        delete_marker: done.marker.then_some(true),
        delete_marker_version_id: marker.map(VersionId::to_string),
    }
}

fn failed(object: ObjectIdentifier, fault: Fault) -> s3::Error {
    s3::Error {
        key: Some(object.key),
        version_id: object.version_id,
        code: Some(fault.code),
        message: Some(fault.message),
    }
}
