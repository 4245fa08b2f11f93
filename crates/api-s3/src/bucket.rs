//! Buckets.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, BucketCannedACL, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput, Owner,
};
use sightline_types::{Arn, ErrorKind};

use crate::App;
use crate::faults::{fault, invalid_argument, table};
use crate::request::{bucket, expect_owner, refuse_unserved};

/// Buckets on a page at most, as S3 has it.
const BUCKETS_MAX: i32 = 10_000;

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: CreateBucketInput,
) -> Result<CreateBucketOutput, Fault> {
    let public = input.acl.is_some_and(|acl| acl != BucketCannedACL::Private);
    let configuration = input.create_bucket_configuration.unwrap_or_default();
    refuse_unserved(&[
        ("x-amz-acl", public),
        (
            "x-amz-grant-full-control",
            input.grant_full_control.is_some(),
        ),
        ("x-amz-grant-read", input.grant_read.is_some()),
        ("x-amz-grant-read-acp", input.grant_read_acp.is_some()),
        ("x-amz-grant-write", input.grant_write.is_some()),
        ("x-amz-grant-write-acp", input.grant_write_acp.is_some()),
        (
            "x-amz-bucket-object-lock-enabled",
            input.object_lock_enabled_for_bucket == Some(true),
        ),
        ("Location", configuration.location.is_some()),
        ("Bucket", configuration.bucket.is_some()),
        (
            "Tags",
            configuration.tags.is_some_and(|tags| !tags.is_empty()),
        ),
    ])?;
    let name = bucket(&input.bucket)?;
    let location = configuration.location_constraint.map(location_name);
    app.objects
        .create_bucket(&permit, &name, location)
        .await
        .map_err(fault)?;
    Ok(CreateBucketOutput {
        location: Some(format!("/{name}")),
        bucket_arn: Some(Arn::s3(name.as_str(), None).to_string()),
    })
}

/// `EU` is what S3 once called eu-west-1.
fn location_name(constraint: BucketLocationConstraint) -> &'static str {
    match constraint.as_str() {
        "EU" => "eu-west-1",
        name => name,
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
