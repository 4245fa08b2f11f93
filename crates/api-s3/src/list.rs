//! Both versions of listing objects.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    self, CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectStorageClass, Owner,
};
use sightline_objects::{Entry, ListQuery, Listing, Object, Position};

use crate::App;
use crate::bucket::owner;
use crate::checksum::{algorithm, kind};
use crate::faults::{fault, invalid_argument};
use crate::request::{bucket, expect_owner, long, quoted, refuse_unserved};

/// Entries on a page at most, and when the request does not say, as S3 has it.
const ENTRIES_MAX: i32 = 1000;

/// What `encoding-type=url` leaves as it is. The space becomes `%20`, which clients decode
/// whether they take `+` for a space or not.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/');

/// How names stand in an answer.
#[derive(Clone, Copy)]
pub(crate) struct Names(pub(crate) Option<EncodingType>);

impl Names {
    pub(crate) fn show(self, name: &str) -> String {
        match self.0 {
            Some(EncodingType::Url) => utf8_percent_encode(name, KEPT).to_string(),
            None => name.to_owned(),
        }
    }

    pub(crate) fn show_option(self, name: Option<&String>) -> Option<String> {
        name.map(|name| self.show(name))
    }

    /// The entries of a page: those shown by `show`, and the common prefixes.
    pub(crate) fn entries<T, S>(
        self,
        listing: Listing<T>,
        show: impl Fn(&T) -> S,
    ) -> (Vec<S>, Vec<CommonPrefix>) {
        let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
        for entry in listing.entries {
            match entry {
                Entry::Object(object) => contents.push(show(&object)),
                Entry::CommonPrefix(prefix) => {
                    common_prefixes.push(CommonPrefix {
                        prefix: Some(self.show(&prefix)),
                    });
                }
            }
        }
        (contents, common_prefixes)
    }
}

pub(crate) async fn by_marker(
    app: Arc<App>,
    permit: Permit,
    input: ListObjectsInput,
) -> Result<ListObjectsOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let asked = input.optional_object_attributes.is_some();
    refuse_unserved(&[("x-amz-optional-object-attributes", asked)])?;
    let max = max_keys("maxKeys", input.max_keys)?;
    let marker = input.marker.clone().filter(|marker| !marker.is_empty());
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: marker.map(Position::Entry),
        max: max.unsigned_abs(),
    };
    let name = bucket(&input.bucket)?;
    let listing = app
        .objects
        .list(&permit, &name, &query)
        .await
        .map_err(fault)?;
    let names = Names(input.encoding_type);
    let grouped = input
        .delimiter
        .as_ref()
        .is_some_and(|delimiter| !delimiter.is_empty());
    // Without a delimiter clients go on from the last key that they were given.
    let last = listing
        .entries
        .last()
        .filter(|_| grouped && listing.truncated);
    let next_marker = last.map(|entry| names.show(entry.name()));
    let is_truncated = Some(listing.truncated);
    let owner = owner(&permit);
    let (contents, common_prefixes) =
        names.entries(listing, |object| shown_object(object, names, Some(&owner)));
    Ok(ListObjectsOutput {
        is_truncated,
        marker: Some(names.show(input.marker.as_deref().unwrap_or_default())),
        next_marker,
        contents: Some(contents),
        name: Some(input.bucket),
        prefix: Some(names.show(&query.prefix)),
        delimiter: names.show_option(input.delimiter.as_ref()),
        max_keys: Some(max),
        common_prefixes: Some(common_prefixes),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub(crate) async fn by_token(
    app: Arc<App>,
    permit: Permit,
    input: ListObjectsV2Input,
) -> Result<ListObjectsV2Output, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let asked = input.optional_object_attributes.is_some();
    refuse_unserved(&[("x-amz-optional-object-attributes", asked)])?;
    let max = max_keys("maxKeys", input.max_keys)?;
    let resumed = input
        .continuation_token
        .as_deref()
        .map(read_token)
        .transpose()?;
    let start_after = input.start_after.clone().filter(|after| !after.is_empty());
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: resumed.or(start_after.map(Position::Key)),
        max: max.unsigned_abs(),
    };
    let name = bucket(&input.bucket)?;
    let listing = app
        .objects
        .list(&permit, &name, &query)
        .await
        .map_err(fault)?;
    let names = Names(input.encoding_type);
    let next = listing.entries.last().filter(|_| listing.truncated);
    let next_continuation_token = next.map(|entry| URL_SAFE_NO_PAD.encode(entry.name()));
    let (is_truncated, count) = (Some(listing.truncated), listing.entries.len());
    let shown_owner = (input.fetch_owner == Some(true)).then(|| owner(&permit));
    let (contents, common_prefixes) = names.entries(listing, |object| {
        shown_object(object, names, shown_owner.as_ref())
    });
    Ok(ListObjectsV2Output {
        is_truncated,
        contents: Some(contents),
        name: Some(input.bucket),
        prefix: Some(names.show(&query.prefix)),
        delimiter: names.show_option(input.delimiter.as_ref()),
        max_keys: Some(max),
        common_prefixes: Some(common_prefixes),
        encoding_type: input.encoding_type,
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        next_continuation_token,
        start_after: names.show_option(input.start_after.as_ref()),
        request_charged: None,
    })
}

/// Entries on a page: what is asked for, but not more than S3 gives.
pub(crate) fn max_keys(name: &str, asked: Option<i32>) -> Result<i32, Fault> {
    match asked {
        None => Ok(ENTRIES_MAX),
        Some(max) if 0 <= max => Ok(max.min(ENTRIES_MAX)),
        Some(max) => {
            let text = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(invalid_argument(name, &max.to_string(), &text))
        }
    }
}

/// A token is the name of the last entry that its page showed.
fn read_token(token: &str) -> Result<Position, Fault> {
    let name = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|name| String::from_utf8(name).ok());
    let text = "The continuation token provided is incorrect";
    let name = name.filter(|name| !name.is_empty());
    name.map(Position::Entry)
        .ok_or_else(|| invalid_argument("continuation-token", token, text))
}

fn shown_object(object: &Object, names: Names, owner: Option<&Owner>) -> s3::Object {
    let checksum = object.checksum.as_ref();
    s3::Object {
        key: Some(names.show(object.key.as_str())),
        last_modified: Some(object.modified_at),
        e_tag: Some(quoted(&object.etag)),
        checksum_algorithm: checksum.map(|checksum| vec![algorithm(checksum.algorithm())]),
        checksum_type: checksum.map(|checksum| kind(checksum.coverage())),
        size: Some(long(object.size)),
        storage_class: Some(ObjectStorageClass::Standard),
        owner: owner.cloned(),
        restore_status: None,
    }
}
