//! The names of all metrics, with what each counts. `docs/operating.md` lists them.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'static str,
}

const fn metric(name: &'static str, kind: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind }
}

pub(crate) const REQUESTS: Metric = metric(
    "sightline_requests_total",
    "counter",
    "Requests answered, by service, operation and status.",
);
pub(crate) const LATENCY: Metric = metric(
    "sightline_request_duration_seconds",
    "histogram",
    "From a request's head to the last byte of its answer, by service.",
);
pub(crate) const IN_FLIGHT: Metric = metric(
    "sightline_requests_in_flight",
    "gauge",
    "Requests under way.",
);
pub(crate) const BYTES: Metric = metric(
    "sightline_body_bytes_total",
    "counter",
    "Bytes of bodies, by direction.",
);
pub(crate) const CONNECTIONS: Metric = metric(
    "sightline_connections",
    "gauge",
    "Connections that are open.",
);
pub(crate) const CONNECTIONS_REFUSED: Metric = metric(
    "sightline_connections_refused_total",
    "counter",
    "Connections that found no place.",
);
pub(crate) const HANDSHAKES_FAILED: Metric = metric(
    "sightline_tls_handshakes_failed_total",
    "counter",
    "Connections that ended before a first request because they did not agree on TLS.",
);
pub(crate) const THROTTLED: Metric = metric(
    "sightline_requests_throttled_total",
    "counter",
    "Requests that were not let in, by reason.",
);
pub(crate) const SIGNATURES_REFUSED: Metric = metric(
    "sightline_signatures_refused_total",
    "counter",
    "Requests whose signature did not hold, by reason.",
);
pub(crate) const READY: Metric = metric(
    "sightline_ready",
    "gauge",
    "Whether each part of the server is ready, as /readyz says.",
);
pub(crate) const WRITER_WAITING: Metric = metric(
    "sightline_writer_waiting",
    "gauge",
    "Changes and events that wait for the metadata store's writer.",
);
pub(crate) const WRITER_COMMITS: Metric = metric(
    "sightline_writer_commits_total",
    "counter",
    "Commits of the metadata store's writer.",
);
pub(crate) const WRITER_CHANGES: Metric = metric(
    "sightline_writer_changes_total",
    "counter",
    "Changes and events that those commits made durable together.",
);
pub(crate) const WRITER_REFUSED: Metric = metric(
    "sightline_writer_refused_total",
    "counter",
    "Changes and events whose commit failed.",
);
pub(crate) const BLOBS_WRITTEN: Metric = metric(
    "sightline_blobs_written_total",
    "counter",
    "Blobs written, of objects and of parts of uploads.",
);
pub(crate) const BLOB_BYTES: Metric = metric(
    "sightline_blob_bytes_written_total",
    "counter",
    "Bytes of the blobs written.",
);
pub(crate) const BLOBS_REMOVED: Metric =
    metric("sightline_blobs_removed_total", "counter", "Blobs removed.");
pub(crate) const FREE: Metric = metric(
    "sightline_disk_free_bytes",
    "gauge",
    "Free space where data and objects lie, by directory.",
);
pub(crate) const JOBS: Metric = metric(
    "sightline_jobs",
    "gauge",
    "Jobs that have not ended, by phase; queued ones wait for room.",
);
pub(crate) const EVENTS: Metric = metric(
    "sightline_events_recorded_total",
    "counter",
    "Events in the record of activity: the number of the last.",
);
pub(crate) const DELIVERED: Metric = metric(
    "sightline_events_delivered_total",
    "counter",
    "Events of them that are in the trail's bucket.",
);
pub(crate) const RESIDENT: Metric = metric(
    "process_resident_memory_bytes",
    "gauge",
    "Memory of the server's process.",
);
pub(crate) const OPEN_FILES: Metric = metric(
    "process_open_fds",
    "gauge",
    "Open files of the server's process.",
);
pub(crate) const STARTED: Metric = metric(
    "process_start_time_seconds",
    "gauge",
    "When the server started.",
);

/// All of them, for the check of the documentation.
#[cfg(test)]
pub(crate) const ALL: &[Metric] = &[
    REQUESTS,
    LATENCY,
    IN_FLIGHT,
    BYTES,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    HANDSHAKES_FAILED,
    THROTTLED,
    SIGNATURES_REFUSED,
    READY,
    WRITER_WAITING,
    WRITER_COMMITS,
    WRITER_CHANGES,
    WRITER_REFUSED,
    BLOBS_WRITTEN,
    BLOB_BYTES,
    BLOBS_REMOVED,
    FREE,
    JOBS,
    EVENTS,
    DELIVERED,
    RESIDENT,
    OPEN_FILES,
    STARTED,
];
