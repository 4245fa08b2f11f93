//! What a client may ask for at most, in the units that the listener and the front door use.

use std::time::Duration;

use sightline_config::Settings;

/// The limits of connections and requests.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Connections at once from one address.
    pub(crate) peer_connections: usize,
    /// Bytes of a request's head.
    pub(crate) head_bytes: usize,
    /// Headers of a request.
    pub(crate) headers: usize,
    /// Bytes of a request's path and query.
    pub(crate) uri_bytes: usize,
    /// How long a client may take to send a request's head.
    pub(crate) head_time: Duration,
    /// How long a connection may wait for its next request.
    pub(crate) idle_time: Duration,
    /// How long a body may pause before the request is given up.
    pub(crate) body_pause: Duration,
    /// Bytes per second that a body must bring on the whole; 0 for any.
    pub(crate) body_bytes_per_second: u64,
    /// How long a body that is read whole may take.
    pub(crate) document_time: Duration,
    /// How long a client may take nothing of an answer.
    pub(crate) write_time: Duration,
    /// How long the bodies of a request and of its answer may take.
    pub(crate) request_time: Duration,
    /// Requests at once.
    pub(crate) requests: usize,
    /// Requests at once of one principal.
    pub(crate) principal_requests: usize,
    /// Requests per second of one principal; 0 for any number.
    pub(crate) principal_per_second: u64,
    /// Requests that a principal may make at once after a pause.
    pub(crate) principal_burst: u64,
    /// How long requests under way may take when the server is asked to end.
    pub(crate) drain_time: Duration,
}

impl Limits {
    /// The limits that the configuration sets.
    pub(crate) fn of(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            connections: count(limits.connections_max),
            peer_connections: count(limits.peer_connections_max),
            head_bytes: count(limits.head_bytes_max),
            headers: count(limits.headers_max),
            uri_bytes: count(limits.uri_bytes_max),
            head_time: Duration::from_millis(limits.head_timeout_ms),
            idle_time: Duration::from_millis(limits.idle_timeout_ms),
            body_pause: Duration::from_millis(limits.body_pause_max_ms),
            body_bytes_per_second: limits.body_bytes_per_second,
            document_time: Duration::from_millis(limits.document_timeout_ms),
            write_time: Duration::from_millis(limits.write_timeout_ms),
            request_time: Duration::from_millis(limits.request_timeout_ms),
            requests: count(limits.requests_max),
            principal_requests: count(limits.principal_requests_max),
            principal_per_second: limits.principal_requests_per_second,
            principal_burst: limits.principal_burst_max,
            drain_time: Duration::from_millis(settings.server.drain_timeout_ms),
        }
    }
}

/// A number of things that fit into memory.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
