//! Tags of buckets and objects.

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    DeleteBucketTaggingInput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutBucketTaggingInput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use sightline_objects::{Tags, check_tags};

use crate::App;
use crate::checksum::verify_document;
use crate::faults::{fault, invalid_argument};
use crate::request::{bucket, expect_owner, key, permit_also, shown_version, version};

/// The tags of an `x-amz-tagging` header, written like a query.
pub(crate) fn of_header(header: Option<&str>) -> Result<Tags, Fault> {
    let text = header.unwrap_or_default();
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| {
            let why = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL \
                       query parameters without tag name duplicates.";
            invalid_argument("x-amz-tagging", text, why)
        })
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    check_tags(pairs.collect::<Result<_, Fault>>()?).map_err(fault)
}

/// Writing an object with tags needs the permission to tag it, too.
pub(crate) fn permit_tags(
    app: &App,
    permit: &Permit,
    header: Option<&String>,
) -> Result<(), Fault> {
    if header.is_some_and(|header| !header.is_empty()) {
        permit_also(
            app,
            permit,
            "s3:PutObjectTagging",
            permit.resource().clone(),
        )?;
    }
    Ok(())
}

fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn shown(tags: Tags) -> Vec<Tag> {
    let tags = tags.into_iter();
    tags.map(|(key, value)| Tag { key, value }).collect()
}

pub(crate) async fn get(
    app: Arc<App>,
    permit: Permit,
    input: GetObjectTaggingInput,
) -> Result<GetObjectTaggingOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let version = version(input.version_id.as_ref())?;
    let found = app
        .objects
        .tags(&permit, &bucket, &key, version.as_ref())
        .await;
    let (tags, version) = found.map_err(fault)?;
    Ok(GetObjectTaggingOutput {
        version_id: shown_version(version.as_ref()),
        tag_set: shown(tags),
    })
}

pub(crate) async fn put(
    app: Arc<App>,
    call: Call,
    input: PutObjectTaggingInput,
) -> Result<Reply<PutObjectTaggingOutput>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    verify_document(&call.headers, call.body, false).await?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let version = version(input.version_id.as_ref())?;
    let tags = check_tags(pairs(input.tagging.tag_set)).map_err(fault)?;
    let at = (&bucket, &key);
    let set = app
        .objects
        .set_tags(&call.permit, at, version.as_ref(), tags)
        .await;
    let version_id = shown_version(set.map_err(fault)?.as_ref());
    Ok(Reply::new(PutObjectTaggingOutput { version_id }))
}

pub(crate) async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: DeleteObjectTaggingInput,
) -> Result<DeleteObjectTaggingOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let version = version(input.version_id.as_ref())?;
    let at = (&bucket, &key);
    let set = app
        .objects
        .set_tags(&permit, at, version.as_ref(), Tags::new())
        .await;
    let version_id = shown_version(set.map_err(fault)?.as_ref());
    Ok(DeleteObjectTaggingOutput { version_id })
}

pub(crate) async fn get_of_bucket(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketTaggingInput,
) -> Result<GetBucketTaggingOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let found = app.objects.bucket_configuration(&permit, &name).await;
    let tags = found.map_err(fault)?.tags;
    if tags.is_empty() {
        let fault = Fault::new(
            "NoSuchTagSet",
            StatusCode::NOT_FOUND,
            "The TagSet does not exist",
        );
        return Err(fault.with("BucketName", name.as_str()));
    }
    Ok(GetBucketTaggingOutput {
        tag_set: shown(tags),
    })
}

pub(crate) async fn put_of_bucket(
    app: Arc<App>,
    call: Call,
    input: PutBucketTaggingInput,
) -> Result<Reply<()>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    verify_document(&call.headers, call.body, false).await?;
    let name = bucket(&input.bucket)?;
    let tags = pairs(input.tagging.tag_set);
    let set = app.objects.set_bucket_tags(&call.permit, &name, tags).await;
    set.map_err(fault)?;
    Ok(Reply::new(()))
}

pub(crate) async fn delete_of_bucket(
    app: Arc<App>,
    permit: Permit,
    input: DeleteBucketTaggingInput,
) -> Result<(), Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let set = app
        .objects
        .set_bucket_tags(&permit, &name, Vec::new())
        .await;
    set.map_err(fault)
}
