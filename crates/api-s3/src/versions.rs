//! Whether a bucket keeps versions, and which it has.

use std::sync::Arc;

use sightline_api::{Call, Fault, Reply};
use sightline_identity::Permit;
use sightline_model_aws::s3::{
    BucketVersioningStatus, DeleteMarkerEntry, GetBucketVersioningInput, GetBucketVersioningOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, MFADelete, ObjectVersion,
    ObjectVersionStorageClass, PutBucketVersioningInput,
};
use sightline_objects::{Entry, ListQuery, Position, Version, Versioning};

use crate::App;
use crate::bucket::owner;
use crate::checksum::{algorithm, kind, verify_document};
use crate::faults::{fault, illegal_versioning, invalid_argument};
use crate::list::{Names, max_keys};
use crate::request::{bucket, expect_owner, key, long, quoted, refuse_unserved, version};

pub(crate) async fn get_versioning(
    app: Arc<App>,
    permit: Permit,
    input: GetBucketVersioningInput,
) -> Result<GetBucketVersioningOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let name = bucket(&input.bucket)?;
    let found = app.objects.bucket_configuration(&permit, &name).await;
    let status = match found.map_err(fault)?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::Enabled),
        Versioning::Suspended => Some(BucketVersioningStatus::Suspended),
    };
    Ok(GetBucketVersioningOutput {
        status,
        mfa_delete: None,
    })
}

pub(crate) async fn put_versioning(
    app: Arc<App>,
    call: Call,
    input: PutBucketVersioningInput,
) -> Result<Reply<()>, Fault> {
    expect_owner(&call.permit, input.expected_bucket_owner.as_ref())?;
    verify_document(&call.headers, call.body, false).await?;
    let wanted = input.versioning_configuration;
    let with_mfa = wanted.mfa_delete == Some(MFADelete::Enabled);
    refuse_unserved(&[("MfaDelete", with_mfa), ("x-amz-mfa", input.mfa.is_some())])?;
    let versioning = match wanted.status {
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
        None => return Err(illegal_versioning()),
    };
    let name = bucket(&input.bucket)?;
    let set = app
        .objects
        .set_versioning(&call.permit, &name, versioning)
        .await;
    set.map_err(fault)?;
    Ok(Reply::new(()))
}

pub(crate) async fn list(
    app: Arc<App>,
    permit: Permit,
    input: ListObjectVersionsInput,
) -> Result<ListObjectVersionsOutput, Fault> {
    expect_owner(&permit, input.expected_bucket_owner.as_ref())?;
    let asked = input.optional_object_attributes.is_some();
    refuse_unserved(&[("x-amz-optional-object-attributes", asked)])?;
    let max = max_keys("maxKeys", input.max_keys)?;
    let query = ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: position(&input)?,
        max: max.unsigned_abs(),
    };
    let name = bucket(&input.bucket)?;
    let listing = app.objects.list_versions(&permit, &name, &query).await;
    let listing = listing.map_err(fault)?;
    let names = Names(input.encoding_type);
    let last = listing.entries.last().filter(|_| listing.truncated);
    let next_key_marker = last.map(|entry| names.show(entry.name()));
    let next_version_id_marker = last.and_then(|entry| match entry {
        Entry::Object(version) => Some(version.id.to_string()),
        Entry::CommonPrefix(_) => None,
    });
    let is_truncated = Some(listing.truncated);
    let (entries, common_prefixes) = names.entries(listing, Clone::clone);
    let shown = Shown { names, permit };
    let versions = entries.iter().filter_map(|entry| shown.version(entry));
    let markers = entries.iter().filter_map(|entry| shown.marker(entry));
    Ok(ListObjectVersionsOutput {
        is_truncated,
        key_marker: Some(names.show(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        next_key_marker,
        next_version_id_marker,
        versions: Some(versions.collect()),
        delete_markers: Some(markers.collect()),
        name: Some(input.bucket),
        prefix: Some(names.show(&query.prefix)),
        delimiter: names.show_option(input.delimiter.as_ref()),
        max_keys: Some(max),
        common_prefixes: Some(common_prefixes),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

/// Where the list goes on.
fn position(input: &ListObjectVersionsInput) -> Result<Option<Position>, Fault> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&input.key_marker), given(&input.version_id_marker)) {
        (None, None) => Ok(None),
        (Some(after), None) => Ok(Some(Position::Entry(after))),
        (Some(after), Some(id)) => {
            let id = version(Some(&id))?;
            let key = key(&after)?;
            Ok(id.map(|id| Position::Version(key, id)))
        }
        (None, Some(id)) => {
            let text = "A version-id marker cannot be specified without a key marker.";
            Err(invalid_argument("version-id-marker", &id, text))
        }
    }
}

/// How versions stand in an answer.
struct Shown {
    names: Names,
    permit: Permit,
}

impl Shown {
    fn version(&self, version: &Version) -> Option<ObjectVersion> {
        let object = version.object.as_ref()?;
        let checksum = object.checksum.as_ref();
        Some(ObjectVersion {
            e_tag: Some(quoted(&object.etag)),
            checksum_algorithm: checksum.map(|checksum| vec![algorithm(checksum.algorithm())]),
            checksum_type: checksum.map(|checksum| kind(checksum.coverage())),
            size: Some(long(object.size)),
            storage_class: Some(ObjectVersionStorageClass::Standard),
            key: Some(self.names.show(version.key.as_str())),
            version_id: Some(version.id.to_string()),
            is_latest: Some(version.latest),
            last_modified: Some(version.modified_at),
            owner: Some(owner(&self.permit)),
            restore_status: None,
        })
    }

    fn marker(&self, version: &Version) -> Option<DeleteMarkerEntry> {
        if version.object.is_some() {
            return None;
        }
        Some(DeleteMarkerEntry {
            owner: Some(owner(&self.permit)),
            key: Some(self.names.show(version.key.as_str())),
            version_id: Some(version.id.to_string()),
            is_latest: Some(version.latest),
            last_modified: Some(version.modified_at),
        })
    }
}
