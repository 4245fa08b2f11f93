//! Pages of keys, grouped by a delimiter.
//!
//! A page costs as much as it shows: keys are found by seeking in the primary key, and a group of
//! keys that a delimiter folds into one common prefix is passed by seeking to its end.

use std::ops::ControlFlow;

use sightline_identity::Permit;
use sightline_meta::{MetaError, Reader};

use crate::bucket::demand;
use crate::{BucketName, Error, Object, Objects, store};

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
}

/// One entry of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object, without its attributes.
    Object(Box<Object>),
    /// What all keys of a group begin with.
    CommonPrefix(String),
}

impl Entry {
    /// The key or common prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => object.key.as_str(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries in the order of their names' bytes.
    pub entries: Vec<Entry>,
    /// Whether more follow.
    pub truncated: bool,
}

impl Listing {
    /// Where the next page begins, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Position> {
        let last = self.entries.last().filter(|_| self.truncated)?;
        Some(Position::Entry(last.name().to_owned()))
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
            let mut rows = Rows {
                reader,
                bucket: &bucket,
                read: 0,
            };
            Ok(page(&query, |from, before, limit| {
                rows.fetch(from, before, limit)
            })?)
        };
        self.meta.read(read).await
    }
}

/// The rows of a bucket, and how many of them were read.
struct Rows<'r> {
    reader: &'r Reader<'r>,
    bucket: &'r BucketName,
    read: usize,
}

impl Rows<'_> {
    fn fetch(
        &mut self,
        from: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Object>, MetaError> {
        let rows = store::scan(self.reader, self.bucket, from, before, limit)?;
        self.read += rows.len();
        Ok(rows)
    }
}

/// Makes a page of the rows that `fetch` gives for a first key, a bound and a limit.
fn page(
    query: &ListQuery,
    mut fetch: impl FnMut(&str, Option<&str>, u32) -> Result<Vec<Object>, MetaError>,
) -> Result<Listing, MetaError> {
    let max = query.max.min(ENTRIES_MAX) as usize;
    let mut page = Page {
        query,
        max,
        listing: Listing::default(),
    };
    let before = after_all(&query.prefix);
    let Some(mut from) = start(query).filter(|_| 0 < max) else {
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
                from = next;
                limit = 1;
            }
            ControlFlow::Continue(Next::GoOn(_)) if exhausted => return Ok(page.listing),
            ControlFlow::Continue(Next::GoOn(next)) => {
                from = next;
                limit = (limit * 4).min(ENTRIES_MAX + 1);
            }
        }
    }
}

/// The first key that can be on the page; `None` if there can be none.
fn start(query: &ListQuery) -> Option<String> {
    let resumed = match &query.after {
        None => return Some(query.prefix.clone()),
        Some(Position::Key(key)) => following(key),
        Some(Position::Entry(name)) => match group(query, name) {
            Some(prefix) => after_all(prefix)?,
            None => following(name),
        },
    };
    Some(resumed.max(query.prefix.clone()))
}

/// A page being filled.
struct Page<'q> {
    query: &'q ListQuery,
    max: usize,
    listing: Listing,
}

/// Where the rows go on.
enum Next {
    /// At this key, right behind the last one.
    GoOn(String),
    /// At this key, behind a group; `None` if no key can come after it.
    Seek(Option<String>),
}

impl Page<'_> {
    /// Takes rows up to the first that is in a group; breaks when the page is full.
    fn take(&mut self, rows: Vec<Object>) -> ControlFlow<(), Next> {
        let mut next = String::new();
        for object in rows {
            if self.listing.entries.len() == self.max {
                self.listing.truncated = true;
                return ControlFlow::Break(());
            }
            if let Some(prefix) = group(self.query, object.key.as_str()) {
                let next = after_all(prefix);
                self.listing
                    .entries
                    .push(Entry::CommonPrefix(prefix.to_owned()));
                return ControlFlow::Continue(Next::Seek(next));
            }
            next = following(object.key.as_str());
            self.listing.entries.push(Entry::Object(Box::new(object)));
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

/// The least text after `key`.
fn following(key: &str) -> String {
    format!("{key}\0")
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
