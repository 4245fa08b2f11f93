//! What the server counts, and how it tells it to Prometheus.
//!
//! Labels come from tables (services, operations, statuses, reasons), never from a request's own
//! words, so the number of series is bounded.

pub(crate) mod names;
mod standing;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sightline_types::Timestamp;

use names::Metric;
pub(crate) use standing::{Sources, Standing};

/// The upper bounds of the latency histogram's buckets, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// What a request turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
}

/// Latencies of one service.
#[derive(Clone, Debug, Default)]
struct Latencies {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    started_at: Timestamp,
    requests: Mutex<BTreeMap<Labels, u64>>,
    latencies: Mutex<BTreeMap<&'static str, Latencies>>,
    in_flight: AtomicI64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicI64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
    throttled: Mutex<BTreeMap<&'static str, u64>>,
    signatures: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            requests: Mutex::default(),
            latencies: Mutex::default(),
            in_flight: AtomicI64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            connections_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            throttled: Mutex::default(),
            signatures: Mutex::default(),
        }
    }

    pub(crate) fn request_began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ended(&self, labels: Labels, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        add(&self.requests, labels);
        let mut latencies = lock(&self.latencies);
        let latency = latencies.entry(labels.service).or_default();
        let seconds = took.as_secs_f64();
        latency.count = latency.count.saturating_add(1);
        latency.seconds += seconds;
        for (bound, bucket) in BUCKETS.iter().zip(&mut latency.buckets) {
            if seconds <= *bound {
                *bucket = bucket.saturating_add(1);
            }
        }
    }

    pub(crate) fn bytes_received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes_sent(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttled(&self, reason: &'static str) {
        add(&self.throttled, reason);
    }

    pub(crate) fn signature_refused(&self, reason: &'static str) {
        add(&self.signatures, reason);
    }

    /// Everything in Prometheus' text form; `ready` says which parts of the server are.
    pub(crate) fn page(&self, ready: &[(&'static str, bool)], standing: &Standing) -> String {
        let mut page = Page::default();
        let requests = lock(&self.requests);
        page.head(names::REQUESTS);
        for (labels, count) in requests.iter() {
            let Labels {
                service,
                operation,
                status,
            } = labels;
            let labels =
                format!("{{service=\"{service}\",operation=\"{operation}\",status=\"{status}\"}}");
            page.line(names::REQUESTS.name, &labels, count);
        }
        drop(requests);
        self.latency(&mut page);
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        page.head(names::BYTES);
        page.line(
            names::BYTES.name,
            "{direction=\"in\"}",
            load(&self.bytes_in),
        );
        page.line(
            names::BYTES.name,
            "{direction=\"out\"}",
            load(&self.bytes_out),
        );
        page.one(names::IN_FLIGHT, self.in_flight.load(Ordering::Relaxed));
        page.one(names::CONNECTIONS, self.connections.load(Ordering::Relaxed));
        page.one(names::CONNECTIONS_REFUSED, load(&self.connections_refused));
        page.one(names::HANDSHAKES_FAILED, load(&self.handshakes_failed));
        page.by_reason(names::THROTTLED, &lock(&self.throttled));
        page.by_reason(names::SIGNATURES_REFUSED, &lock(&self.signatures));
        page.head(names::READY);
        for (part, ready) in ready {
            let labels = format!("{{part=\"{part}\"}}");
            page.line(names::READY.name, &labels, u8::from(*ready));
        }
        standing.write(&mut page);
        if let Some(process) = Process::read() {
            page.one(names::RESIDENT, process.resident_bytes);
            page.one(names::OPEN_FILES, process.open_files);
        }
        page.one(names::STARTED, self.started_at.millis() / 1_000);
        page.0
    }

    fn latency(&self, page: &mut Page) {
        page.head(names::LATENCY);
        let name = names::LATENCY.name;
        for (service, latency) in lock(&self.latencies).iter() {
            for (bound, count) in BUCKETS.iter().zip(latency.buckets) {
                let labels = format!("{{service=\"{service}\",le=\"{bound}\"}}");
                page.line(&format!("{name}_bucket"), &labels, count);
            }
            let labels = format!("{{service=\"{service}\",le=\"+Inf\"}}");
            page.line(&format!("{name}_bucket"), &labels, latency.count);
            let labels = format!("{{service=\"{service}\"}}");
            page.line(&format!("{name}_sum"), &labels, latency.seconds);
            page.line(&format!("{name}_count"), &labels, latency.count);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add<K: Ord>(counts: &Mutex<BTreeMap<K, u64>>, key: K) {
    let mut counts = lock(counts);
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// A page in Prometheus' text form.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, metric: Metric) {
        let Metric { name, help, kind } = metric;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.write(format_args!("{name}{labels} {value}\n"));
    }

    fn one(&mut self, metric: Metric, value: impl std::fmt::Display) {
        self.head(metric);
        self.line(metric.name, "", value);
    }

    fn by_reason(&mut self, metric: Metric, counts: &BTreeMap<&'static str, u64>) {
        self.head(metric);
        for (reason, count) in counts {
            self.line(metric.name, &format!("{{reason=\"{reason}\"}}"), count);
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _: std::fmt::Result = self.0.write_fmt(text);
    }
}

/// What the system says of this process.
struct Process {
    resident_bytes: u64,
    open_files: usize,
}

impl Process {
    /// `None` where `/proc` is not mounted.
    fn read() -> Option<Self> {
        let memory = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = memory.split_whitespace().nth(1)?.parse().ok()?;
        let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
        Some(Self {
            resident_bytes: pages.saturating_mul(page_bytes),
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric_and_the_counts() {
        let metrics = Metrics::new(Timestamp::from_millis(1_700_000_000_123));
        let labels = Labels {
            service: "s3",
            operation: "GetObject",
            status: 200,
        };
        for millis in [1, 40, 4_000] {
            metrics.request_began();
            metrics.request_ended(labels, Duration::from_millis(millis));
        }
        metrics.throttled("rate");
        metrics.signature_refused("expired");
        let page = metrics.page(
            &[("metadata", true), ("objects", false)],
            &Standing::default(),
        );
        for metric in names::ALL {
            let head = format!("# TYPE {} {}\n", metric.name, metric.kind);
            assert!(page.contains(&head), "{}", metric.name);
        }
        for line in [
            "sightline_requests_total{service=\"s3\",operation=\"GetObject\",status=\"200\"} 3\n",
            "sightline_request_duration_seconds_bucket{service=\"s3\",le=\"0.001\"} 1\n",
            "sightline_request_duration_seconds_bucket{service=\"s3\",le=\"0.05\"} 2\n",
            "sightline_request_duration_seconds_bucket{service=\"s3\",le=\"+Inf\"} 3\n",
            "sightline_requests_in_flight 0\n",
            "sightline_requests_throttled_total{reason=\"rate\"} 1\n",
            "sightline_signatures_refused_total{reason=\"expired\"} 1\n",
            "sightline_ready{part=\"objects\"} 0\n",
            "process_start_time_seconds 1700000000\n",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
