//! What a job's instances print: into log streams, and through the metric definitions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use sightline_identity::Permit;
use sightline_ports::{HostName, InstanceLog};
use sightline_telemetry::{LogLine, LogWriter, Telemetry};
use sightline_types::Timestamp;
use tokio::sync::RwLock;

use crate::metrics::{MetricPoint, Scanner};
use crate::{Error, JobSpec};

/// Metric values that are kept for one job; further ones are not.
const METRIC_POINTS_MAX: usize = 100_000;

/// What the platform itself says in a job's log begins with this and is searched for no metric.
const OWN_PREFIX: &str = "[sightline] ";

/// The log of one job's instances.
#[derive(Debug)]
pub(crate) struct JobLog {
    writers: RwLock<HashMap<HostName, LogWriter>>,
    scanner: Scanner,
    points: Mutex<Vec<MetricPoint>>,
}

impl JobLog {
    /// Opens a stream for each instance: `{job}/algo-{n}-{epoch seconds}`.
    pub(crate) async fn open(
        telemetry: &Telemetry,
        permit: &Permit,
        spec: &JobSpec,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut writers = HashMap::new();
        for number in 1..=spec.instances {
            let host = HostName::numbered(number);
            let stream = format!("{}/{host}-{}", spec.name, now.millis() / 1000);
            let writer = telemetry
                .writer(permit, spec.kind.log_group(), &stream)
                .await?;
            writers.insert(host, writer);
        }
        let scanner =
            Scanner::new(&spec.metrics).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(Self {
            writers: RwLock::new(writers),
            scanner,
            points: Mutex::default(),
        })
    }

    /// Says something of the platform's own in every instance's stream.
    pub(crate) async fn say(&self, at: Timestamp, text: &str) {
        for writer in self.writers.read().await.values() {
            writer
                .line(LogLine {
                    at,
                    text: format!("{OWN_PREFIX}{text}"),
                })
                .await;
        }
    }

    /// The metric values found since this was last asked.
    pub(crate) fn take_points(&self) -> Vec<MetricPoint> {
        std::mem::take(&mut self.points.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns once every line is stored.
    pub(crate) async fn close(&self) {
        for (_, writer) in self.writers.write().await.drain() {
            writer.close().await;
        }
    }
}

#[async_trait]
impl InstanceLog for JobLog {
    async fn line(&self, host: &HostName, at: Timestamp, text: String) {
        if !text.starts_with(OWN_PREFIX) {
            let found = self.scanner.scan(&text, at);
            let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
            let room = METRIC_POINTS_MAX.saturating_sub(points.len());
            points.extend(found.into_iter().take(room));
        }
        if let Some(writer) = self.writers.read().await.get(host) {
            writer.line(LogLine { at, text }).await;
        }
    }
}
