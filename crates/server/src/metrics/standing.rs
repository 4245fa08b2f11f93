//! How things stand at this moment, asked of the engines when the metrics are read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sightline_audit::{Audit, Progress};
use sightline_jobs::Jobs;
use sightline_meta::{Meta, WriterLoad};
use tokio::time::timeout;

use super::{Page, names};
use crate::backup::{BlobCounts, HeldBlobs};

/// How long an engine may take to say how things stand; what is not said in time is left out.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Whom to ask.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) meta: Meta,
    pub(crate) audit: Audit,
    pub(crate) jobs: Jobs,
    pub(crate) blobs: Arc<HeldBlobs>,
    /// Directories whose file systems may fill up.
    pub(crate) directories: Vec<PathBuf>,
}

/// How things stand.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) writer: WriterLoad,
    pub(crate) blobs: BlobCounts,
    pub(crate) free_bytes: Vec<(String, u64)>,
    /// Jobs that have not ended, by phase. `None` if the store does not answer.
    pub(crate) jobs: Option<Vec<(&'static str, u64)>>,
    /// `None` if the store does not answer.
    pub(crate) events: Option<Progress>,
}

impl Sources {
    pub(crate) async fn ask(&self) -> Standing {
        let (jobs, events) = tokio::join!(
            timeout(ANSWER_TIME_MAX, self.jobs.unfinished_by_phase()),
            timeout(ANSWER_TIME_MAX, self.audit.progress())
        );
        Standing {
            writer: self.meta.load(),
            blobs: self.blobs.counts(),
            free_bytes: self.free_bytes().await,
            jobs: jobs.ok().and_then(Result::ok),
            events: events.ok().and_then(Result::ok),
        }
    }

    async fn free_bytes(&self) -> Vec<(String, u64)> {
        let directories = self.directories.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let free = |directory: PathBuf| {
                let system = rustix::fs::statvfs(&directory).ok()?;
                let bytes = system.f_bavail.saturating_mul(system.f_frsize);
                Some((directory.to_string_lossy().into_owned(), bytes))
            };
            directories.into_iter().filter_map(free).collect()
        });
        asked.await.unwrap_or_default()
    }
}

impl Standing {
    pub(super) fn write(&self, page: &mut Page) {
        let WriterLoad {
            waiting,
            commits,
            committed,
            refused,
        } = self.writer;
        page.one(names::WRITER_WAITING, waiting);
        page.one(names::WRITER_COMMITS, commits);
        page.one(names::WRITER_CHANGES, committed);
        page.one(names::WRITER_REFUSED, refused);
        let BlobCounts {
            written,
            bytes_written,
            removed,
        } = self.blobs;
        page.one(names::BLOBS_WRITTEN, written);
        page.one(names::BLOB_BYTES, bytes_written);
        page.one(names::BLOBS_REMOVED, removed);
        page.head(names::FREE);
        for (directory, bytes) in &self.free_bytes {
            let directory = escaped(directory);
            let labels = format!("{{directory=\"{directory}\"}}");
            page.line(names::FREE.name, &labels, bytes);
        }
        page.head(names::JOBS);
        for (phase, count) in self.jobs.iter().flatten() {
            page.line(names::JOBS.name, &format!("{{phase=\"{phase}\"}}"), count);
        }
        for (metric, value) in [
            (names::EVENTS, self.events.map(|events| events.recorded)),
            (names::DELIVERED, self.events.map(|events| events.delivered)),
        ] {
            page.head(metric);
            if let Some(value) = value {
                page.line(metric.name, "", value);
            }
        }
    }
}

/// A label's value: the only one that is not from a table of ours is a configured directory.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_left_out() {
        let mut page = Page::default();
        let standing = Standing {
            free_bytes: vec![("/a\"b".to_owned(), 7)],
            jobs: Some(vec![("queued", 2)]),
            ..Standing::default()
        };
        standing.write(&mut page);
        let page = page.0;
        for line in [
            "sightline_writer_waiting 0\n",
            "sightline_disk_free_bytes{directory=\"/a\\\"b\"} 7\n",
            "sightline_jobs{phase=\"queued\"} 2\n",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        assert!(!page.contains("\nsightline_events_recorded_total "));
    }
}
