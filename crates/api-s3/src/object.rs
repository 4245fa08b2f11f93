//! Writing and deleting objects.

use std::sync::Arc;

use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    DeleteObjectInput, DeleteObjectOutput, PutObjectInput, PutObjectOutput,
};
use sightline_objects::{Algorithm, NewObject};

use crate::App;
use crate::attributes::{attributes_of, expect_plain_write};
use crate::checksum::{
    Said, kind, payload, sent, sent_checksums, show_checksum, unserved_checksums,
};
use crate::faults::fault;
use crate::request::{
    bucket, expect_current_version, expect_owner, key, quoted, refuse_unserved, write_condition,
};

pub(crate) async fn put(
    app: Arc<App>,
    call: Call,
    input: PutObjectInput,
) -> Result<Reply<PutObjectOutput>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    refuse_unserved(unserved_checksums!(input))?;
    expect_plain_write!(input);
    refuse_unserved(&[(
        "x-amz-write-offset-bytes",
        input.write_offset_bytes.is_some(),
    )])?;
    let said = Said {
        headers: &call.headers,
        content_length: input.content_length,
        content_md5: input.content_md5.as_deref(),
        checksum: sent(sent_checksums!(input))?,
    };
    let payload = payload(call.body, said)?;
    let new = NewObject {
        bucket: bucket(&input.bucket)?,
        key: key(&input.key)?,
        condition: write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?,
        attributes: attributes_of!(input),
    };
    let object = app
        .objects
        .put(&call.permit, new, payload)
        .await
        .map_err(fault)?;
    let mut output = PutObjectOutput {
        e_tag: Some(quoted(&object.etag)),
        checksum_type: object
            .checksum
            .as_ref()
            .map(|checksum| kind(checksum.coverage())),
        ..PutObjectOutput::default()
    };
    show_checksum!(output, &object.checksum);
    Ok(Reply::new(output))
}

pub(crate) async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: DeleteObjectInput,
) -> Result<DeleteObjectOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    expect_current_version(input.version_id.as_ref())?;
    refuse_unserved(&[
        ("x-amz-mfa", input.mfa.is_some()),
        (
            "x-amz-if-match-last-modified-time",
            input.if_match_last_modified_time.is_some(),
        ),
        ("x-amz-if-match-size", input.if_match_size.is_some()),
    ])?;
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let condition = write_condition(input.if_match.as_ref(), None)?;
    app.objects
        .delete(&permit, &bucket, &key, condition)
        .await
        .map_err(fault)?;
    Ok(DeleteObjectOutput::default())
}
