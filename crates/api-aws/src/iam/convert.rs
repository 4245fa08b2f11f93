//! What several nouns convert alike: pages, tags, documents, and what is refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sightline_api::Fault;
use sightline_identity::{Error, Holder, HolderKind};
use sightline_model_aws::iam as model;

use super::fault;

/// Items on a page where the request says nothing else: IAM's default.
const PAGE_ITEMS: usize = 100;

/// Documents are shown with all but these characters encoded (RFC 3986).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One page, and the marker of the next.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) marker: Option<String>,
}

/// The part of `items`, which are in the order of their names, that a request asks for.
pub(super) fn page<T>(
    items: impl IntoIterator<Item = T>,
    marker: Option<&str>,
    max_items: Option<i32>,
    name: impl Fn(&T) -> &str,
) -> Result<Page<T>, Fault> {
    let after = marker.map(decode_marker).transpose()?;
    let max = max_items.and_then(|max| usize::try_from(max).ok());
    let max = max.unwrap_or(PAGE_ITEMS);
    let is_after = |item: &T| after.as_deref().is_none_or(|after| after < name(item));
    let mut items: Vec<T> = items.into_iter().filter(is_after).collect();
    items.sort_by(|a, b| name(a).cmp(name(b)));
    let more = max < items.len();
    items.truncate(max);
    let last = items.last().filter(|_| more);
    let marker = last.map(|item| URL_SAFE_NO_PAD.encode(name(item)));
    Ok(Page { items, marker })
}

fn decode_marker(marker: &str) -> Result<String, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| fault(&Error::Invalid("The marker is invalid.".to_owned())))
}

pub(super) fn tags_of(tags: Option<Vec<model::Tag>>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    for tag in tags.unwrap_or_default() {
        if found.insert(tag.key, tag.value).is_some() {
            return Err(fault(&Error::Invalid(
                "Duplicate tag keys found.".to_owned(),
            )));
        }
    }
    Ok(found)
}

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Vec<model::Tag> {
    let each = tags.iter().map(|(key, value)| model::Tag {
        key: key.clone(),
        value: value.clone(),
    });
    each.collect()
}

/// Tags where an answer leaves an empty list out.
pub(super) fn some_tags(of: &BTreeMap<String, String>) -> Option<Vec<model::Tag>> {
    (!of.is_empty()).then(|| tags(of))
}

/// A document as IAM shows it.
pub(super) fn shown(document: &str) -> String {
    utf8_percent_encode(document, PLAIN).to_string()
}

fn boundary(of: &Holder) -> Option<model::AttachedPermissionsBoundary> {
    let arn = of.boundary.as_ref()?;
    Some(model::AttachedPermissionsBoundary {
        permissions_boundary_type: Some(
            model::PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy,
        ),
        permissions_boundary_arn: Some(arn.clone()),
    })
}

/// Whether a path begins as a request asks.
pub(super) fn below(path: &str, prefix: Option<&String>) -> bool {
    prefix.is_none_or(|prefix| path.starts_with(prefix.as_str()))
}

pub(super) fn path_of(path: Option<String>) -> String {
    path.unwrap_or_else(|| "/".to_owned())
}

pub(super) fn user(user: &Holder) -> model::User {
    model::User {
        path: user.path.clone(),
        user_name: user.name.clone(),
        user_id: user.id.clone(),
        arn: user.arn.clone(),
        create_date: user.created_at,
        password_last_used: None,
        permissions_boundary: boundary(user),
        tags: some_tags(&user.tags),
    }
}

pub(super) fn role(role: &Holder) -> model::Role {
    let part = role.role.as_ref();
    let seconds = part.and_then(|part| i32::try_from(part.max_session_s).ok());
    model::Role {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: role.arn.clone(),
        create_date: role.created_at,
        assume_role_policy_document: part.map(|part| shown(&part.trust)),
        description: part.and_then(|part| part.description.clone()),
        max_session_duration: seconds,
        permissions_boundary: boundary(role),
        tags: some_tags(&role.tags),
        role_last_used: None,
        source_role_template: None,
    }
}

pub(super) const USER: HolderKind = HolderKind::User;
pub(super) const ROLE: HolderKind = HolderKind::Role;
