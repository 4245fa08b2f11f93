//! What clients ask of a bucket that here is always the same: who owns it, that the owner alone
//! has access by lists, and that nothing else is configured.
//!
//! Where S3 has an error for what is not configured, that is the answer. The operations that
//! would configure any of it are not served, and are refused by name.

use std::marker::PhantomData;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    AccessControlPolicy, BucketCannedACL, GetBucketAccelerateConfigurationInput,
    GetBucketAccelerateConfigurationOutput, GetBucketAclInput, GetBucketAclOutput,
    GetBucketLoggingInput, GetBucketLoggingOutput, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput,
    GetObjectAclInput, GetObjectAclOutput, Grant, Grantee, ObjectCannedACL, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, Payer, Permission, PutBucketAclInput,
    PutObjectAclInput, PutObjectAclOutput, Type,
};
use sightline_wire::OperationType;
use sightline_wire::schema::Operation;

use crate::App;
use crate::attributes::lists_are_off;
use crate::bucket::owner;
use crate::faults::fault;
use crate::request::{bucket, expect_owner, key, version};

/// An operation that asks for what no bucket has.
#[derive(Debug)]
pub(crate) struct Absent<O>(PhantomData<O>);

/// What is asked for, and of which bucket.
#[derive(Debug)]
pub(crate) struct Asked {
    operation: &'static str,
    bucket: String,
    expected_owner: Option<String>,
}

impl<O: OperationType> OperationType for Absent<O> {
    type Input = Asked;
    type Output = ();
    const OPERATION: &'static Operation = O::OPERATION;

    fn input(document: Value) -> Result<Asked, serde_json::Error> {
        let text = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Ok(Asked {
            operation: O::OPERATION.name,
            bucket: text("Bucket").unwrap_or_default(),
            expected_owner: text("ExpectedBucketOwner"),
        })
    }

    fn document((): &()) -> Result<Value, serde_json::Error> {
        Ok(Value::Null)
    }
}

/// Answers that what is asked for is not configured, once the bucket is found.
pub(crate) async fn absent(app: Arc<App>, permit: Permit, asked: Asked) -> Result<(), Fault> {
    find(&app, &permit, &asked.bucket, asked.expected_owner.as_ref()).await?;
    let (code, text) = match asked.operation {
        "GetBucketCors" => (
            "NoSuchCORSConfiguration",
            "The CORS configuration does not exist",
        ),
        "GetBucketEncryption" => (
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
        ),
        "GetBucketLifecycleConfiguration" => (
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        ),
        "GetBucketReplication" => (
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        "GetBucketWebsite" => (
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
        "GetObjectLockConfiguration" => (
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
        _ => (
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
    };
    let fault = Fault::new(code, StatusCode::NOT_FOUND, text);
    Err(fault.with("BucketName", asked.bucket))
}

async fn find(
    app: &App,
    permit: &Permit,
    name: &str,
    expected_owner: Option<&String>,
) -> Result<(), Fault> {
    expect_owner(permit, expected_owner)?;
    let found = app
        .objects
        .bucket_configuration(permit, &bucket(name)?)
        .await;
    found.map(|_| ()).map_err(fault)
}

pub(crate) async fn acceleration(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketAccelerateConfigurationInput,
) -> Result<GetBucketAccelerateConfigurationOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    Ok(GetBucketAccelerateConfigurationOutput::default())
}

pub(crate) async fn logging(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketLoggingInput,
) -> Result<GetBucketLoggingOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    Ok(GetBucketLoggingOutput::default())
}

pub(crate) async fn notification(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketNotificationConfigurationInput,
) -> Result<GetBucketNotificationConfigurationOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    Ok(GetBucketNotificationConfigurationOutput::default())
}

pub(crate) async fn ownership(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketOwnershipControlsInput,
) -> Result<GetBucketOwnershipControlsOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    let rule = OwnershipControlsRule {
        object_ownership: ObjectOwnership::BucketOwnerEnforced,
    };
    Ok(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(OwnershipControls { rules: vec![rule] }),
    })
}

pub(crate) async fn request_payment(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketRequestPaymentInput,
) -> Result<GetBucketRequestPaymentOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    Ok(GetBucketRequestPaymentOutput {
        payer: Some(Payer::BucketOwner),
    })
}

pub(crate) async fn bucket_acl(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketAclInput,
) -> Result<GetBucketAclOutput, Fault> {
    find(
        &app,
        &permit,
        &input.bucket,
        input.expected_bucket_owner.as_ref(),
    )
    .await?;
    Ok(GetBucketAclOutput {
        owner: Some(owner(&permit)),
        grants: Some(vec![owners_grant(&permit)]),
    })
}

pub(crate) async fn object_acl(
    app: Arc<App>,
    permit: Permit,
    input: GetObjectAclInput,
) -> Result<GetObjectAclOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let version = version(input.version_id.as_ref())?;
    let found = app
        .objects
        .describe(&permit, &bucket, &key, version.as_ref())
        .await;
    found.map_err(fault)?;
    Ok(GetObjectAclOutput {
        owner: Some(owner(&permit)),
        grants: Some(vec![owners_grant(&permit)]),
        request_charged: None,
    })
}

fn owners_grant(permit: &Permit) -> Grant {
    let grantee = Grantee {
        id: owner(permit).id,
        r#type: Type::CanonicalUser,
        display_name: None,
        email_address: None,
        uri: None,
    };
    Grant {
        grantee: Some(grantee),
        permission: Some(Permission::FullControl),
    }
}

pub(crate) async fn put_bucket_acl(
    app: Arc<App>,
    permit: Permit,
    input: PutBucketAclInput,
) -> Result<(), Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    let granted = grants.iter().any(|grant| grant.is_some());
    let canned = input.acl.is_none_or(|acl| acl == BucketCannedACL::Private);
    expect_owners(
        canned && !granted,
        input.access_control_policy.as_ref(),
        &permit,
    )?;
    let name = bucket(&input.bucket)?;
    let confirmed = app
        .objects
        .confirm_owners_access(&permit, &name, None, None);
    confirmed.await.map_err(fault)
}

pub(crate) async fn put_object_acl(
    app: Arc<App>,
    permit: Permit,
    input: PutObjectAclInput,
) -> Result<PutObjectAclOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    let granted = grants.iter().any(|grant| grant.is_some());
    let owners = [
        ObjectCannedACL::Private,
        ObjectCannedACL::BucketOwnerFullControl,
    ];
    let canned = input.acl.is_none_or(|acl| owners.contains(&acl));
    expect_owners(
        canned && !granted,
        input.access_control_policy.as_ref(),
        &permit,
    )?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let version = version(input.version_id.as_ref())?;
    let confirmed =
        app.objects
            .confirm_owners_access(&permit, &bucket, Some(&key), version.as_ref());
    confirmed.await.map_err(fault)?;
    Ok(PutObjectAclOutput::default())
}

/// Accepts no list but the one that there is: full control for the owner and for nobody else.
fn expect_owners(
    plain: bool,
    policy: Option<&AccessControlPolicy>,
    permit: &Permit,
) -> Result<(), Fault> {
    let grants = policy.and_then(|policy| policy.grants.as_ref());
    let others = grants.is_some_and(|grants| *grants != [owners_grant(permit)]);
    match plain && !others {
        true => Ok(()),
        false => Err(lists_are_off()),
    }
}
