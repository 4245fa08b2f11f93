//! Pages of keys, grouped by a delimiter.
//!
//! A page costs as much as it shows: keys are found by seeking in the primary key, and a group of
//! keys that a delimiter folds into one common prefix is passed by seeking to its end. Objects,
//! versions and unfinished uploads are listed alike; of the latter two a key may have several.

use std::ops::ControlFlow;

use sightline_identity::Permit;
use sightline_meta::{MetaError, Reader};

use crate::bucket::demand;
use crate::version::Version;
use crate::{BucketName, Error, Object, ObjectKey, Objects, Upload, VersionId, store};

#[cfg(test)]
mod tests;

/// Entries on a page at most, as S3 has it.
const ENTRIES_MAX: u32 = 1000;

/// Which keys to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that have this after the prefix are folded into what comes before it.
    pub delimiter: Option<String>,
    /// Where to go on.
    pub after: Option<Position>,
    /// Entries on the page; 1,000 are the most.
    pub max: u32,
}

/// A place in the order of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// After this key.
    Key(String),
    /// After this key, and after every key of its group if it lies in one: as the last entry of
    /// a page, which can be a common prefix, it was the whole group.
    Entry(String),
    /// After this version of a key.
    Version(ObjectKey, VersionId),
    /// After the upload of this key and id.
    Upload(String, String),
}

/// One entry of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<T = Object> {
    /// An object without its attributes, a version, or an upload.
    Object(Box<T>),
    /// What all keys of a group begin with.
    CommonPrefix(String),
}

impl<T: Row> Entry<T> {
    /// The key or common prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => object.key(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T = Object> {
    /// The entries in the order of their names' bytes.
    pub entries: Vec<Entry<T>>,
    /// Whether more follow.
    pub truncated: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            truncated: false,
        }
    }
}

impl Listing {
    /// Where the next page begins, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Position> {
        let last = self.entries.last().filter(|_| self.truncated)?;
        Some(Position::Entry(last.name().to_owned()))
    }
}

/// What can be listed.
pub trait Row {
    /// The key that it is listed under.
    fn key(&self) -> &str;

    /// The place right behind it.
    fn behind(&self) -> Place;
}

/// Where rows begin: at a key, and within it at what has this rank or id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) key: String,
    pub(crate) within: String,
}

impl Place {
    fn at(key: String) -> Self {
        Self {
            key,
            within: String::new(),
        }
    }

    fn behind(key: &str, within: &str) -> Self {
        Self {
            key: key.to_owned(),
            within: following(within),
        }
    }
}

impl Row for Object {
    fn key(&self) -> &str {
        self.key.as_str()
    }

    fn behind(&self) -> Place {
        Place::at(following(self.key.as_str()))
    }
}

impl Row for Version {
    fn key(&self) -> &str {
        self.key.as_str()
    }

    fn behind(&self) -> Place {
        Place::behind(self.key.as_str(), self.rank.as_str())
    }
}

impl Row for Upload {
    fn key(&self) -> &str {
        self.key.as_str()
    }

    fn behind(&self) -> Place {
        Place::behind(self.key.as_str(), self.id())
    }
}

impl Objects {
    /// Lists a page of a bucket's keys, as they were at one moment.
    pub async fn list(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Listing, Error> {
        permit.expect_action("s3:ListBucket");
        let (bucket, query) = (bucket.clone(), query.clone());
        let read = move |reader: &Reader<'_>| {
            demand(reader, &bucket)?;
            let from = start(&query);
            Ok(page(&query, from, |from, before, limit| {
                store::scan(reader, &bucket, &from.key, before, limit)
            })?)
        };
        self.meta.read(read).await
    }

    /// Lists a page of a bucket's versions, the newest of each key first.
    pub async fn list_versions(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Listing<Version>, Error> {
        permit.expect_action("s3:ListBucketVersions");
        let (bucket, query) = (bucket.clone(), query.clone());
        let read = move |reader: &Reader<'_>| {
            demand(reader, &bucket)?;
            let from = match &query.after {
                Some(Position::Version(key, version)) => {
                    Some(behind_version(reader, &bucket, key, version)?)
                }
                _ => start(&query),
            };
            let resumed = from.clone().filter(|from| !from.within.is_empty());
            let mut listing = page(&query, from, |from, before, limit| {
                let mut rows = store::scan_versions(reader, &bucket, from, limit)?;
                rows.retain(|row| before.is_none_or(|before| row.key.as_str() < before));
                Ok(rows)
            })?;
            mark_latest(&mut listing, resumed.map(|from| from.key));
            Ok(listing)
        };
        self.meta.read(read).await
    }

    /// Lists a page of a bucket's unfinished uploads, those of each key in the order of their ids.
    pub async fn uploads(
        &self,
        permit: &Permit,
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Listing<Upload>, Error> {
        permit.expect_action("s3:ListBucketMultipartUploads");
        let (bucket, query) = (bucket.clone(), query.clone());
        let read = move |reader: &Reader<'_>| {
            demand(reader, &bucket)?;
            Ok(page(&query, start(&query), |from, before, limit| {
                let mut rows = store::uploads(reader, &bucket, from, limit)?;
                rows.retain(|row| before.is_none_or(|before| row.key.as_str() < before));
                Ok(rows)
            })?)
        };
        self.meta.read(read).await
    }
}

