//! Objects uploaded in parts.

use std::sync::Arc;

use http::HeaderMap;
use http::header::HOST;
use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, Initiator, ListPartsInput, ListPartsOutput, StorageClass,
    UploadPartInput, UploadPartOutput,
};
use sightline_objects::{
    Algorithm, BucketName, CompletedPart, Completion, Coverage, Error, NewUpload, ObjectKey, Part,
    UploadRef,
};

use crate::App;
use crate::attributes::{attributes_of, expect_plain_write};
use crate::bucket::owner;
use crate::checksum::{
    Said, algorithm, kind, payload, sent, sent_checksums, show_checksum, unserved_checksums,
};
use crate::faults::{fault, invalid_argument, invalid_request};
use crate::request::{bucket, expect_owner, key, long, quoted, refuse_unserved, write_condition};

/// Parts on a page at most, and when the request does not say, as S3 has it.
const PARTS_MAX: i32 = 1000;

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: CreateMultipartUploadInput,
) -> Result<CreateMultipartUploadOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    expect_plain_write!(input);
    let new = NewUpload {
        bucket: bucket(&input.bucket)?,
        key: key(&input.key)?,
        checksum: upload_checksum(input.checksum_algorithm, input.checksum_type)?,
        attributes: attributes_of!(input),
    };
    let upload = app
        .objects
        .create_upload(&permit, new)
        .await
        .map_err(fault)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id().to_owned()),
        checksum_algorithm: upload.checksum.map(|(wanted, _)| algorithm(wanted)),
        checksum_type: upload.checksum.map(|(_, coverage)| kind(coverage)),
        ..CreateMultipartUploadOutput::default()
    })
}

fn upload_checksum(
    wanted: Option<ChecksumAlgorithm>,
    of: Option<ChecksumType>,
) -> Result<Option<(Algorithm, Option<Coverage>)>, Fault> {
    let coverage = of.map(|of| match of {
        ChecksumType::Composite => Coverage::Composite,
        ChecksumType::FullObject => Coverage::FullObject,
    });
    let Some(wanted) = wanted else {
        if coverage.is_some() {
            let text = "The x-amz-checksum-type header can only be used with the \
                        x-amz-checksum-algorithm header.";
            return Err(invalid_request(text));
        }
        return Ok(None);
    };
    match wanted.as_str().parse() {
        Ok(known) => Ok(Some((known, coverage))),
        Err(_) => refuse_unserved(&[("x-amz-checksum-algorithm", true)]).map(|()| None),
    }
}

pub(crate) async fn upload_part(
    app: Arc<App>,
    call: Call,
    input: UploadPartInput,
) -> Result<Reply<UploadPartOutput>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    refuse_unserved(unserved_checksums!(input))?;
    refuse_unserved(&[(
        "x-amz-server-side-encryption-customer-algorithm",
        input.sse_customer_algorithm.is_some(),
    )])?;
    let said = Said {
        headers: &call.headers,
        content_length: input.content_length,
        content_md5: input.content_md5.as_deref(),
        checksum: sent(sent_checksums!(input))?,
    };
    let payload = payload(call.body, said)?;
    let number = u32::try_from(input.part_number).map_err(|_| fault(Error::PartNumber))?;
    let upload = upload_ref(&input.bucket, &input.key, input.upload_id)?;
    let part = app
        .objects
        .upload_part(&call.permit, upload, number, payload)
        .await;
    let part = part.map_err(fault)?;
    let mut output = UploadPartOutput {
        e_tag: Some(quoted(&part.etag)),
        ..UploadPartOutput::default()
    };
    show_checksum!(output, &part.checksum);
    Ok(Reply::new(output))
}

fn upload_ref(bucket_text: &str, key_text: &str, upload_id: String) -> Result<UploadRef, Fault> {
    Ok(UploadRef {
        bucket: bucket(bucket_text)?,
        key: key(key_text)?,
        upload_id,
    })
}

