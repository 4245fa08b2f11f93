//! Where a request's body ends, by its own words: said in one way, or refused.
//!
//! The HTTP library follows the last of several transfer codings. A proxy before this server may
//! follow the first, and would then take the rest of one request for another; so whatever is not
//! plainly `chunked` ends the connection.

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sightline_api::{Body, empty};

/// Whether another reader could find another end of this request.
pub(crate) fn is_ambiguous(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) => !coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => true,
    }
}

/// What the HTTP library, too, answers to a head that it cannot read.
pub(crate) fn refused() -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_coding_is_clear() {
        let cases: [(&[&str], bool); 6] = [
            (&[], false),
            (&["chunked"], false),
            (&["Chunked"], false),
            (&["identity", "chunked"], true),
            (&["gzip, chunked"], true),
            (&["identity"], true),
        ];
        for (codings, ambiguous) in cases {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(TRANSFER_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(is_ambiguous(&headers), ambiguous, "{codings:?}");
        }
    }
}
