//! What is said of an object beside its bytes, and what a writer may ask for beside writing them.

use std::collections::BTreeMap;

use http::StatusCode;
use sightline_api::Fault;
use sightline_model_aws::s3::{ObjectCannedACL, ServerSideEncryption, StorageClass};

/// Names and values of user metadata together, as S3 limits them.
const METADATA_BYTES_MAX: usize = 2048;

/// The type that S3 gives to bytes of which nothing is said.
pub(crate) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The attributes that an input gives to the object it writes.
macro_rules! attributes_of {
    ($input:expr) => {
        sightline_objects::Attributes {
            content_type: $input.content_type,
            content_encoding: crate::attributes::unframed($input.content_encoding),
            content_disposition: $input.content_disposition,
            content_language: $input.content_language,
            cache_control: $input.cache_control,
            expires: $input.expires,
            user: crate::attributes::user($input.metadata)?,
            tags: crate::tagging::of_header($input.tagging.as_deref())?,
        }
    };
}

/// Refuses what an input asks of the object it writes and this server does not do.
macro_rules! expect_plain_write {
    ($input:expr) => {{
        crate::request::refuse_unserved(&[
            (
                "x-amz-grant-full-control",
                $input.grant_full_control.is_some(),
            ),
            ("x-amz-grant-read", $input.grant_read.is_some()),
            ("x-amz-grant-read-acp", $input.grant_read_acp.is_some()),
            ("x-amz-grant-write-acp", $input.grant_write_acp.is_some()),
            (
                "x-amz-website-redirect-location",
                $input.website_redirect_location.is_some(),
            ),
            (
                "x-amz-server-side-encryption-customer-algorithm",
                $input.sse_customer_algorithm.is_some(),
            ),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                $input.ssekms_key_id.is_some(),
            ),
            (
                "x-amz-server-side-encryption-context",
                $input.ssekms_encryption_context.is_some(),
            ),
            ("x-amz-object-lock-mode", $input.object_lock_mode.is_some()),
            (
                "x-amz-object-lock-retain-until-date",
                $input.object_lock_retain_until_date.is_some(),
            ),
            (
                "x-amz-object-lock-legal-hold",
                $input.object_lock_legal_hold_status.is_some(),
            ),
            (
                "x-amz-object-lock-event-hold",
                $input.object_lock_event_hold.is_some(),
            ),
        ])?;
        crate::attributes::expect_plain(
            $input.acl,
            $input.storage_class,
            $input.server_side_encryption,
        )?;
    }};
}

pub(crate) use {attributes_of, expect_plain_write};

/// Accepts the one storage class, the owner's access, and encryption with keys of the server's
/// own choice, which the SDK asks for whenever it uploads code.
///
/// The server does not encrypt objects, and its answers do not say that it did; what protects
/// them at rest is the data directory. A caller who names a key is refused.
pub(crate) fn expect_plain(
    acl: Option<ObjectCannedACL>,
    storage_class: Option<StorageClass>,
    encryption: Option<ServerSideEncryption>,
) -> Result<(), Fault> {
    let bad = StatusCode::BAD_REQUEST;
    let owners = [
        ObjectCannedACL::Private,
        ObjectCannedACL::BucketOwnerFullControl,
    ];
    if acl.is_some_and(|acl| !owners.contains(&acl)) {
        return Err(lists_are_off());
    }
    if storage_class.is_some_and(|class| class != StorageClass::Standard) {
        let text = "The storage class you specified is not valid";
        return Err(Fault::new("InvalidStorageClass", bad, text));
    }
    let own_keys = [ServerSideEncryption::Aes256, ServerSideEncryption::AwsKms];
    let managed = encryption.is_some_and(|kind| !own_keys.contains(&kind));
    crate::request::refuse_unserved(&[("x-amz-server-side-encryption", managed)])
}

/// Refuses lists of access, as S3 does in buckets whose owner owns all that is in them.
pub(crate) fn lists_are_off() -> Fault {
    let text = "The bucket does not allow ACLs";
    Fault::new(
        "AccessControlListNotSupported",
        StatusCode::BAD_REQUEST,
        text,
    )
}

/// A content encoding without `aws-chunked`, which is the request's own and not the object's.
pub(crate) fn unframed(encoding: Option<String>) -> Option<String> {
    let encodings = encoding?;
    let kept: Vec<&str> = encodings
        .split(',')
        .map(str::trim)
        .filter(|encoding| *encoding != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// User metadata within S3's limit.
pub(crate) fn user(
    metadata: Option<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, Fault> {
    let metadata = metadata.unwrap_or_default();
    let size: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if METADATA_BYTES_MAX < size {
        let text = "Your metadata headers exceed the maximum allowed metadata size";
        let fault = Fault::new("MetadataTooLarge", StatusCode::BAD_REQUEST, text);
        return Err(fault
            .with("Size", size)
            .with("MaxSizeAllowed", METADATA_BYTES_MAX));
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_no_encoding_of_the_object() {
        let cases = [
            (None, None),
            (Some("gzip"), Some("gzip")),
            (Some("aws-chunked"), None),
            (Some("aws-chunked,gzip"), Some("gzip")),
            (Some("gzip, aws-chunked"), Some("gzip")),
        ];
        for (sent, kept) in cases {
            assert_eq!(
                unframed(sent.map(str::to_owned)).as_deref(),
                kept,
                "{sent:?}"
            );
        }
    }

    #[test]
    fn metadata_has_two_kibibytes() {
        let metadata = |size: usize| Some(BTreeMap::from([("n".to_owned(), "v".repeat(size - 1))]));
        assert!(user(metadata(2048)).is_ok());
        assert_eq!(user(metadata(2049)).unwrap_err().code, "MetadataTooLarge");
    }
}
