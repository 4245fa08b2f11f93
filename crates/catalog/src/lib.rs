//! What holds for every kind of resource alike: tags.
//!
//! Works on the resource table of `meta` by ARN and owns no table of its own; it must never know
//! a particular kind. Start at [`Catalog`].

use sightline_identity::Permit;
use sightline_meta::tags::{self, TagError};
use sightline_meta::{Meta, MetaError, Reader, resource};
use sightline_types::{Arn, ErrorKind, Page, ResourceRef};

/// Why tags could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No resource has this ARN.
    #[error("resource {0} does not exist")]
    NotFound(Arn),
    /// AWS keeps keys that begin with `aws:` for itself, and so do we.
    #[error("the tag key {0:?} begins with the reserved prefix aws:")]
    ReservedKey(String),
    /// The resource would carry too many tags.
    #[error("a resource carries at most 50 tags, this one would have {0}")]
    TooManyTags(i64),
    /// The store failed.
    #[error("could not reach the resource table")]
    Meta(#[from] MetaError),
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::ReservedKey(_) => ErrorKind::Invalid,
            Self::TooManyTags(_) => ErrorKind::LimitExceeded,
            Self::Meta(source) => source.kind(),
        }
    }
}

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        match error {
            TagError::TooMany(count) => Self::TooManyTags(count),
            TagError::Meta(source) => Self::Meta(source),
        }
    }
}

/// The catalog engine. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Catalog {
    meta: Meta,
}

impl Catalog {
    /// Makes the engine over a store.
    #[must_use]
    pub fn new(meta: Meta) -> Self {
        Self { meta }
    }

    /// Adds tags to a resource and gives all that it then has.
    pub async fn add_tags(
        &self,
        permit: &Permit,
        arn: Arn,
        added: Vec<(String, String)>,
    ) -> Result<Vec<(String, String)>, Error> {
        permit.expect_action("sagemaker:AddTags");
        if let Some((key, _)) = added.iter().find(|(key, _)| key.starts_with("aws:")) {
            return Err(Error::ReservedKey(key.clone()));
        }
        let mut event = permit.event();
        event.resources.push(ResourceRef::of(&arn));
        self.meta
            .write(move |tx| {
                must_exist(tx, &arn)?;
                tags::put(tx, &arn, &added)?;
                tx.record(&event)?;
                Ok(tags::list(tx, &arn, "", tags::TAGS_MAX as u32)?)
            })
            .await
    }

    /// Removes tags from a resource; absent ones are not missed.
    pub async fn delete_tags(
        &self,
        permit: &Permit,
        arn: Arn,
        keys: Vec<String>,
    ) -> Result<(), Error> {
        permit.expect_action("sagemaker:DeleteTags");
        let mut event = permit.event();
        event.resources.push(ResourceRef::of(&arn));
        self.meta
            .write(move |tx| {
                must_exist(tx, &arn)?;
                tags::delete(tx, &arn, &keys)?;
                tx.record(&event)?;
                Ok(())
            })
            .await
    }

    /// One page of a resource's tags in order of key; the token is the last key.
    pub async fn tags(
        &self,
        permit: &Permit,
        arn: Arn,
        token: Option<String>,
        limit: u32,
    ) -> Result<Page<(String, String)>, Error> {
        permit.expect_action("sagemaker:ListTags");
        let page = self.meta.read(move |reader| {
            must_exist(reader, &arn)?;
            let after = token.unwrap_or_default();
            let mut items = tags::list(reader, &arn, &after, limit.saturating_add(1))?;
            let more = items.len() > limit as usize;
            items.truncate(limit as usize);
            let next_token = items.last().filter(|_| more).map(|(key, _)| key.clone());
            Ok(Page { items, next_token })
        });
        page.await
    }
}

fn must_exist(reader: &Reader<'_>, arn: &Arn) -> Result<(), Error> {
    if resource::exists(reader, arn)? {
        Ok(())
    } else {
        Err(Error::NotFound(arn.clone()))
    }
}
