//! Preflights: what a browser asks, unsigned, before it lets a page of another site send a request.
//!
//! No bucket here can be configured for such pages, so the answer is S3's for a bucket that is not.
//! It is the same whether the bucket exists, and tells nobody that.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};
use sightline_api::Fault;

/// The refusal of a preflight; `None` if the request is none.
pub(crate) fn refused(parts: &Parts) -> Option<Fault> {
    if parts.method != Method::OPTIONS {
        return None;
    }
    let bad = |text: &str| Fault::new("BadRequest", StatusCode::BAD_REQUEST, text);
    if !parts.headers.contains_key(ORIGIN) {
        return Some(bad(
            "Insufficient information. Origin request header needed.",
        ));
    }
    let Some(method) = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD) else {
        return Some(bad("Invalid Access-Control-Request-Method: null"));
    };
    let text = "CORSResponse: CORS is not enabled for this bucket.";
    let fault = Fault::new("AccessForbidden", StatusCode::FORBIDDEN, text);
    let kind = match parts.uri.path().trim_start_matches('/').split_once('/') {
        Some((_, key)) if !key.is_empty() => "OBJECT",
        Some(_) | None => "BUCKET",
    };
    let method = method.to_str().unwrap_or_default();
    Some(fault.with("Method", method).with("ResourceType", kind))
}
