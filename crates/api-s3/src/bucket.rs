//! Buckets.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::Value;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, BucketCannedACL, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput,
    DeleteBucketInput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, ObjectOwnership, Owner,
};
use sightline_types::{Arn, ErrorKind};
use sightline_wire::OperationType;
use sightline_wire::schema::Operation;

use crate::App;
use crate::faults::{fault, invalid_argument, table};
use crate::request::{bucket, expect_owner, refuse_unserved};

/// Buckets on a page at most, as S3 has it.
const BUCKETS_MAX: i32 = 10_000;

/// `CreateBucket` with its location constraint as it was sent.
///
/// The model's list of regions lacks us-east-1, which clients name all the same, and S3 answers
/// an unknown region with a code of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Create;

/// The request to make a bucket, and where.
#[derive(Debug)]
pub(crate) struct CreateInput {
    request: CreateBucketInput,
    location: Option<String>,
}

impl OperationType for Create {
    type Input = CreateInput;
    type Output = CreateBucketOutput;
    const OPERATION: &'static Operation = s3::CreateBucket::OPERATION;

    fn input(mut document: Value) -> Result<CreateInput, serde_json::Error> {
        let configuration = document.pointer_mut("/CreateBucketConfiguration");
        let members = configuration.and_then(Value::as_object_mut);
        let location = members.and_then(|members| members.remove("LocationConstraint"));
        Ok(CreateInput {
            request: s3::CreateBucket::input(document)?,
            location: location.and_then(|text| text.as_str().map(str::to_owned)),
        })
    }

    fn document(output: &CreateBucketOutput) -> Result<Value, serde_json::Error> {
        s3::CreateBucket::document(output)
    }
}

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: CreateInput,
) -> Result<CreateBucketOutput, Fault> {
    let CreateInput { request, location } = input;
    let public = request
        .acl
        .is_some_and(|acl| acl != BucketCannedACL::Private);
    let configuration = request.create_bucket_configuration.unwrap_or_default();
    if public {
        let text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
        let status = StatusCode::BAD_REQUEST;
        return Err(Fault::new(
            "InvalidBucketAclWithObjectOwnership",
            status,
            text,
        ));
    }
    refuse_unserved(&[
        (
            "x-amz-grant-full-control",
            request.grant_full_control.is_some(),
        ),
        ("x-amz-grant-read", request.grant_read.is_some()),
        ("x-amz-grant-read-acp", request.grant_read_acp.is_some()),
        ("x-amz-grant-write", request.grant_write.is_some()),
        ("x-amz-grant-write-acp", request.grant_write_acp.is_some()),
        (
            "x-amz-bucket-object-lock-enabled",
            request.object_lock_enabled_for_bucket == Some(true),
        ),
        (
            "x-amz-object-ownership",
            request
                .object_ownership
                .is_some_and(|kind| kind != ObjectOwnership::BucketOwnerEnforced),
        ),
        ("Location", configuration.location.is_some()),
        ("Bucket", configuration.bucket.is_some()),
        (
            "Tags",
            configuration.tags.is_some_and(|tags| !tags.is_empty()),
        ),
    ])?;
    let name = bucket(&request.bucket)?;
    let location = location.as_deref().map(region_of).transpose()?;
    app.objects
        .create_bucket(&permit, &name, location)
        .await
        .map_err(fault)?;
    Ok(CreateBucketOutput {
        location: Some(format!("/{name}")),
        bucket_arn: Some(Arn::s3(name.as_str(), None).to_string()),
    })
}

pub(crate) async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: DeleteBucketInput,
) -> Result<(), Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let deleted = app.objects.delete_bucket(&permit, &name).await;
    deleted.map_err(fault)?;
    // The bucket's policy went with it.
    let refreshed = app.identity.refresh_if_changed().await;
    refreshed.map_err(|error| Fault::of(table, error.kind(), &error))?;
    Ok(())
}

