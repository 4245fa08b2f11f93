//! What a client may ask for at most, in the units that the listener and the front door use.

use std::time::Duration;

use sightline_config::Settings;

/// The limits of connections and requests.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub(crate) connections: usize,
    /// Bytes of a request's head.
    pub(crate) head_bytes: usize,
    /// How long a client may take to send a request's head.
    pub(crate) head_time: Duration,
    /// How long a body may pause before the request is given up.
    pub(crate) body_pause: Duration,
    /// How long a body that is read whole may take.
    pub(crate) document_time: Duration,
    /// How long requests under way may take when the server is asked to end.
    pub(crate) drain_time: Duration,
}

impl Limits {
    /// The limits that the configuration sets.
    pub(crate) fn of(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            connections: count(limits.connections_max),
            head_bytes: count(limits.head_bytes_max),
            head_time: Duration::from_millis(limits.head_timeout_ms),
            body_pause: Duration::from_millis(limits.body_pause_max_ms),
            document_time: Duration::from_millis(limits.document_timeout_ms),
            drain_time: Duration::from_millis(settings.server.drain_timeout_ms),
        }
    }
}

/// A number of things that fit into memory.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
