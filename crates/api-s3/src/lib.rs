//! S3's protocol over the object engine.
//!
//! Handlers read what a request says into the engine's types, act, and write the answer; routing,
//! signatures, permission and the record of what happened lie in front of them. This crate must
//! never know where bytes are kept. Start at [`operations`].

mod attributes;
mod bucket;
mod checksum;
mod faults;
mod list;
mod multipart;
mod object;
mod read;
mod request;

use std::sync::Arc;

use sightline_api::Operations;
use sightline_identity::Identity;
use sightline_meta::Meta;
use sightline_model_aws::s3;
use sightline_objects::Objects;

/// The engine behind the handlers.
#[derive(Debug)]
pub struct App {
    /// Buckets and objects.
    pub objects: Objects,
}

/// What this service serves.
#[must_use]
pub fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&s3::SERVICE, faults::table, identity.clone(), meta.clone());
    on.serve::<bucket::Create, _, _, _>(app, bucket::create);
    on.serve::<s3::GetBucketLocation, _, _, _>(app, bucket::location);
    on.serve::<s3::HeadBucket, _, _, _>(app, bucket::head);
    on.serve::<s3::ListBuckets, _, _, _>(app, bucket::list);
    on.serve_stream::<s3::PutObject, _, _, _>(app, object::put);
    on.serve::<s3::DeleteObject, _, _, _>(app, object::delete);
    on.serve_stream::<s3::GetObject, _, _, _>(app, read::get);
    on.serve_stream::<s3::HeadObject, _, _, _>(app, read::head);
    on.serve::<s3::ListObjects, _, _, _>(app, list::by_marker);
    on.serve::<s3::ListObjectsV2, _, _, _>(app, list::by_token);
    on.serve::<s3::CreateMultipartUpload, _, _, _>(app, multipart::create);
    on.serve_stream::<s3::UploadPart, _, _, _>(app, multipart::upload_part);
    on.serve_stream::<s3::CompleteMultipartUpload, _, _, _>(app, multipart::complete);
    on.serve::<s3::AbortMultipartUpload, _, _, _>(app, multipart::abort);
    on.serve::<s3::ListParts, _, _, _>(app, multipart::list_parts);
    on
}
