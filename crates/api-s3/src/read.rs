//! Reading objects, and the heads of objects.

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Call, Fault, Reply, empty, stream};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, ChecksumMode, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectAttributes, ObjectPart, StorageClass,
};
use sightline_objects::{
    Algorithm, Conditions, Error, Etags, Object, Part, PartsWanted, RangeSpec, Selected, Wanted,
};
use sightline_types::{Page, Timestamp};

use crate::App;
use crate::attributes::DEFAULT_CONTENT_TYPE;
use crate::checksum::{kind, show_checksum};
use crate::faults::{fault, invalid_argument};
use crate::request::{
    bucket, expect_owner, key, limit, long, quoted, refuse_unserved, shown_version, version,
};

/// Refuses what an input asks for in vain, and gives what it wants of which object.
macro_rules! read_request {
    ($call:expr, $input:expr) => {{
        expect_owner(&$call.permit, $input.expected_bucket_owner.as_ref())?;
        refuse_unserved(&[(
            "x-amz-server-side-encryption-customer-algorithm",
            $input.sse_customer_algorithm.is_some(),
        )])?;
        let wanted = Wanted {
            conditions: Conditions {
                if_match: $input.if_match.as_deref().map(Etags::parse),
                if_none_match: $input.if_none_match.as_deref().map(Etags::parse),
                if_modified_since: $input.if_modified_since,
                if_unmodified_since: $input.if_unmodified_since,
            },
            range: $input.range.as_deref().and_then(RangeSpec::parse),
            part: $input.part_number.map(part_number).transpose()?,
            version: version($input.version_id.as_ref())?,
        };
        expect_one_selection(&wanted)?;
        (bucket(&$input.bucket)?, key(&$input.key)?, wanted)
    }};
}

/// The members in which the answers to GET and HEAD agree.
macro_rules! show_object {
    ($output:ident, $selected:expr, $input:expr) => {{
        let (selected, input) = ($selected, $input);
        let (object, bytes) = (&selected.object, selected.bytes());
        let said = object.attributes.clone();
        let content_type = said
            .content_type
            .unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned());
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(object.modified_at),
            content_length: Some(long(bytes.end - bytes.start)),
            content_range: content_range(selected),
            e_tag: Some(quoted(&object.etag)),
            content_type: Some(input.response_content_type.unwrap_or(content_type)),
            content_encoding: input.response_content_encoding.or(said.content_encoding),
            content_disposition: input
                .response_content_disposition
                .or(said.content_disposition),
            content_language: input.response_content_language.or(said.content_language),
            cache_control: input.response_cache_control.or(said.cache_control),
            expires: input
                .response_expires
                .map(Timestamp::http_date)
                .or(said.expires),
            metadata: Some(said.user),
            tag_count: i32::try_from(said.tags.len())
                .ok()
                .filter(|count| 0 < *count),
            version_id: shown_version(object.version.as_ref()),
            parts_count: input.part_number.and_then(|_| parts_count(selected)),
            ..$output::default()
        };
        // A checksum is of the whole object, so beside a part of it there is none to show.
        let asked = input.checksum_mode == Some(ChecksumMode::Enabled) && selected.range.is_none();
        if asked && let Some(checksum) = &object.checksum {
            output.checksum_type = Some(kind(checksum.coverage()));
            show_checksum!(output, Some(checksum));
        }
        output
    }};
}

pub(crate) async fn get(
    app: Arc<App>,
    call: Call,
    input: GetObjectInput,
) -> Result<Reply<GetObjectOutput>, Fault> {
    let (bucket, key, wanted) = read_request!(call, input);
    let found = app.objects.get(&call.permit, &bucket, &key, &wanted).await;
    let found = found.map_err(|error| with_range(error, input.range.as_deref()))?;
    let status = status(&found.selected);
    let output = show_object!(GetObjectOutput, &found.selected, input);
    Ok(Reply {
        status,
        ..Reply::new(output).with_body(stream(found.bytes))
    })
}

pub(crate) async fn head(
    app: Arc<App>,
    call: Call,
    input: HeadObjectInput,
) -> Result<Reply<HeadObjectOutput>, Fault> {
    let (bucket, key, wanted) = read_request!(call, input);
    let selected = app.objects.head(&call.permit, &bucket, &key, &wanted).await;
    let selected = selected.map_err(|error| with_range(error, input.range.as_deref()))?;
    let status = status(&selected);
    let output = show_object!(HeadObjectOutput, &selected, input);
    Ok(Reply {
        status,
        ..Reply::new(output).with_body(empty())
    })
}

fn part_number(number: i32) -> Result<u32, Fault> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| fault(Error::PartNumber))
}

