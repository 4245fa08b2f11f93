//! Objects uploaded in parts.

use std::sync::Arc;

use http::HeaderMap;
use http::header::HOST;
use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, StorageClass, UploadPartInput, UploadPartOutput,
};
use sightline_objects::{
    Algorithm, BucketName, CompletedPart, Completion, Coverage, Entry, Error, ListQuery, NewUpload,
    ObjectKey, Part, Position, Upload, UploadRef,
};

use crate::App;
use crate::attributes::{attributes_of, expect_plain_write};
use crate::bucket::owner;
use crate::checksum::{
    Said, algorithm, expect_length, kind, payload, sent, sent_checksums, show_checksum,
    unserved_checksums,
};
use crate::faults::{fault, invalid_request};
use crate::list::{Names, max_keys};
use crate::request::{
    bucket, expect_owner, key, limit, long, quoted, refuse_unserved, shown_version, write_condition,
};
use crate::tagging::permit_tags;

/// Parts on a page at most, and when the request does not say, as S3 has it.
const PARTS_MAX: i32 = 1000;

pub(crate) async fn create(
    app: Arc<App>,
    permit: Permit,
    input: CreateMultipartUploadInput,
) -> Result<CreateMultipartUploadOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    expect_plain_write!(input);
    permit_tags(&app, &permit, input.tagging.as_ref())?;
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
    expect_length(&call.headers, input.content_length)?;
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

pub(crate) fn upload_ref(
    bucket_text: &str,
    key_text: &str,
    upload_id: String,
) -> Result<UploadRef, Fault> {
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
        version_id: shown_version(object.version.as_ref()),
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

pub(crate) async fn list_uploads(
    app: Arc<App>,
    permit: Permit,
    input: ListMultipartUploadsInput,
) -> Result<ListMultipartUploadsOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let max = max_keys("max-uploads", input.max_uploads)?;
    let key_marker = input.key_marker.clone().filter(|key| !key.is_empty());
    let id_marker = input.upload_id_marker.clone().filter(|id| !id.is_empty());
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        // Without a key, S3 ignores the id.
        after: key_marker.map(|key| match id_marker {
            Some(id) => Position::Upload(key, id),
            None => Position::Entry(key),
        }),
        max: max.unsigned_abs(),
    };
    let name = bucket(&input.bucket)?;
    let listing = app.objects.uploads(&permit, &name, &query).await;
    let listing = listing.map_err(fault)?;
    let names = Names(input.encoding_type);
    let last = listing.entries.last().filter(|_| listing.truncated);
    let next_key_marker = last.map(|entry| names.show(entry.name()));
    let next_upload_id_marker = last.and_then(|entry| match entry {
        Entry::Object(upload) => Some(upload.id().to_owned()),
        Entry::CommonPrefix(_) => None,
    });
    let is_truncated = Some(listing.truncated);
    let (uploads, common_prefixes) =
        names.entries(listing, |upload| shown_upload(upload, names, &permit));
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        key_marker: Some(names.show(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        next_key_marker,
        next_upload_id_marker,
        prefix: Some(names.show(&query.prefix)),
        delimiter: names.show_option(input.delimiter.as_ref()),
        max_uploads: Some(max),
        is_truncated,
        uploads: Some(uploads),
        common_prefixes: Some(common_prefixes),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

fn shown_upload(upload: &Upload, names: Names, permit: &Permit) -> s3::MultipartUpload {
    s3::MultipartUpload {
        upload_id: Some(upload.id().to_owned()),
        key: Some(names.show(upload.key.as_str())),
        initiated: Some(upload.initiated_at),
        storage_class: Some(StorageClass::Standard),
        owner: Some(owner(permit)),
        checksum_algorithm: upload.checksum.map(|(wanted, _)| algorithm(wanted)),
        checksum_type: upload.checksum.map(|(_, coverage)| kind(coverage)),
        ..s3::MultipartUpload::default()
    }
}
