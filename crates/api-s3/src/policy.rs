//! Bucket policies.

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Call, Fault, Reply};
use sightline_identity::{Error, Permit};
use sightline_model_aws::s3::{
    DeleteBucketPolicyInput, GetBucketPolicyInput, GetBucketPolicyOutput, PutBucketPolicyInput,
};

use crate::App;
use crate::checksum::verify_document;
use crate::faults::{fault, table};
use crate::request::{bucket, expect_owner};

/// The answer to a failure of identity.
fn refused(error: &Error) -> Fault {
    let coded = |code: &str, status| Fault::new(code, status, error.to_string());
    if let Error::Malformed(_) = error {
        return coded("MalformedPolicy", StatusCode::BAD_REQUEST);
    }
    if let Error::NotFound { name, .. } = error {
        let fault = coded("NoSuchBucketPolicy", StatusCode::NOT_FOUND);
        return fault.with("BucketName", name.as_str());
    }
    Fault::of(table, error.kind(), error)
}

pub(crate) async fn put(
    app: Arc<App>,
    call: Call,
    input: PutBucketPolicyInput,
) -> Result<Reply<()>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    verify_document(&call.headers, call.body, false).await?;
    let name = bucket(&input.bucket)?;
    let found = app.objects.bucket_configuration(&call.permit, &name).await;
    found.map_err(fault)?;
    let put = app.identity.put_resource_policy(&call.permit, input.policy);
    put.await.map_err(|error| refused(&error))?;
    let mut reply = Reply::new(());
    reply.status = Some(StatusCode::NO_CONTENT);
    Ok(reply)
}

pub(crate) async fn get(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketPolicyInput,
) -> Result<GetBucketPolicyOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let found = app.objects.bucket_configuration(&permit, &name).await;
    found.map_err(fault)?;
    let policy = app.identity.resource_policy(&permit);
    Ok(GetBucketPolicyOutput {
        policy: Some(policy.map_err(|error| refused(&error))?),
    })
}

pub(crate) async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: DeleteBucketPolicyInput,
) -> Result<(), Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let found = app.objects.bucket_configuration(&permit, &name).await;
    found.map_err(fault)?;
    let deleted = app.identity.delete_resource_policy(&permit);
    deleted.await.map_err(|error| refused(&error))
}
