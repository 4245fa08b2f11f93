//! Writing objects.

use std::sync::Arc;

use serde_json::Value;
use sightline_api::{Call, Fault, Reply};
use sightline_model_aws::s3::{self, PutObjectInput, PutObjectOutput};
use sightline_objects::{Algorithm, NewObject};

use sightline_wire::OperationType;
use sightline_wire::schema::{Asking, Http, Operation};

use crate::App;
use crate::attributes::{attributes_of, expect_plain_write};
use crate::checksum::{
    Said, expect_length, kind, payload, sent, sent_checksums, show_checksum, unserved_checksums,
};
use crate::faults::fault;
use crate::request::{
    bucket, expect_owner, key, quoted, refuse_unserved, shown_version, write_condition,
};
use crate::tagging::permit_tags;

/// Writing an object by a form, which has no model: it takes and gives what a put does, but its
/// length is known only at its end.
pub static POST_OBJECT: Operation = Operation {
    name: "PostObject",
    http: Http::new("POST", "/{Bucket}/{Key+}"),
    service: s3::PutObject::OPERATION.service,
    input: s3::PutObject::OPERATION.input,
    output: s3::PutObject::OPERATION.output,
    xml_root: None,
    read_only: false,
    action: "s3:PutObject",
    asking: Asking::Once,
    resources: &["{Bucket}/{Key}"],
    conditions: s3::PutObject::OPERATION.conditions,
    passes_role: None,
};

/// `PostObject`, which the front door makes of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post;

impl OperationType for Post {
    type Input = PutObjectInput;
    type Output = PutObjectOutput;
    const OPERATION: &'static Operation = &POST_OBJECT;

    fn input(document: Value) -> Result<PutObjectInput, serde_json::Error> {
        s3::PutObject::input(document)
    }

    fn document(output: &PutObjectOutput) -> Result<Value, serde_json::Error> {
        s3::PutObject::document(output)
    }
}

pub(crate) async fn put(
    app: Arc<App>,
    call: Call,
    input: PutObjectInput,
) -> Result<Reply<PutObjectOutput>, Fault> {
    expect_length(&call.headers, input.content_length)?;
    post(app, call, input).await
}

/// Writes an object whatever its length.
pub(crate) async fn post(
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
    permit_tags(&app, &call.permit, input.tagging.as_ref())?;
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
        version_id: shown_version(object.version.as_ref()),
        ..PutObjectOutput::default()
    };
    show_checksum!(output, &object.checksum);
    Ok(Reply::new(output))
}
