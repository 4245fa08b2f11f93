//! Routing: what a request asks for, in which protocol, before any of it is believed.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use sightline_api::{Body, Fault, Operations, TooLarge, read_to_limit};
use sightline_wire::limits::DOCUMENT_BYTES_MAX;
use sightline_wire::protocol;
use sightline_wire::route::{self, Match};
use sightline_wire::schema::{Operation, Protocol, Service, Unserved};

/// Characters of what a request asks for that are repeated to it.
const ASKED_CHARS_MAX: usize = 200;

/// A request that is routed but not yet believed.
pub(crate) struct Routed<'d> {
    pub(crate) target: Target<'d>,
    pub(crate) protocol: Protocol,
    pub(crate) parts: Parts,
    /// Where the request would have been sent in path style, if it was not.
    pub(crate) in_path_style: Option<Uri>,
    pub(crate) body: Arrived,
}

/// What a request asks for.
pub(crate) enum Target<'d> {
    /// An operation with a handler.
    Served(&'d Operations, &'static Operation),
    /// An operation that the real service has and this server has not.
    Unserved(&'static Service, &'static Unserved),
    /// A service or an operation that is not known here at all.
    Foreign {
        /// What the signature is for.
        service: String,
        /// The operation's name, or method and path.
        asked: String,
    },
}

/// A request's body: read whole, or left to stream into the operation.
pub(crate) enum Arrived {
    Whole(Bytes),
    Streaming(Body),
}

/// The protocol in which a request signed for `service` must be answered, as far as its head
/// tells.
pub(crate) fn protocol_of(parts: &Parts, service: &str) -> Protocol {
    if parts.headers.contains_key("x-amz-target") {
        return match header(parts, "content-type") {
            Some("application/x-amz-json-1.0") => Protocol::Json10,
            _ => Protocol::Json11,
        };
    }
    let form = header(parts, "content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    match service {
        "s3" => Protocol::RestXml,
        "sts" | "iam" => Protocol::Query,
        _ if form => Protocol::Query,
        _ => Protocol::RestJson,
    }
}

/// Finds out what a request asks for, and reads its body if that is a document.
pub(crate) async fn route<'d>(
    services: &'d [Operations],
    signed_for: &str,
    (parts, in_path_style): (Parts, Option<Uri>),
    body: Body,
    document_time: Duration,
) -> Result<Routed<'d>, Fault> {
    let of_service = |operations: &&Operations| operations.service().signing_name == signed_for;
    let services: Vec<&Operations> = services.iter().filter(of_service).collect();
    let protocol = protocol_of(&parts, signed_for);
    let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    let (found, body) = if rest {
        let uri = in_path_style.as_ref().unwrap_or(&parts.uri);
        let found = match_rest(&services, &parts, uri)?;
        // S3 alone signs a declared hash, so only its bodies can be believed unread.
        let document = match &found {
            Match::Served(operation) => !operation.streams_in(),
            Match::Unserved(..) | Match::Unknown => protocol == Protocol::RestJson,
        };
        let body = if document {
            Arrived::Whole(whole(protocol, body, document_time).await?)
        } else {
            Arrived::Streaming(body)
        };
        (found, body)
    } else {
        let body = whole(protocol, body, document_time).await?;
        (
            match_document(&services, &parts, protocol, &body),
            Arrived::Whole(body),
        )
    };
    let owner = |operation: &Operation| {
        let name = operation.service.name;
        services
            .iter()
            .find(|operations| operations.service().name == name)
            .copied()
    };
    let target = match found {
        Match::Served(operation) => owner(operation).map(|owner| Target::Served(owner, operation)),
        Match::Unserved(service, unserved) => Some(Target::Unserved(service, unserved)),
        Match::Unknown => None,
    };
    let target = target.unwrap_or_else(|| Target::Foreign {
        service: signed_for.chars().take(ASKED_CHARS_MAX).collect(),
        asked: asked(&parts, &body),
    });
    Ok(Routed {
        target,
        protocol,
        parts,
        in_path_style,
        body,
    })
}

fn match_rest(services: &[&Operations], parts: &Parts, uri: &Uri) -> Result<Match, Fault> {
    let (method, path) = (parts.method.as_str(), uri.path());
    let query = uri.query().unwrap_or_default();
    for operations in services {
        let service = operations.service();
        let rest = [Protocol::RestJson, Protocol::RestXml];
        let Some(protocol) = service
            .protocols
            .iter()
            .find(|spoken| rest.contains(*spoken))
        else {
            continue;
        };
        let found = route::match_rest(service, method, path, query, &parts.headers);
        let found = found.map_err(|error| {
            Fault::new(
                error.code(*protocol),
                StatusCode::BAD_REQUEST,
                error.to_string(),
            )
        })?;
        if !matches!(found, Match::Unknown) {
            return Ok(found);
        }
    }
    Ok(Match::Unknown)
}

fn match_document(
    services: &[&Operations],
    parts: &Parts,
    protocol: Protocol,
    body: &Bytes,
) -> Match {
    let tables: Vec<_> = services
        .iter()
        .map(|operations| operations.service())
        .collect();
    match (protocol, header(parts, "x-amz-target")) {
        (Protocol::Query, _) => {
            let action = action(parts, body);
            let matches = |table: &&'static Service| {
                let found = route::match_name(table, action.as_deref()?);
                (!matches!(found, Match::Unknown)).then_some(found)
            };
            tables.iter().find_map(matches).unwrap_or(Match::Unknown)
        }
        (_, Some(target)) => route::match_target(&tables, target),
        (_, None) => Match::Unknown,
    }
}

/// A Query request names its operation in the form, or for GET in the address.
fn action(parts: &Parts, body: &Bytes) -> Option<String> {
    let form = match parts.method {
        Method::GET => parts.uri.query().unwrap_or_default().as_bytes(),
        _ => body,
    };
    protocol::decode_form(form).ok()?.remove("Action")
}

/// The operation in the caller's own words.
fn asked(parts: &Parts, body: &Arrived) -> String {
    let named = match (header(parts, "x-amz-target"), body) {
        (Some(target), _) => Some(target.rsplit('.').next().unwrap_or(target).to_owned()),
        (None, Arrived::Whole(body)) => action(parts, body),
        (None, Arrived::Streaming(_)) => None,
    };
    let asked = named.unwrap_or_else(|| format!("{} {}", parts.method, parts.uri.path()));
    asked.chars().take(ASKED_CHARS_MAX).collect()
}

async fn whole(protocol: Protocol, body: Body, time_max: Duration) -> Result<Bytes, Fault> {
    let read = read_to_limit(body, DOCUMENT_BYTES_MAX);
    let slow = || {
        Fault::new(
            "RequestTimeout",
            StatusCode::BAD_REQUEST,
            "the body came too slowly",
        )
    };
    let read = tokio::time::timeout(time_max, read)
        .await
        .map_err(|_| slow())?;
    read.map_err(|error| {
        let (code, status) = match (&error, protocol) {
            (TooLarge::Limit(_), Protocol::RestXml) => {
                ("MaxMessageLengthExceeded", StatusCode::BAD_REQUEST)
            }
            (TooLarge::Limit(_), _) => (
                "RequestEntityTooLargeException",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            (TooLarge::Io(_), _) => ("IncompleteBody", StatusCode::BAD_REQUEST),
        };
        Fault::new(code, status, error.to_string())
    })
}

pub(crate) fn header<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts.headers.get(name)?.to_str().ok()
}
