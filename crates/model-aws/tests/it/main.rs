//! The tables of S3, STS, IAM, CloudWatch Logs and CloudTrail against botocore.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod tables;

use golden::{Typed, typed};
use sightline_model_aws::{cloudtrail, iam, logs, s3, sts};
use sightline_wire::schema::Service;

static SERVICES: [&Service; 5] = [
    &cloudtrail::SERVICE,
    &iam::SERVICE,
    &logs::SERVICE,
    &s3::SERVICE,
    &sts::SERVICE,
];

fn operations() -> Vec<Typed> {
    let groups = [of_iam(), of_s3(), of_others()];
    groups.into_iter().flatten().collect()
}

fn of_iam() -> Vec<Typed> {
    vec![
        typed::<iam::AttachRolePolicy>(),
        typed::<iam::AttachUserPolicy>(),
        typed::<iam::CreateAccessKey>(),
        typed::<iam::CreatePolicy>(),
        typed::<iam::CreatePolicyVersion>(),
        typed::<iam::CreateRole>(),
        typed::<iam::CreateUser>(),
        typed::<iam::DeleteAccessKey>(),
        typed::<iam::DeletePolicy>(),
        typed::<iam::DeletePolicyVersion>(),
        typed::<iam::DeleteRole>(),
        typed::<iam::DeleteRolePermissionsBoundary>(),
        typed::<iam::DeleteUserPermissionsBoundary>(),
        typed::<iam::PutRolePermissionsBoundary>(),
        typed::<iam::PutUserPermissionsBoundary>(),
        typed::<iam::DeleteRolePolicy>(),
        typed::<iam::DeleteUser>(),
        typed::<iam::DeleteUserPolicy>(),
        typed::<iam::DetachRolePolicy>(),
        typed::<iam::DetachUserPolicy>(),
        typed::<iam::GetAccessKeyLastUsed>(),
        typed::<iam::GetContextKeysForCustomPolicy>(),
        typed::<iam::GetPolicy>(),
        typed::<iam::GetPolicyVersion>(),
        typed::<iam::GetRole>(),
        typed::<iam::GetRolePolicy>(),
        typed::<iam::GetUser>(),
        typed::<iam::GetUserPolicy>(),
        typed::<iam::ListAccessKeys>(),
        typed::<iam::ListAccountAliases>(),
        typed::<iam::ListAttachedRolePolicies>(),
        typed::<iam::ListAttachedUserPolicies>(),
        typed::<iam::ListEntitiesForPolicy>(),
        typed::<iam::ListPolicies>(),
        typed::<iam::ListPolicyVersions>(),
        typed::<iam::ListRolePolicies>(),
        typed::<iam::ListRoleTags>(),
        typed::<iam::ListRoles>(),
        typed::<iam::ListUserPolicies>(),
        typed::<iam::ListUserTags>(),
        typed::<iam::ListUsers>(),
        typed::<iam::PutRolePolicy>(),
        typed::<iam::PutUserPolicy>(),
        typed::<iam::SetDefaultPolicyVersion>(),
        typed::<iam::SimulateCustomPolicy>(),
        typed::<iam::SimulatePrincipalPolicy>(),
        typed::<iam::TagRole>(),
        typed::<iam::TagUser>(),
        typed::<iam::UntagRole>(),
        typed::<iam::UntagUser>(),
        typed::<iam::UpdateAccessKey>(),
        typed::<iam::UpdateAssumeRolePolicy>(),
        typed::<iam::UpdateRole>(),
        typed::<iam::UpdateUser>(),
    ]
}

fn of_s3() -> Vec<Typed> {
    vec![
        typed::<s3::AbortMultipartUpload>(),
        typed::<s3::CompleteMultipartUpload>(),
        typed::<s3::CopyObject>(),
        typed::<s3::CreateBucket>(),
        typed::<s3::CreateMultipartUpload>(),
        typed::<s3::DeleteBucket>(),
        typed::<s3::DeleteBucketPolicy>(),
        typed::<s3::DeleteBucketTagging>(),
        typed::<s3::DeleteObject>(),
        typed::<s3::DeleteObjectTagging>(),
        typed::<s3::DeleteObjects>(),
        typed::<s3::GetBucketAccelerateConfiguration>(),
        typed::<s3::GetBucketAcl>(),
        typed::<s3::GetBucketCors>(),
        typed::<s3::GetBucketEncryption>(),
        typed::<s3::GetBucketLifecycleConfiguration>(),
        typed::<s3::GetBucketLocation>(),
        typed::<s3::GetBucketLogging>(),
        typed::<s3::GetBucketNotificationConfiguration>(),
        typed::<s3::GetBucketOwnershipControls>(),
        typed::<s3::GetBucketPolicy>(),
        typed::<s3::GetBucketReplication>(),
        typed::<s3::GetBucketRequestPayment>(),
        typed::<s3::GetBucketTagging>(),
        typed::<s3::GetBucketVersioning>(),
        typed::<s3::GetBucketWebsite>(),
        typed::<s3::GetObject>(),
        typed::<s3::GetObjectAcl>(),
        typed::<s3::GetObjectAttributes>(),
        typed::<s3::GetObjectLockConfiguration>(),
        typed::<s3::GetObjectTagging>(),
        typed::<s3::GetPublicAccessBlock>(),
        typed::<s3::HeadBucket>(),
        typed::<s3::HeadObject>(),
        typed::<s3::ListBuckets>(),
        typed::<s3::ListMultipartUploads>(),
        typed::<s3::ListObjectVersions>(),
        typed::<s3::ListObjects>(),
        typed::<s3::ListObjectsV2>(),
        typed::<s3::ListParts>(),
        typed::<s3::PutBucketAcl>(),
        typed::<s3::PutBucketPolicy>(),
        typed::<s3::PutBucketTagging>(),
        typed::<s3::PutBucketVersioning>(),
        typed::<s3::PutObject>(),
        typed::<s3::PutObjectAcl>(),
        typed::<s3::PutObjectTagging>(),
        typed::<s3::UploadPart>(),
        typed::<s3::UploadPartCopy>(),
    ]
}

fn of_others() -> Vec<Typed> {
    vec![
        typed::<cloudtrail::DescribeTrails>(),
        typed::<cloudtrail::GetTrail>(),
        typed::<cloudtrail::GetTrailStatus>(),
        typed::<cloudtrail::ListPublicKeys>(),
        typed::<cloudtrail::ListTrails>(),
        typed::<cloudtrail::LookupEvents>(),
        typed::<logs::DescribeLogGroups>(),
        typed::<logs::DescribeLogStreams>(),
        typed::<logs::GetLogEvents>(),
        typed::<sts::AssumeRole>(),
        typed::<sts::GetAccessKeyInfo>(),
        typed::<sts::GetCallerIdentity>(),
        typed::<sts::GetSessionToken>(),
    ]
}

#[test]
fn requests_of_botocore_are_understood() {
    golden::check_requests(&SERVICES, &operations());
}

#[test]
fn answers_are_those_that_botocore_has_read() {
    golden::check_responses(&operations());
}

#[test]
fn types_hold_every_member_of_their_tables() {
    golden::check_types(&operations());
}