pub(crate) async fn complete(
    app: Arc<App>,
    call: Call,
    input: CompleteMultipartUploadInput,
) -> Result<Reply<CompleteMultipartUploadOutput>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    refuse_unserved(unserved_checksums!(input))?;
    let size = input.mpu_object_size.map(|size| {
        let text = "Value for x-amz-mp-object-size header is less than zero.";
        u64::try_from(size).map_err(|_| invalid_request(text))
    });
    let parts = input
        .multipart_upload
        .as_ref()
        .and_then(|upload| upload.parts.as_ref());
    let completion = Completion {
        parts: parts
            .into_iter()
            .flatten()
            .map(completed)
            .collect::<Result<_, _>>()?,
        condition: write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?,
        size: size.transpose()?,
        checksum: sent(sent_checksums!(input))?,
        upload: upload_ref(&input.bucket, &input.key, input.upload_id)?,
    };
    let (bucket, key) = (
        completion.upload.bucket.clone(),
        completion.upload.key.clone(),
    );
    let object = app
        .objects
        .complete_upload(&call.permit, completion)
        .await
        .map_err(fault)?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(location(&call.headers, &bucket, &key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(quoted(&object.etag)),
        checksum_type: object
            .checksum
            .as_ref()
            .map(|checksum| kind(checksum.coverage())),
        ..CompleteMultipartUploadOutput::default()
    };
    show_checksum!(output, &object.checksum);
    Ok(Reply::new(output))
}

fn completed(part: &s3::CompletedPart) -> Result<CompletedPart, Fault> {
    refuse_unserved(unserved_checksums!(part))?;
    let number = part
        .part_number
        .and_then(|number| u32::try_from(number).ok());
    Ok(CompletedPart {
        number: number.ok_or_else(|| fault(Error::PartNumber))?,
        etag: part
            .e_tag
            .as_deref()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
        checksum: sent(sent_checksums!(part))?,
    })
}

/// Where the object can be read, as the client named this server.
fn location(headers: &HeaderMap, bucket: &BucketName, key: &ObjectKey) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match host {
        Some(host) => format!("http://{host}/{bucket}/{key}"),
        None => format!("/{bucket}/{key}"),
    }
}

pub(crate) async fn abort(
    app: Arc<App>,
    permit: Permit,
    input: AbortMultipartUploadInput,
) -> Result<AbortMultipartUploadOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let conditional = input.if_match_initiated_time.is_some();
    refuse_unserved(&[("x-amz-if-match-initiated-time", conditional)])?;
    let upload = upload_ref(&input.bucket, &input.key, input.upload_id)?;
    app.objects
        .abort_upload(&permit, upload)
        .await
        .map_err(fault)?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(crate) async fn list_parts(
    app: Arc<App>,
    permit: Permit,
    input: ListPartsInput,
) -> Result<ListPartsOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let max = limit("max-parts", input.max_parts, PARTS_MAX)?.min(PARTS_MAX);
    let marker = limit("part-number-marker", input.part_number_marker, 0)?;
    let upload = upload_ref(&input.bucket, &input.key, input.upload_id.clone())?;
    let page = app
        .objects
        .parts(&permit, upload, marker.unsigned_abs(), max.unsigned_abs())
        .await;
    let (upload, page) = page.map_err(fault)?;
    let last = page
        .items
        .last()
        .and_then(|part| i32::try_from(part.number).ok());
    let caller = &permit.cx().caller;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: last.or(Some(0)),
        max_parts: Some(max),
        is_truncated: Some(page.next_token.is_some()),
        parts: Some(page.items.iter().map(shown).collect()),
        initiator: Some(Initiator {
            id: Some(caller.arn.clone()),
            display_name: Some(caller.user_name.clone()),
        }),
        owner: Some(owner(&permit)),
        storage_class: Some(StorageClass::Standard),
        checksum_algorithm: upload.checksum.map(|(wanted, _)| algorithm(wanted)),
        checksum_type: upload.checksum.map(|(_, coverage)| kind(coverage)),
        ..ListPartsOutput::default()
    })
}

/// A number of the query that may not be negative.
fn limit(name: &str, asked: Option<i32>, default: i32) -> Result<i32, Fault> {
    match asked {
        None => Ok(default),
        Some(number) if 0 <= number => Ok(number),
        Some(number) => {
            let text = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(invalid_argument(name, &number.to_string(), &text))
        }
    }
}

fn shown(part: &Part) -> s3::Part {
    let mut shown = s3::Part {
        part_number: i32::try_from(part.number).ok(),
        last_modified: Some(part.modified_at),
        e_tag: Some(quoted(&part.etag)),
        size: Some(long(part.size)),
        ..s3::Part::default()
    };
    show_checksum!(shown, &part.checksum);
    shown
}