/// The region that a location constraint names.
fn region_of(constraint: &str) -> Result<&'static str, Fault> {
    let known: Result<BucketLocationConstraint, _> = serde_json::from_value(constraint.into());
    match known {
        // What S3 called its first region of the European Union.
        Ok(BucketLocationConstraint::Eu) => Ok("eu-west-1"),
        Ok(known) => Ok(known.as_str()),
        Err(_) => {
            let text = "The specified location-constraint is not valid";
            let status = StatusCode::BAD_REQUEST;
            let fault = Fault::new("InvalidLocationConstraint", status, text);
            Err(fault.with("LocationConstraint", constraint))
        }
    }
}

pub(crate) async fn head(
    app: Arc<App>,
    permit: Permit,
    input: HeadBucketInput,
) -> Result<HeadBucketOutput, Fault> {
    let name = bucket(&input.bucket)?;
    let found = app
        .objects
        .head_bucket(&permit, &name)
        .await
        .map_err(fault)?;
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    Ok(HeadBucketOutput {
        bucket_arn: Some(Arn::s3(name.as_str(), None).to_string()),
        bucket_region: Some(found.region),
        access_point_alias: Some(false),
        ..HeadBucketOutput::default()
    })
}

pub(crate) async fn location(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketLocationInput,
) -> Result<GetBucketLocationOutput, Fault> {
    let name = bucket(&input.bucket)?;
    let found = app
        .objects
        .bucket_location(&permit, &name)
        .await
        .map_err(fault)?;
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    // The first region is none: an empty constraint.
    let constraint = Some(found.region).filter(|region| region != "us-east-1");
    let location_constraint = constraint
        .map(|region| serde_json::from_value(region.into()))
        .transpose()
        .map_err(|error| Fault::of(table, ErrorKind::Internal, &error))?;
    Ok(GetBucketLocationOutput {
        location_constraint,
    })
}

pub(crate) async fn list(
    app: Arc<App>,
    permit: Permit,
    input: ListBucketsInput,
) -> Result<ListBucketsOutput, Fault> {
    let max = match input.max_buckets {
        None => usize::MAX,
        Some(max @ 1..=BUCKETS_MAX) => usize::try_from(max).unwrap_or(usize::MAX),
        Some(other) => {
            let text = "max-buckets must be an integer between 1 and 10000";
            return Err(invalid_argument("max-buckets", &other.to_string(), text));
        }
    };
    let after = input
        .continuation_token
        .as_deref()
        .map(after_token)
        .transpose()?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let region = input.bucket_region.as_deref();
    let mut found = app.objects.buckets(&permit).await.map_err(fault)?;
    found.retain(|bucket| {
        let name = bucket.name.as_str();
        name.starts_with(prefix)
            && after.as_deref().is_none_or(|after| after < name)
            && region.is_none_or(|region| region == bucket.region)
    });
    let more = max < found.len();
    found.truncate(max);
    let last = found.last().filter(|_| more);
    let continuation_token = last.map(|bucket| URL_SAFE_NO_PAD.encode(bucket.name.as_str()));
    let shown = found.into_iter().map(|bucket| s3::Bucket {
        bucket_arn: Some(Arn::s3(bucket.name.as_str(), None).to_string()),
        name: Some(bucket.name.to_string()),
        creation_date: Some(bucket.created_at),
        bucket_region: Some(bucket.region),
    });
    Ok(ListBucketsOutput {
        buckets: Some(shown.collect()),
        owner: Some(owner(&permit)),
        continuation_token,
        prefix: input.prefix,
    })
}

fn after_token(token: &str) -> Result<String, Fault> {
    let text = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|name| String::from_utf8(name).ok());
    let message = "The continuation token provided is incorrect";
    text.ok_or_else(|| invalid_argument("continuation-token", token, message))
}

/// The owner of everything here: the server's account.
pub(crate) fn owner(permit: &Permit) -> Owner {
    Owner {
        id: Some(permit.cx().account.to_string()),
        ..Owner::default()
    }
}