fn expect_one_selection(wanted: &Wanted) -> Result<(), Fault> {
    match wanted.part {
        Some(number) if wanted.range.is_some() => {
            let text = "Cannot specify both Range header and partNumber query parameter";
            Err(invalid_argument("partNumber", &number.to_string(), text))
        }
        Some(_) | None => Ok(()),
    }
}

/// The fault of a read, which repeats the range that cannot be satisfied.
fn with_range(error: Error, range: Option<&str>) -> Fault {
    match (&error, range) {
        (Error::RangeNotSatisfiable { .. }, Some(range)) => {
            fault(error).with("RangeRequested", range)
        }
        (_, _) => fault(error),
    }
}

fn status(selected: &Selected) -> Option<StatusCode> {
    selected.range.map(|_| StatusCode::PARTIAL_CONTENT)
}

fn content_range(selected: &Selected) -> Option<String> {
    let (range, size) = (selected.range?, selected.object.size);
    // An empty part of an empty object has no range that the header could express.
    let last = range
        .end
        .checked_sub(1)
        .filter(|last| range.start <= *last)?;
    Some(format!("bytes {}-{last}/{size}", range.start))
}

fn parts_count(selected: &Selected) -> Option<i32> {
    let count = selected.object.part_count;
    (0 < count).then(|| i32::try_from(count).unwrap_or(i32::MAX))
}

/// Parts on a page at most, and when the request does not say, as S3 has it.
const PARTS_MAX: i32 = 1000;

pub(crate) async fn attributes(
    app: Arc<App>,
    permit: Permit,
    input: GetObjectAttributesInput,
) -> Result<GetObjectAttributesOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    refuse_unserved(&[(
        "x-amz-server-side-encryption-customer-algorithm",
        input.sse_customer_algorithm.is_some(),
    )])?;
    let max = limit("max-parts", input.max_parts, PARTS_MAX)?.min(PARTS_MAX);
    let marker = limit("part-number-marker", input.part_number_marker, 0)?;
    let wanted = PartsWanted {
        version: version(input.version_id.as_ref())?,
        after: marker.unsigned_abs(),
        max: max.unsigned_abs(),
    };
    let (bucket, key) = (bucket(&input.bucket)?, key(&input.key)?);
    let found = app.objects.parts_of(&permit, &bucket, &key, &wanted).await;
    let (object, page) = found.map_err(fault)?;
    let asks = |attribute| input.object_attributes.contains(&attribute);
    let in_parts = asks(ObjectAttributes::ObjectParts) && 0 < object.part_count;
    Ok(GetObjectAttributesOutput {
        last_modified: Some(object.modified_at),
        version_id: shown_version(object.version.as_ref()),
        e_tag: asks(ObjectAttributes::ETag).then(|| object.etag.clone()),
        checksum: asks(ObjectAttributes::Checksum)
            .then(|| checksum_of(&object))
            .flatten(),
        object_parts: in_parts.then(|| parts_of(&object, &page, marker, max)),
        storage_class: asks(ObjectAttributes::StorageClass).then_some(StorageClass::Standard),
        object_size: asks(ObjectAttributes::ObjectSize).then(|| long(object.size)),
        ..GetObjectAttributesOutput::default()
    })
}

fn checksum_of(object: &Object) -> Option<s3::Checksum> {
    let checksum = object.checksum.as_ref()?;
    let mut shown = s3::Checksum {
        checksum_type: Some(kind(checksum.coverage())),
        ..s3::Checksum::default()
    };
    show_checksum!(shown, Some(checksum));
    Some(shown)
}

/// S3 lists the parts of an object only if they have checksums; else it tells their number.
fn parts_of(object: &Object, page: &Page<Part>, marker: i32, max: i32) -> GetObjectAttributesParts {
    let total_parts_count = i32::try_from(object.part_count).ok();
    if object.checksum.is_none() {
        return GetObjectAttributesParts {
            total_parts_count,
            ..GetObjectAttributesParts::default()
        };
    }
    let number = |part: &Part| i32::try_from(part.number).ok();
    let shown = page.items.iter().map(|part| {
        let mut shown = ObjectPart {
            part_number: number(part),
            size: Some(long(part.size)),
            ..ObjectPart::default()
        };
        show_checksum!(shown, &part.checksum);
        shown
    });
    GetObjectAttributesParts {
        total_parts_count,
        part_number_marker: Some(marker),
        next_part_number_marker: page.items.last().and_then(number).or(Some(0)),
        max_parts: Some(max),
        is_truncated: Some(page.next_token.is_some()),
        parts: Some(shown.collect()),
    }
}
