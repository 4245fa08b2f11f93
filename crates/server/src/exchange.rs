//! One request and its answer as a whole: what is counted and logged when its last byte is sent.

use std::sync::Arc;

use sightline_types::RequestId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::gate::Place;
use crate::metrics::{Labels, Metrics};
use crate::patience::Hears;

/// What is known of a request so far. Dropped with the last byte of the answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    metrics: Arc<Metrics>,
    began: Instant,
    id: RequestId,
    source: Arc<str>,
    service: &'static str,
    operation: &'static str,
    principal: Option<String>,
    status: u16,
    bytes: u64,
    /// Held until the answer is sent: the request counts as under way as long.
    _slot: OwnedSemaphorePermit,
    place: Option<Place>,
}

impl Exchange {
    pub(crate) fn begin(
        metrics: &Arc<Metrics>,
        id: RequestId,
        source: &Arc<str>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        metrics.request_began();
        Self {
            metrics: Arc::clone(metrics),
            began: Instant::now(),
            id,
            source: Arc::clone(source),
            service: "unknown",
            operation: "unknown",
            principal: None,
            status: 0,
            bytes: 0,
            _slot: slot,
            place: None,
        }
    }

    /// What is asked for, in the tables' words.
    pub(crate) fn asks_for(&mut self, service: &'static str, operation: &'static str) {
        (self.service, self.operation) = (service, operation);
    }

    /// Whose signature holds, and the place that was found for it.
    pub(crate) fn is_of(&mut self, principal: &str, place: Place) {
        self.principal = Some(principal.to_owned());
        self.place = Some(place);
    }

    pub(crate) fn answered(&mut self, status: http::StatusCode) {
        self.status = status.as_u16();
    }
}

impl Hears for Exchange {
    fn sent(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.metrics.bytes_sent(bytes);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let Self {
            service,
            operation,
            status,
            ..
        } = *self;
        self.metrics.request_ended(
            Labels {
                service,
                operation,
                status,
            },
            took,
        );
        tracing::debug!(
            target: "sightline::requests",
            id = self.id.as_str(),
            source = &*self.source,
            principal = self.principal.as_deref().unwrap_or("-"),
            service,
            operation,
            status,
            bytes = self.bytes,
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
    }
}
