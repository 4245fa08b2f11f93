//! S3's protocol over the object engine.
//!
//! Handlers read what a request says into the engine's types, act, and write the answer; routing,
//! signatures, permission and the record of what happened lie in front of them. This crate must
//! never know where bytes are kept. Start at [`operations`].

mod attributes;
mod bucket;
mod checksum;
mod configuration;
mod copy;
mod delete;
mod faults;
mod list;
mod multipart;
mod object;
mod policy;
mod read;
mod request;
mod tagging;
mod versions;

use std::sync::Arc;

use sightline_api::Operations;
use sightline_identity::Identity;
use sightline_meta::Meta;
use sightline_model_aws::s3;
use sightline_objects::Objects;

pub use object::POST_OBJECT;

/// The engine behind the handlers.
#[derive(Debug)]
pub struct App {
    /// Buckets and objects.
    pub objects: Objects,
    /// For permissions on what a request touches beside its own resource.
    pub identity: Identity,
}

/// What this service serves.
#[must_use]
pub fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&s3::SERVICE, faults::table, identity.clone(), meta.clone());
    buckets(&mut on, app);
    configurations(&mut on, app);
    objects(&mut on, app);
    uploads(&mut on, app);
    on
}

fn buckets(on: &mut Operations, app: &Arc<App>) {
    on.serve::<bucket::Create, _, _, _>(app, bucket::create);
    on.serve::<s3::DeleteBucket, _, _, _>(app, bucket::delete);
    on.serve::<s3::GetBucketLocation, _, _, _>(app, bucket::location);
    on.serve::<s3::HeadBucket, _, _, _>(app, bucket::head);
    on.serve::<s3::ListBuckets, _, _, _>(app, bucket::list);
    on.serve::<s3::DeleteBucketTagging, _, _, _>(app, tagging::delete_of_bucket);
    on.serve::<s3::GetBucketTagging, _, _, _>(app, tagging::get_of_bucket);
    on.serve_stream::<s3::PutBucketTagging, _, _, _>(app, tagging::put_of_bucket);
    on.serve::<s3::GetBucketVersioning, _, _, _>(app, versions::get_versioning);
    on.serve_stream::<s3::PutBucketVersioning, _, _, _>(app, versions::put_versioning);
    on.serve::<s3::DeleteBucketPolicy, _, _, _>(app, policy::delete);
    on.serve::<s3::GetBucketPolicy, _, _, _>(app, policy::get);
    on.serve_stream::<s3::PutBucketPolicy, _, _, _>(app, policy::put);
}

fn configurations(on: &mut Operations, app: &Arc<App>) {
    use configuration::{Absent, absent};
    on.serve::<s3::GetBucketAccelerateConfiguration, _, _, _>(app, configuration::acceleration);
    on.serve::<s3::GetBucketAcl, _, _, _>(app, configuration::bucket_acl);
    on.serve::<s3::GetBucketLogging, _, _, _>(app, configuration::logging);
    on.serve::<s3::GetBucketNotificationConfiguration, _, _, _>(app, configuration::notification);
    on.serve::<s3::GetBucketOwnershipControls, _, _, _>(app, configuration::ownership);
    on.serve::<s3::GetBucketRequestPayment, _, _, _>(app, configuration::request_payment);
    on.serve::<s3::GetObjectAcl, _, _, _>(app, configuration::object_acl);
    on.serve::<s3::PutBucketAcl, _, _, _>(app, configuration::put_bucket_acl);
    on.serve::<s3::PutObjectAcl, _, _, _>(app, configuration::put_object_acl);
    on.serve::<Absent<s3::GetBucketCors>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetBucketEncryption>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetBucketLifecycleConfiguration>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetBucketReplication>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetBucketWebsite>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetObjectLockConfiguration>, _, _, _>(app, absent);
    on.serve::<Absent<s3::GetPublicAccessBlock>, _, _, _>(app, absent);
}

fn objects(on: &mut Operations, app: &Arc<App>) {
    on.serve_stream::<s3::PutObject, _, _, _>(app, object::put);
    on.serve_stream::<object::Post, _, _, _>(app, object::post);
    on.serve_stream::<s3::GetObject, _, _, _>(app, read::get);
    on.serve_stream::<s3::HeadObject, _, _, _>(app, read::head);
    on.serve::<s3::GetObjectAttributes, _, _, _>(app, read::attributes);
    on.serve::<s3::CopyObject, _, _, _>(app, copy::object);
    on.serve::<s3::DeleteObject, _, _, _>(app, delete::one);
    on.serve_stream::<s3::DeleteObjects, _, _, _>(app, delete::many);
    on.serve::<s3::DeleteObjectTagging, _, _, _>(app, tagging::delete);
    on.serve::<s3::GetObjectTagging, _, _, _>(app, tagging::get);
    on.serve_stream::<s3::PutObjectTagging, _, _, _>(app, tagging::put);
    on.serve::<s3::ListObjects, _, _, _>(app, list::by_marker);
    on.serve::<s3::ListObjectsV2, _, _, _>(app, list::by_token);
    on.serve::<s3::ListObjectVersions, _, _, _>(app, versions::list);
}

fn uploads(on: &mut Operations, app: &Arc<App>) {
    on.serve::<s3::CreateMultipartUpload, _, _, _>(app, multipart::create);
    on.serve_stream::<s3::UploadPart, _, _, _>(app, multipart::upload_part);
    on.serve::<s3::UploadPartCopy, _, _, _>(app, copy::part);
    on.serve_stream::<s3::CompleteMultipartUpload, _, _, _>(app, multipart::complete);
    on.serve::<s3::AbortMultipartUpload, _, _, _>(app, multipart::abort);
    on.serve::<s3::ListParts, _, _, _>(app, multipart::list_parts);
    on.serve::<s3::ListMultipartUploads, _, _, _>(app, multipart::list_uploads);
}
