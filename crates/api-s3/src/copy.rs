//! Copying objects, whole or as parts of an upload.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    ChecksumAlgorithm, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult,
    MetadataDirective, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use sightline_objects::{
    Algorithm, Conditions, Copy, CopySource, CopyTags, Error, Etags, RangeSpec,
};
use sightline_ports::ByteRange;
use sightline_types::Arn;

use crate::App;
use crate::attributes::{attributes_of, expect_plain_write};
use crate::checksum::{kind, show_checksum};
use crate::faults::{fault, invalid_argument};
use crate::multipart::upload_ref;
use crate::request::{
    bucket, expect_owner, key, permit_also, quoted, refuse_unserved, shown_version, version,
    write_condition,
};
use crate::tagging::permit_tags;

/// What an input copies, and under which conditions.
macro_rules! source_of {
    ($input:expr) => {{
        refuse_unserved(&[(
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            $input.copy_source_sse_customer_algorithm.is_some(),
        )])?;
        let conditions = Conditions {
            if_match: $input.copy_source_if_match.as_deref().map(Etags::parse),
            if_none_match: $input
                .copy_source_if_none_match
                .as_deref()
                .map(Etags::parse),
            if_modified_since: $input.copy_source_if_modified_since,
            if_unmodified_since: $input.copy_source_if_unmodified_since,
        };
        source(&$input.copy_source, conditions)?
    }};
}

pub(crate) async fn object(
    app: Arc<App>,
    permit: Permit,
    input: CopyObjectInput,
) -> Result<CopyObjectOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    expect_owner(&permit, input.expected_source_bucket_owner.as_ref())?;
    expect_plain_write!(input);
    let source = source_of!(input);
    let read = permit_read(&app, &permit, &source)?;
    let retags = input.tagging_directive == Some(TaggingDirective::Replace);
    permit_tags(&app, &permit, input.tagging.as_ref().filter(|_| retags))?;
    let may_keep_tags = permit_kept_tags(&app, &permit, &source);
    let replaces = input.metadata_directive == Some(MetadataDirective::Replace);
    let (to, name) = (bucket(&input.bucket)?, key(&input.key)?);
    let condition = write_condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let checksum = input.checksum_algorithm.map(wanted_checksum).transpose()?;
    let said = attributes_of!(input);
    let copy = Copy {
        source,
        bucket: to,
        key: name,
        tags: match (retags, &may_keep_tags) {
            (true, _) => CopyTags::Replace(said.tags.clone()),
            (false, Ok(())) => CopyTags::Keep,
            (false, Err(_)) => CopyTags::Absent,
        },
        attributes: replaces.then_some(said),
        checksum,
        condition,
    };
    let copied = match (app.objects.copy(&permit, &read, copy).await, may_keep_tags) {
        (Err(Error::SourceTagged(_)), Err(denied)) => return Err(denied),
        (copied, _) => copied.map_err(fault)?,
    };
    let object = copied.copy;
    let mut result = CopyObjectResult {
        e_tag: Some(quoted(&object.etag)),
        last_modified: Some(object.modified_at),
        checksum_type: object.checksum.as_ref().map(|sum| kind(sum.coverage())),
        ..CopyObjectResult::default()
    };
    show_checksum!(result, &object.checksum);
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: shown_version(copied.source_version.as_ref()),
        version_id: shown_version(object.version.as_ref()),
        ..CopyObjectOutput::default()
    })
}

pub(crate) async fn part(
    app: Arc<App>,
    permit: Permit,
    input: UploadPartCopyInput,
) -> Result<UploadPartCopyOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    expect_owner(&permit, input.expected_source_bucket_owner.as_ref())?;
    refuse_unserved(&[(
        "x-amz-server-side-encryption-customer-algorithm",
        input.sse_customer_algorithm.is_some(),
    )])?;
    let source = source_of!(input);
    let read = permit_read(&app, &permit, &source)?;
    let range = input.copy_source_range.as_deref().map(range).transpose()?;
    let number = u32::try_from(input.part_number).map_err(|_| fault(Error::PartNumber))?;
    let upload = upload_ref(&input.bucket, &input.key, input.upload_id)?;
    let copied = app
        .objects
        .copy_part(&permit, &read, (upload, number), (source, range))
        .await;
    let copied = copied.map_err(fault)?;
    let mut result = CopyPartResult {
        e_tag: Some(quoted(&copied.copy.etag)),
        last_modified: Some(copied.copy.modified_at),
        ..CopyPartResult::default()
    };
    show_checksum!(result, &copied.copy.checksum);
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: shown_version(copied.source_version.as_ref()),
        ..UploadPartCopyOutput::default()
    })
}

