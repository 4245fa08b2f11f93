//! What the campaign knows: everything that was asked, and what was acknowledged of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::history::{History, Moment, Version};
use super::keys::Keys;
use super::object;
use super::things::Thing;
use super::versions::Versions;
use crate::{Answer, Ask, Client};

/// An upload that was begun and acknowledged, and neither completed nor aborted for certain.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) version: Version,
    /// Parts that were acknowledged.
    pub(crate) parts: usize,
    /// Whether its end was asked for, so that it may be gone.
    pub(crate) may_be_gone: bool,
}

/// A call that was answered: it must be on record.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) what: String,
}

/// All of it. Threads share it; each takes the lock for a moment only.
#[derive(Debug, Default)]
pub(crate) struct Model {
    moment: AtomicU64,
    number: AtomicU64,
    names: Mutex<BTreeMap<String, History>>,
    uploads: Mutex<Vec<Upload>>,
    jobs: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<String>>,
    /// Access keys and their secrets.
    pub(crate) keys: Keys,
    /// Versions of objects that have been overwritten.
    pub(crate) versions: Versions,
}

/// How a write ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Acknowledged(Answer),
    Refused(Answer),
    /// The server is gone, or said that it cannot tell.
    Unknown,
}

impl Model {
    pub(crate) fn moment(&self) -> Moment {
        self.moment.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A number that nothing else of the campaign has.
    pub(crate) fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Sends a request that reads; its answer must be on record. `None` when the server is gone.
    pub(crate) fn call(&self, client: &mut Client, what: &str, ask: &Ask) -> Option<Answer> {
        let answer = client.send(ask).ok()?;
        lock(&self.calls).push(Call {
            request_id: answer.request_id().to_owned(),
            what: format!("{what} {}", answer.status),
        });
        Some(answer)
    }

    /// Sends a write of `value` to `name` and remembers how it ended.
    pub(crate) fn write(
        &self,
        client: &mut Client,
        what: &str,
        (name, value): (&str, Option<Version>),
        ask: &Ask,
    ) -> Ended {
        let begun = self.moment();
        self.change(name, |history| history.begin(begun, value));
        let Some(answer) = self.call(client, what, ask) else {
            return Ended::Unknown;
        };
        if answer.is_success() && answer.code().is_empty() {
            let at = self.moment();
            self.change(name, |history| history.acknowledge(begun, at));
            return Ended::Acknowledged(answer);
        }
        // Only a refusal says that nothing was done.
        if (400..500).contains(&answer.status) || matches!(answer.status, 501 | 503) {
            self.change(name, |history| history.refuse(begun));
            return Ended::Refused(answer);
        }
        self.fault(format!(
            "{what} {name} was answered {}: {}",
            answer.status,
            answer.text()
        ));
        Ended::Unknown
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut History)) {
        change(lock(&self.names).entry(name.to_owned()).or_default());
    }

    pub(crate) fn names(&self) -> BTreeMap<String, History> {
        lock(&self.names).clone()
    }

    pub(crate) fn history(&self, name: &str) -> History {
        lock(&self.names).get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn settle(&self, name: &str, found: Option<Version>) {
        self.change(name, |history| *history = History::holding(found));
    }

    pub(crate) fn keep_upload(&self, upload: Upload) {
        lock(&self.uploads).push(upload);
    }

    /// Takes one of the uploads that lie about, for going on with it.
    pub(crate) fn take_upload(&self) -> Option<Upload> {
        lock(&self.uploads).pop()
    }

    pub(crate) fn take_uploads(&self) -> Vec<Upload> {
        std::mem::take(&mut lock(&self.uploads))
    }

    pub(crate) fn add_job(&self, name: &str) {
        lock(&self.jobs).insert(name.to_owned());
    }

    pub(crate) fn jobs(&self) -> BTreeSet<String> {
        lock(&self.jobs).clone()
    }

    pub(crate) fn job_ended(&self, name: &str) {
        lock(&self.jobs).remove(name);
    }

    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// Calls that were answered and have not been looked for yet.
    pub(crate) fn calls(&self) -> usize {
        lock(&self.calls).len()
    }

    /// Bytes of all that is kept: objects, and parts of uploads under way.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let size = |version: Version| -> u64 {
            let parts = object::parts(version);
            let sizes = parts.iter().map(|part| u64::try_from(part.len()));
            sizes.map(Result::unwrap_or_default).sum()
        };
        let names = lock(&self.names);
        let objects = names
            .iter()
            .filter(|(name, _)| Thing::named(name).is_none())
            .filter_map(|(_, history)| history.certain().flatten());
        let uploads = lock(&self.uploads);
        let uploads = uploads.iter().map(|upload| upload.version);
        let versions = self.versions.kept();
        objects.chain(uploads).chain(versions).map(size).sum()
    }

    /// Something that must not be.
    pub(crate) fn fault(&self, text: String) {
        lock(&self.faults).push(text);
    }

    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.faults))
    }
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
