//! The protocols: HTTP requests to documents, documents to HTTP answers.

mod json;
mod query;
mod rest;
mod scalar;
mod xml;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Map, Value};
use sightline_types::RequestId;

pub use query::decode_form;
pub use rest::path_labels;

use crate::error::{DecodeError, EncodeError};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::schema::{Operation, Protocol, Service};

/// A request as the protocols read it.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it was sent, percent-encoded.
    pub path: &'a str,
    /// The query as it was sent, without the question mark.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body; empty for operations whose body is a stream.
    pub body: &'a [u8],
}

/// A failure as the caller shall see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorAnswer {
    /// The error code, such as `ValidationException`.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// Further members of the error's body, such as S3's `Key`.
    pub details: Map<String, Value>,
}

/// Reads the input of `operation` from a request.
///
/// The document has every value in its canonical form and of the type that the model says;
/// members that the model lacks are left out. Constraints are [`crate::validate`]'s work.
pub fn decode_request(
    protocol: Protocol,
    operation: &Operation,
    request: &RequestParts<'_>,
) -> Result<Value, DecodeError> {
    if DOCUMENT_BYTES_MAX < request.body.len() {
        return Err(DecodeError::TooLarge {
            max: DOCUMENT_BYTES_MAX,
        });
    }
    match protocol {
        Protocol::Json10 | Protocol::Json11 => json::decode_body(operation.input, request.body),
        Protocol::Query => query::decode(operation.input, request.body),
        Protocol::RestJson | Protocol::RestXml => rest::decode(protocol, operation, request),
    }
}

/// Writes the answer of `operation`; a payload that streams replaces the empty body afterwards.
pub fn encode_response(
    protocol: Protocol,
    operation: &Operation,
    document: &Value,
    request_id: &RequestId,
) -> Result<Response<Bytes>, EncodeError> {
    let mut response = match protocol {
        Protocol::Json10 | Protocol::Json11 => json::encode_response(operation, document)?,
        Protocol::Query => query::encode_response(operation, document, request_id)?,
        Protocol::RestJson | Protocol::RestXml => {
            rest::encode_response(protocol, operation, document)?
        }
    };
    finish(protocol, &mut response, request_id)?;
    Ok(response)
}

/// Writes a failure in the protocol's error envelope.
///
/// `service` is `None` when the request did not get as far as a service.
pub fn encode_error(
    protocol: Protocol,
    service: Option<&Service>,
    error: &ErrorAnswer,
    request_id: &RequestId,
) -> Result<Response<Bytes>, EncodeError> {
    let body = match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => json::error_body(error),
        Protocol::Query => query::error_body(service, error, request_id),
        Protocol::RestXml => rest::xml_error_body(error, request_id),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = error.status;
    if protocol == Protocol::RestJson {
        let code = HeaderValue::from_str(&error.code)
            .map_err(|_| EncodeError::Header("x-amzn-errortype".to_owned()))?;
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    finish(protocol, &mut response, request_id)?;
    Ok(response)
}

/// A document of elements that hold texts, for answers that no model describes.
#[must_use]
pub fn text_document(root: &str, elements: &[(&str, &str)]) -> Bytes {
    let mut writer = xml::Writer::document();
    writer.open(root, "");
    for (name, text) in elements {
        writer.text_element(name, text);
    }
    writer.close(root);
    writer.into_bytes().into()
}

/// Adds the request's identifier and, to a body without one, the protocol's media type.
fn finish(
    protocol: Protocol,
    response: &mut Response<Bytes>,
    request_id: &RequestId,
) -> Result<(), EncodeError> {
    let (id_header, media_type) = match protocol {
        Protocol::Json10 => ("x-amzn-requestid", "application/x-amz-json-1.0"),
        Protocol::Json11 => ("x-amzn-requestid", "application/x-amz-json-1.1"),
        Protocol::Query => ("x-amzn-requestid", "text/xml"),
        Protocol::RestJson => ("x-amzn-requestid", "application/json"),
        Protocol::RestXml => ("x-amz-request-id", "application/xml"),
    };
    let id = HeaderValue::from_str(request_id.as_str())
        .map_err(|_| EncodeError::Header(id_header.to_owned()))?;
    let has_body = !response.body().is_empty();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(id_header), id);
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    Ok(())
}