/// Reads `bucket/key`, percent-encoded, with or without a slash before and a version behind it.
fn source(text: &str, conditions: Conditions) -> Result<CopySource, Fault> {
    let wrong = || {
        let why = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        invalid_argument("x-amz-copy-source", text, why)
    };
    let (path, id) = match text.split_once("?versionId=") {
        Some((path, id)) => (path, Some(id.to_owned())),
        None => (text, None),
    };
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| wrong())?;
    let path = decoded.strip_prefix('/').unwrap_or(&decoded);
    let (from, name) = path.split_once('/').ok_or_else(wrong)?;
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(CopySource {
        bucket: bucket(from)?,
        key: key(name)?,
        version: version(id.as_ref())?,
        conditions,
    })
}

/// The permit to read what is copied.
fn permit_read(app: &App, permit: &Permit, source: &CopySource) -> Result<Permit, Fault> {
    let action = match source.version {
        None => "s3:GetObject",
        Some(_) => "s3:GetObjectVersion",
    };
    let resource = Arn::s3(source.bucket.as_str(), Some(source.key.as_str()));
    permit_also(app, permit, action, resource)
}

/// Whether the tags of a source may be given to its copy: read from the one, written to the other.
fn permit_kept_tags(app: &App, permit: &Permit, source: &CopySource) -> Result<(), Fault> {
    let action = match source.version {
        None => "s3:GetObjectTagging",
        Some(_) => "s3:GetObjectVersionTagging",
    };
    let from = Arn::s3(source.bucket.as_str(), Some(source.key.as_str()));
    permit_also(app, permit, action, from)?;
    let to = permit.resource().clone();
    permit_also(app, permit, "s3:PutObjectTagging", to)?;
    Ok(())
}

/// The range of a part's source, of which S3 wants both ends.
fn range(text: &str) -> Result<ByteRange, Fault> {
    match RangeSpec::parse(text) {
        Some(RangeSpec::Within(first, last)) => Ok(ByteRange {
            start: first,
            end: last.saturating_add(1),
        }),
        Some(RangeSpec::From(_) | RangeSpec::Last(_)) | None => {
            let why = "The x-amz-copy-source-range value must be of the form bytes=first-last \
                       where first and last are the zero-based offsets of the first and last \
                       bytes to copy";
            Err(invalid_argument("x-amz-copy-source-range", text, why))
        }
    }
}

fn wanted_checksum(wanted: ChecksumAlgorithm) -> Result<Algorithm, Fault> {
    let known = wanted.as_str().parse();
    known.or_else(|_| {
        refuse_unserved(&[("x-amz-checksum-algorithm", true)]).map(|()| Algorithm::Crc32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_clients_write_them() {
        let cases = [
            ("bkt/k", Some(("k", None))),
            ("/bkt/a/b", Some(("a/b", None))),
            ("bkt/a%2Fb%20c+d", Some(("a/b c+d", None))),
            ("bkt/k?versionId=null", Some(("k", Some("null")))),
            ("bkt/a//../b", Some(("a//../b", None))),
            ("bkt%2Fk", Some(("k", None))),
            ("bkt/a%3FversionId=x", Some(("a?versionId=x", None))),
            ("bkt", None),
            ("bkt/", None),
            ("", None),
            ("bkt/%ff", None),
            ("bkt/k?versionId=", None),
        ];
        for (text, expected) in cases {
            let read = source(text, Conditions::default()).ok();
            let read = read.map(|read| (read.key.to_string(), read.version));
            let expected = expected.map(|(key, id): (&str, Option<&str>)| {
                (key.to_owned(), id.map(|id| id.parse().unwrap()))
            });
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn ranges_of_sources_have_both_ends() {
        let read = |text| range(text).ok().map(|range| (range.start, range.end));
        assert_eq!(read("bytes=0-4"), Some((0, 5)));
        for wrong in ["bytes=0-", "bytes=-4", "bytes=4-0", "0-4", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
