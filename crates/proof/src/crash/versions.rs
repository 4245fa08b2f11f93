//! Versions of objects in a bucket that keeps them: each that was acknowledged stays readable by
//! its identifier until its deletion is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use anyhow::{Result, bail};
use http::Method;

use super::history::Version;
use super::load::Worker;
use super::model::{Model, lock};
use super::object::{self, Form};
use super::things::bucket;
use crate::{Answer, Ask, Client};

/// Versions that one client keeps; with more it deletes one.
const OWN_VERSIONS_MAX: usize = 6;

/// Keys that the versions of one client belong to.
const KEYS: u64 = 2;

/// A version that was acknowledged.
#[derive(Clone, Debug)]
struct Kept {
    owner: u64,
    key: String,
    version: Version,
    /// Whether its deletion was asked for, so that it may be gone.
    may_be_gone: bool,
}

/// All versions, by their identifiers.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    kept: Mutex<BTreeMap<String, Kept>>,
    /// What was sent and not acknowledged: it may be there under any identifier.
    sent: Mutex<BTreeSet<Version>>,
}

impl Versions {
    /// The versions that are there for certain.
    pub(crate) fn kept(&self) -> Vec<Version> {
        let kept = lock(&self.kept);
        kept.values().map(|kept| kept.version).collect()
    }

    fn of(&self, owner: u64) -> Vec<String> {
        let kept = lock(&self.kept);
        let own = kept.iter().filter(|(_, kept)| kept.owner == owner);
        own.map(|(id, _)| id.clone()).collect()
    }

    /// Compares what a client's bucket lists and holds with what was acknowledged, and deletes
    /// versions whose answers died.
    pub(crate) fn check(&self, model: &Model, client: &mut Client, owner: u64) -> Result<()> {
        let bucket = bucket(owner);
        let ask = Ask::s3(Method::GET, format!("/{bucket}?versions"));
        let mut listed = listed(&call(model, client, "ListObjectVersions", &ask)?);
        for id in self.of(owner) {
            let Some(kept) = lock(&self.kept).remove(&id) else {
                continue;
            };
            if listed.remove(&id).is_none() {
                if !kept.may_be_gone {
                    model.fault(format!("version {id} of {} is not listed", kept.key));
                }
                continue;
            }
            let ask = at(Method::GET, owner, &kept.key, &id);
            let answer = call(model, client, "GetObject", &ask)?;
            match object::version_in(&answer) {
                Ok(found) if found == Some(kept.version) => {
                    let may_be_gone = false;
                    lock(&self.kept).insert(
                        id,
                        Kept {
                            may_be_gone,
                            ..kept
                        },
                    );
                }
                found => model.fault(format!("version {id} of {} is {found:?}", kept.key)),
            }
        }
        for (id, key) in listed {
            let answer = call(
                model,
                client,
                "GetObject",
                &at(Method::GET, owner, &key, &id),
            )?;
            match object::version_in(&answer) {
                Ok(Some(found)) if lock(&self.sent).contains(&found) => {}
                found => model.fault(format!("version {id} of {key} is {found:?}, unknown")),
            }
            let ask = at(Method::DELETE, owner, &key, &id);
            call(model, client, "DeleteObject", &ask)?;
        }
        Ok(())
    }

    /// Forgets what was sent; all that came of it has been looked at.
    pub(crate) fn settle(&self) {
        lock(&self.sent).clear();
    }
}

fn call(model: &Model, client: &mut Client, what: &str, ask: &Ask) -> Result<Answer> {
    match model.call(client, what, ask) {
        Some(answer) => Ok(answer),
        None => bail!("{what} {} is not answered whole", ask.target),
    }
}

fn at(method: Method, owner: u64, key: &str, id: &str) -> Ask {
    Ask::s3(method, format!("/{}/{key}?versionId={id}", bucket(owner)))
}

/// The identifiers and keys of a page of versions, which holds all of them.
fn listed(answer: &Answer) -> BTreeMap<String, String> {
    let text = answer.text();
    let inside = |version: &str, name: &str| {
        let (_, rest) = version.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.to_owned())
    };
    text.split("<Version>")
        .skip(1)
        .filter_map(|version| Some((inside(version, "VersionId")?, inside(version, "Key")?)))
        .collect()
}

impl Worker<'_> {
    /// Writes a version, or deletes one for good.
    pub(crate) fn version(&mut self) -> Option<()> {
        let own = self.model.versions.of(self.number);
        match self.dice.pick(&own).cloned() {
            Some(id) if OWN_VERSIONS_MAX <= own.len() => self.delete_version(&id),
            _ => self.put_version(),
        }
    }

    fn put_version(&mut self) -> Option<()> {
        let key = format!("k{}", self.dice.below(KEYS));
        let version = object::version(self.model.number(), Form::Whole);
        let target = format!("/{}/{key}", bucket(self.number));
        let ask = Ask::s3(Method::PUT, target).body(object::parts(version).concat());
        let ask = object::labelled(ask, version);
        lock(&self.model.versions.sent).insert(version);
        let answer = self.model.call(&mut self.client, "PutObject", &ask)?;
        let id = answer.header("x-amz-version-id").to_owned();
        if !answer.is_success() || id.is_empty() {
            return self.unexpected("PutObject of a version", &answer.text());
        }
        let kept = Kept {
            owner: self.number,
            key,
            version,
            may_be_gone: false,
        };
        lock(&self.model.versions.sent).remove(&version);
        lock(&self.model.versions.kept).insert(id, kept);
        Some(())
    }

    fn delete_version(&mut self, id: &str) -> Option<()> {
        let key = {
            let mut all = lock(&self.model.versions.kept);
            let kept = all.get_mut(id)?;
            kept.may_be_gone = true;
            kept.key.clone()
        };
        let ask = at(Method::DELETE, self.number, &key, id);
        let answer = self.model.call(&mut self.client, "DeleteObject", &ask)?;
        if !answer.is_success() {
            return self.unexpected("DeleteObject of a version", &answer.text());
        }
        lock(&self.model.versions.kept).remove(id);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_versions_is_read_whole() {
        let body = "<ListVersionsResult><Version><Key>k0</Key><VersionId>a</VersionId></Version>\
                    <Version><Key>k1</Key><VersionId>b</VersionId></Version></ListVersionsResult>";
        let answer = Answer {
            status: 200,
            headers: http::HeaderMap::new(),
            body: body.into(),
        };
        let wanted = [("a", "k0"), ("b", "k1")];
        let wanted = wanted.map(|(id, key)| (id.to_owned(), key.to_owned()));
        assert_eq!(listed(&answer), BTreeMap::from(wanted));
    }
}
