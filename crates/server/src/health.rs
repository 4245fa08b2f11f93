//! Whether the server can do its work: what `/readyz` answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sightline_meta::{Meta, MetaError, settings};
use sightline_ports::{BlobId, BlobStore, Clock, Launcher};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// How long one check may take before its part counts as not ready.
const CHECK_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an answer is repeated. Probes are not signed, so they must not make work at will.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(1);

/// The blob that is written and removed to see whether blobs can be.
const PROBE_BLOB_DIGITS: usize = 32;

/// What is asked, of what.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) meta: Meta,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Directories on whose file systems there must be space.
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) free_bytes_min: u64,
    pub(crate) ending: watch::Sender<bool>,
    pub(crate) last: Mutex<Option<(Instant, Arc<Findings>)>>,
}

/// What was found of each part.
#[derive(Debug)]
pub(crate) struct Findings {
    parts: Vec<Finding>,
}

#[derive(Debug)]
struct Finding {
    part: &'static str,
    /// Why the part is not ready, if it is not.
    fault: Option<String>,
    /// Whether the server can do without.
    optional: bool,
}

impl Findings {
    pub(crate) fn are_good(&self) -> bool {
        self.parts
            .iter()
            .all(|finding| finding.optional || finding.fault.is_none())
    }

    /// Each part, and whether it is ready.
    pub(crate) fn parts(&self) -> Vec<(&'static str, bool)> {
        let ready = |finding: &Finding| (finding.part, finding.fault.is_none());
        self.parts.iter().map(ready).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let parts = self.parts.iter().map(|finding| match &finding.fault {
            None => json!({ "part": finding.part, "ready": true }),
            Some(reason) => json!({
                "part": finding.part,
                "ready": false,
                "needed": !finding.optional,
                "reason": reason,
            }),
        });
        json!({ "ready": self.are_good(), "parts": parts.collect::<Vec<_>>() })
    }
}

impl Health {
    /// Says from here on that the server is about to end.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Returns once the server is about to end.
    pub(crate) async fn ends(&self) {
        // The sender lives as long as this does.
        let _: Result<_, watch::error::RecvError> =
            self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// What is found, at most a second old.
    pub(crate) async fn findings(&self) -> Arc<Findings> {
        let ending = *self.ending.borrow();
        let mut last = self.last.lock().await;
        if let Some((at, findings)) = last.as_ref()
            && at.elapsed() < ANSWER_AGE_MAX
            && !ending
        {
            return Arc::clone(findings);
        }
        let findings = Arc::new(self.check(ending).await);
        *last = Some((Instant::now(), Arc::clone(&findings)));
        findings
    }

    async fn check(&self, ending: bool) -> Findings {
        let (metadata, objects) = tokio::join!(
            within("a write", self.check_metadata()),
            within("a write", self.check_objects())
        );
        let ending = ending.then(|| "the server is about to end".to_owned());
        let needed = |part, fault| Finding {
            part,
            fault,
            optional: false,
        };
        Findings {
            parts: vec![
                needed("server", ending),
                needed("metadata", metadata),
                needed("objects", objects),
                needed("disk", self.check_disk().await),
                Finding {
                    part: "jobs",
                    fault: self.check_jobs(),
                    optional: true,
                },
            ],
        }
    }

    /// A row is written, as any change would be.
    async fn check_metadata(&self) -> Option<String> {
        let now = self.clock.now().iso8601();
        let written: Result<(), MetaError> = self
            .meta
            .write(move |tx| settings::put(tx, "last_readiness_check", &now))
            .await;
        written.err().map(|error| error.to_string())
    }

    /// A blob is stored and removed, as any object would be.
    async fn check_objects(&self) -> Option<String> {
        let digits = uuid_digits();
        let Some(id) = BlobId::parse(&digits) else {
            return Some("no name could be drawn".to_owned());
        };
        let bytes = futures_util::stream::once(async { Ok(Bytes::from_static(b"ready?")) });
        let stored = self.blobs.put(&id, Box::pin(bytes)).await;
        let removed = self.blobs.delete(&id).await;
        let error = stored.err().or(removed.err())?;
        Some(chain(&error))
    }

    async fn check_disk(&self) -> Option<String> {
        let (directories, least) = (self.directories.clone(), self.free_bytes_min);
        let checked = tokio::task::spawn_blocking(move || {
            directories.iter().find_map(|directory| {
                let shown = directory.display();
                match rustix::fs::statvfs(directory) {
                    Ok(system) => {
                        let free = system.f_bavail.saturating_mul(system.f_frsize);
                        (free < least).then(|| {
                            format!("{shown} has {free} bytes free; at least {least} are demanded")
                        })
                    }
                    Err(error) => Some(format!("{shown}: {error}")),
                }
            })
        });
        checked
            .await
            .unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Without isolation jobs are refused, and everything else goes on.
    fn check_jobs(&self) -> Option<String> {
        let told = self.launcher.isolation();
        told.into_iter()
            .find(|sentence| sentence.starts_with("isolation: none"))
    }
}

async fn within(what: &str, check: impl Future<Output = Option<String>>) -> Option<String> {
    match timeout(CHECK_TIME_MAX, check).await {
        Ok(found) => found,
        Err(_) => Some(format!("{what} took more than {CHECK_TIME_MAX:?}")),
    }
}

fn uuid_digits() -> String {
    let id = sightline_types::RequestId::random();
    let digits: String = id.as_str().chars().filter(|c| *c != '-').collect();
    digits.chars().take(PROBE_BLOB_DIGITS).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
