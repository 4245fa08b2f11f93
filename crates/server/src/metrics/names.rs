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
    RESIDENT,
    OPEN_FILES,
    STARTED,
];
