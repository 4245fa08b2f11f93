//! The operator's questions, which are not signed: `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use sightline_api::{Body, full};
use sightline_config::Secret;
use subtle::ConstantTimeEq as _;

use crate::health::Health;
use crate::metrics::{Metrics, Sources};
use crate::peer::Peer;
use crate::route::header;

/// Answers the operator's questions.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sources: Sources,
    /// What a caller from elsewhere must show to read the metrics.
    pub(crate) metrics_token: Option<Secret>,
}

impl Probes {
    /// The answer, if this is one of the operator's questions.
    pub(crate) async fn answer(&self, parts: &Parts, peer: &Peer) -> Option<Response<Body>> {
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        let signed = parts
            .headers
            .get("authorization")
            .is_some_and(|value| value.as_bytes().starts_with(b"AWS"));
        if !reads || signed || parts.uri.query().is_some() {
            return None;
        }
        match parts.uri.path() {
            "/healthz" => Some(text(StatusCode::OK, "ok\n".to_owned())),
            "/readyz" => Some(self.readiness().await),
            "/metrics" if self.may_read(parts, peer) => {
                let ready = self.health.findings().await.parts();
                let standing = self.sources.ask().await;
                Some(text(StatusCode::OK, self.metrics.page(&ready, &standing)))
            }
            "/metrics" => Some(text(
                StatusCode::FORBIDDEN,
                "metrics are for this host, or for who shows server.metrics_token\n".to_owned(),
            )),
            _ => None,
        }
    }

    async fn readiness(&self) -> Response<Body> {
        let findings = self.health.findings().await;
        let status = if findings.are_good() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let mut response = text(status, format!("{:#}\n", findings.json()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn may_read(&self, parts: &Parts, peer: &Peer) -> bool {
        let Some(token) = &self.metrics_token else {
            return peer.is_local();
        };
        let shown = header(parts, "authorization").and_then(|text| text.strip_prefix("Bearer "));
        shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.reveal().as_bytes()).into())
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