/// The place behind a version, whose name tells it unless it is the one without a name.
fn behind_version(
    reader: &Reader<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    version: &VersionId,
) -> Result<Place, Error> {
    if let Some(rank) = version.rank() {
        return Ok(Place::behind(key.as_str(), rank.as_str()));
    }
    let object = store::object(reader, bucket, key)?;
    let rank = match object.filter(|object| object.version.as_ref() == Some(version)) {
        Some(object) => Some(object.rank),
        None => store::kept_version(reader, bucket, key, version)?.map(|kept| kept.rank),
    };
    Ok(match rank {
        Some(rank) => Place::behind(key.as_str(), rank.as_str()),
        None => Place::at(following(key.as_str())),
    })
}

/// Marks the first version of each key; of the key that the page resumes, it is on an earlier one.
fn mark_latest(listing: &mut Listing<Version>, resumed: Option<String>) {
    let mut before = resumed;
    for entry in &mut listing.entries {
        if let Entry::Object(version) = entry {
            version.latest = before.as_deref() != Some(version.key.as_str());
            before = Some(version.key.as_str().to_owned());
        }
    }
}

/// Makes a page of the rows that `fetch` gives for a first place, a bound and a limit.
fn page<T: Row>(
    query: &ListQuery,
    from: Option<Place>,
    mut fetch: impl FnMut(&Place, Option<&str>, u32) -> Result<Vec<T>, MetaError>,
) -> Result<Listing<T>, MetaError> {
    let max = query.max.min(ENTRIES_MAX) as usize;
    let mut page = Page {
        query,
        max,
        listing: Listing::default(),
    };
    let before = after_all(&query.prefix);
    let Some(mut from) = from.filter(|_| 0 < max) else {
        return Ok(page.listing);
    };
    // Batches grow while keys come one by one, and begin small behind each group: of the rows
    // behind a common prefix, as many may be in the next group.
    let mut limit = 1;
    loop {
        let rows = fetch(&from, before.as_deref(), limit)?;
        let exhausted = rows.len() < limit as usize;
        match page.take(rows) {
            ControlFlow::Break(()) => return Ok(page.listing),
            ControlFlow::Continue(Next::Seek(None)) => return Ok(page.listing),
            ControlFlow::Continue(Next::Seek(Some(next))) => {
                from = Place::at(next);
                limit = 1;
            }
            ControlFlow::Continue(Next::GoOn(Some(next))) if !exhausted => {
                from = next;
                limit = (limit * 4).min(ENTRIES_MAX + 1);
            }
            ControlFlow::Continue(Next::GoOn(_)) => return Ok(page.listing),
        }
    }
}

/// The first place that can be on the page; `None` if there can be none.
fn start(query: &ListQuery) -> Option<Place> {
    let resumed = match &query.after {
        None => return Some(Place::at(query.prefix.clone())),
        Some(Position::Key(key)) => Place::at(following(key)),
        Some(Position::Entry(name)) => match group(query, name) {
            Some(prefix) => Place::at(after_all(prefix)?),
            None => Place::at(following(name)),
        },
        Some(Position::Version(key, version)) => {
            Place::behind(key.as_str(), version.rank()?.as_str())
        }
        Some(Position::Upload(key, id)) => Place::behind(key, id),
    };
    if resumed.key < query.prefix {
        return Some(Place::at(query.prefix.clone()));
    }
    Some(resumed)
}

/// A page being filled.
struct Page<'q, T> {
    query: &'q ListQuery,
    max: usize,
    listing: Listing<T>,
}

/// Where the rows go on.
enum Next {
    /// Right behind the last one, if there was one.
    GoOn(Option<Place>),
    /// At this key, behind a group; `None` if no key can come after it.
    Seek(Option<String>),
}

impl<T: Row> Page<'_, T> {
    /// Takes rows up to the first that is in a group; breaks when the page is full.
    fn take(&mut self, rows: Vec<T>) -> ControlFlow<(), Next> {
        let mut next = None;
        for row in rows {
            if self.listing.entries.len() == self.max {
                self.listing.truncated = true;
                return ControlFlow::Break(());
            }
            if let Some(prefix) = group(self.query, row.key()) {
                let next = after_all(prefix);
                self.listing
                    .entries
                    .push(Entry::CommonPrefix(prefix.to_owned()));
                return ControlFlow::Continue(Next::Seek(next));
            }
            next = Some(row.behind());
            self.listing.entries.push(Entry::Object(Box::new(row)));
        }
        ControlFlow::Continue(Next::GoOn(next))
    }
}

/// The common prefix of the group that `key` lies in, if it lies in one.
fn group<'k>(query: &ListQuery, key: &'k str) -> Option<&'k str> {
    let delimiter = query
        .delimiter
        .as_deref()
        .filter(|delimiter| !delimiter.is_empty())?;
    let at = key.strip_prefix(query.prefix.as_str())?.find(delimiter)?;
    key.get(..query.prefix.len() + at + delimiter.len())
}

/// The least text after `text`, given that none holds a NUL: keys, ranks and ids never do.
fn following(text: &str) -> String {
    format!("{text}\u{1}")
}

/// The least text after every text that begins with `prefix`; `None` if there is no such text.
///
/// The order of UTF-8 bytes is the order of characters, so it is enough to take the last
/// character that has a next one, and to drop what follows it.
fn after_all(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let mut range = last..=char::MAX;
        range.next();
        if let Some(next) = range.next() {
            text.push(next);
            return Some(text);
        }
    }
    None
}
