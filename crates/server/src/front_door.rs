//! The front door: from an HTTP request to the operation it asks for, once its signature holds.
//!
//! Routing and believing are kept apart. First the request's own words decide which operation it
//! names and in which protocol it must be answered; then its signature is verified, for every
//! operation alike, served or not; only then does anything happen.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use sightline_api::{Body, Fault, Operations, Request, TooLarge, empty, full, read_to_limit};
use sightline_identity::{AccessKey, Identity};
use sightline_meta::Meta;
use sightline_ports::Clock;
use sightline_types::{Cx, Event, EventOutcome, OperationName, Recorded, RequestId, Timestamp};
use sightline_wire::limits::DOCUMENT_BYTES_MAX;
use sightline_wire::protocol;
use sightline_wire::route::{self, Match};
use sightline_wire::schema::{Protocol, Unserved};
use sightline_wire::sigv4::{Answer, Family, SecretKey, SigV4Error};

use crate::claim::{Claim, Proof};
use crate::payload::{checked, fault_of};

/// Characters of a client's name that are kept.
const USER_AGENT_CHARS_MAX: usize = 1_024;

/// Services whose clients sign for this region wherever they are.
const GLOBAL_REGION: &str = "us-east-1";

/// The services behind the one port.
#[derive(Debug)]
pub struct FrontDoor {
    services: Vec<Operations>,
    identity: Identity,
    meta: Meta,
    clock: Arc<dyn Clock>,
}

/// A request that is routed but not yet believed.
struct Routed<'d> {
    operations: &'d Operations,
    protocol: Protocol,
    found: Match,
    parts: Parts,
    body: Arrived,
}

/// A request's body: read whole, or left to stream into the operation.
enum Arrived {
    Whole(Bytes),
    Streaming(Body),
}

impl FrontDoor {
    /// A front door to these services.
    #[must_use]
    pub fn new(
        services: Vec<Operations>,
        identity: Identity,
        meta: Meta,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            services,
            identity,
            meta,
            clock,
        }
    }

    /// Answers one request that came from `source`: an address, or a job's own socket.
    pub async fn answer(&self, request: http::Request<Body>, source: &str) -> Response<Body> {
        let request_id = RequestId::random();
        let (mut parts, body) = request.into_parts();
        if let Some(response) = probe(&parts) {
            return response;
        }
        let claim = match Claim::parse(&mut parts) {
            Ok(Some(claim)) => claim,
            Ok(None) => return self.unsigned(&parts, &SigV4Error::Missing, &request_id),
            Err(error) => return self.unsigned(&parts, &error, &request_id),
        };
        let routed = match self.route(claim.service(), parts, body).await {
            Ok(routed) => routed,
            Err(refused) => return refused.answer(&request_id),
        };
        match self.believe(&claim, &routed) {
            Ok((key, proof)) => {
                self.carry_out(routed, &key, &proof, source, request_id)
                    .await
            }
            Err(error) => {
                let key = claim.access_key_id();
                tracing::warn!(%error, %key, source, "a signature was refused");
                let answer = answer_of(&error, routed.protocol);
                routed
                    .operations
                    .refuse(routed.protocol, fault_of(answer), &request_id)
            }
        }
    }

    /// Finds out what a request asks for, and reads its body if that is a document.
    async fn route(
        &self,
        signed_for: &str,
        parts: Parts,
        body: Body,
    ) -> Result<Routed<'_>, Refused> {
        let of_service = |operations: &&Operations| operations.service().signing_name == signed_for;
        let services: Vec<&Operations> = self.services.iter().filter(of_service).collect();
        let Some(first) = services.first().copied() else {
            let text = format!("Sightline does not serve {signed_for:?}");
            let fault = Fault::new("UnknownOperationException", StatusCode::BAD_REQUEST, text);
            return Err(Refused {
                protocol: guess_protocol(&parts),
                fault,
            });
        };
        if let Some(target) = header(&parts, "x-amz-target") {
            let protocol = json_protocol(&parts);
            let tables: Vec<_> = services
                .iter()
                .map(|operations| operations.service())
                .collect();
            let found = route::match_target(&tables, target);
            let operations = owner(&services, &found).unwrap_or(first);
            let body = whole(operations, protocol, body).await?;
            return Ok(Routed {
                operations,
                protocol,
                found,
                parts,
                body: Arrived::Whole(body),
            });
        }
        if first.service().protocols.contains(&Protocol::Query) {
            let protocol = Protocol::Query;
            let body = whole(first, protocol, body).await?;
            let found = match_form(first, &parts, &body);
            let body = Arrived::Whole(body);
            return Ok(Routed {
                operations: first,
                protocol,
                found,
                parts,
                body,
            });
        }
        route_rest(&services, parts, body).await
    }

    /// Verifies the signature with the key that it names.
    fn believe(
        &self,
        claim: &Claim,
        routed: &Routed<'_>,
    ) -> Result<(Arc<AccessKey>, Proof), SigV4Error> {
        let now = self.clock.now();
        let service = routed.operations.service();
        let home = self.identity.region().as_str();
        claim.expect_scope(service.signing_name, &[home, GLOBAL_REGION])?;
        let id = claim.access_key_id();
        let key = self
            .identity
            .key(id)
            .ok_or_else(|| SigV4Error::UnknownAccessKey {
                access_key_id: id.to_owned(),
            })?;
        let secret = SecretKey::new(key.secret.reveal());
        let whole = match &routed.body {
            Arrived::Whole(bytes) => Some(bytes),
            Arrived::Streaming(_) => None,
        };
        let proof = claim.verify(&routed.parts, whole, &secret, now)?;
        check_session(&key, claim, now)?;
        Ok((key, proof))
    }

    async fn carry_out(
        &self,
        routed: Routed<'_>,
        key: &AccessKey,
        proof: &Proof,
        source: &str,
        request_id: RequestId,
    ) -> Response<Body> {
        let Routed {
            operations,
            protocol,
            found,
            parts,
            body,
        } = routed;
        let mut cx = self.context(&parts, key, source, request_id);
        let operation = match found {
            Match::Served(operation) => operation,
            Match::Unserved(_, unserved) => {
                return self
                    .refuse_unserved(operations, protocol, unserved, cx)
                    .await;
            }
            Match::Unknown => {
                let fault = unknown_operation(operations, protocol, &parts);
                return operations.refuse(protocol, fault, &cx.request_id);
            }
        };
        let (document, payload) = match body {
            Arrived::Whole(bytes) => (bytes, empty()),
            Arrived::Streaming(body) => match checked(proof, &parts.headers, body) {
                Ok(payload) => (Bytes::new(), payload),
                Err(error) => {
                    return operations.refuse(protocol, fault_of(error.s3()), &cx.request_id);
                }
            },
        };
        cx.received_at = self.clock.now();
        operations
            .call(Request {
                operation,
                protocol,
                parts,
                document,
                payload,
                cx,
            })
            .await
    }

    /// Refuses, by name and on record, what the real service has and this server has not.
    async fn refuse_unserved(
        &self,
        operations: &Operations,
        protocol: Protocol,
        unserved: &'static Unserved,
        mut cx: Cx,
    ) -> Response<Body> {
        let service = operations.service();
        let text = format!(
            "Sightline does not serve {}:{}. The operations that it serves are listed in \
             docs/support/{}.md.",
            service.name, unserved.name, service.name
        );
        let fault = match protocol {
            Protocol::RestXml => Fault::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, text),
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
                Fault::new("UnknownOperationException", StatusCode::BAD_REQUEST, text)
            }
            Protocol::Query => Fault::new("InvalidAction", StatusCode::BAD_REQUEST, text),
        };
        cx.operation = OperationName {
            source: service.event_source,
            name: unserved.name,
            read_only: false,
        };
        let outcome = EventOutcome::Failure {
            code: fault.code.clone(),
            message: fault.message.clone(),
        };
        let cx = Arc::new(cx);
        let event = Event::of(&cx, outcome);
        if let Err(error) = self.meta.write(move |tx| tx.record(&event)).await {
            let error: sightline_meta::MetaError = error;
            let fault = Fault::of(operations.fault_table(), error.kind(), &error);
            return operations.refuse(protocol, fault, &cx.request_id);
        }
        operations.refuse(protocol, fault, &cx.request_id)
    }

    fn context(&self, parts: &Parts, key: &AccessKey, source: &str, request_id: RequestId) -> Cx {
        let user_agent = header(parts, "user-agent").unwrap_or_default();
        Cx {
            request_id,
            received_at: self.clock.now(),
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller: key.caller.clone(),
            source: source.to_owned(),
            user_agent: user_agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
            operation: OperationName {
                source: "",
                name: "",
                read_only: true,
            },
            parameters: None,
            recorded: Recorded::default(),
        }
    }

    /// Answers a request that is not signed, or not readably so, in the protocol it seems to be.
    fn unsigned(&self, parts: &Parts, error: &SigV4Error, id: &RequestId) -> Response<Body> {
        // Version 2 is S3's alone, whatever the content type says.
        let protocol = if matches!(error, SigV4Error::Version2(_)) {
            Protocol::RestXml
        } else {
            guess_protocol(parts)
        };
        let answer = answer_of(error, protocol);
        encode(protocol, fault_of(answer), id)
    }
}

/// A request that names no operation, or whose body cannot be read.
struct Refused {
    protocol: Protocol,
    fault: Fault,
}

impl Refused {
    fn answer(self, id: &RequestId) -> Response<Body> {
        encode(self.protocol, self.fault, id)
    }
}

/// Routes by method and path.
async fn route_rest<'d>(
    services: &[&'d Operations],
    parts: Parts,
    body: Body,
) -> Result<Routed<'d>, Refused> {
    let speaks_rest = |operations: &&'d Operations| Some((*operations, rest_protocol(operations)?));
    let Some((operations, protocol)) = services.iter().find_map(speaks_rest) else {
        let text = "The request names no operation: it lacks the header X-Amz-Target";
        let fault = Fault::new("UnknownOperationException", StatusCode::BAD_REQUEST, text);
        return Err(Refused {
            protocol: guess_protocol(&parts),
            fault,
        });
    };
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let service = operations.service();
    let found = route::match_rest(service, parts.method.as_str(), path, query, &parts.headers)
        .map_err(|error| {
            let code = error.code(protocol);
            let fault = Fault::new(code, StatusCode::BAD_REQUEST, error.to_string());
            Refused { protocol, fault }
        })?;
    let streams = match found {
        Match::Served(operation) => operation.streams_in(),
        // Nothing of such a body will be read.
        Match::Unserved(..) | Match::Unknown => true,
    };
    let body = if streams {
        Arrived::Streaming(body)
    } else {
        Arrived::Whole(whole(operations, protocol, body).await?)
    };
    Ok(Routed {
        operations,
        protocol,
        found,
        parts,
        body,
    })
}

fn rest_protocol(operations: &Operations) -> Option<Protocol> {
    let rest = |protocol: &&Protocol| matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    operations.service().protocols.iter().find(rest).copied()
}

fn json_protocol(parts: &Parts) -> Protocol {
    match header(parts, "content-type") {
        Some("application/x-amz-json-1.0") => Protocol::Json10,
        _ => Protocol::Json11,
    }
}

fn owner<'d>(services: &[&'d Operations], found: &Match) -> Option<&'d Operations> {
    let name = match found {
        Match::Served(operation) => operation.service.name,
        Match::Unserved(service, _) => service.name,
        Match::Unknown => return None,
    };
    services
        .iter()
        .find(|operations| operations.service().name == name)
        .copied()
}

/// A Query request names its operation in the form, or for GET in the address.
fn match_form(operations: &Operations, parts: &Parts, body: &Bytes) -> Match {
    let form = match parts.method {
        Method::GET => parts.uri.query().unwrap_or_default().as_bytes(),
        _ => body,
    };
    let action = protocol::decode_form(form)
        .ok()
        .and_then(|form| form.get("Action").cloned());
    action.map_or(Match::Unknown, |action| {
        route::match_name(operations.service(), &action)
    })
}

async fn whole(operations: &Operations, protocol: Protocol, body: Body) -> Result<Bytes, Refused> {
    let read = read_to_limit(body, DOCUMENT_BYTES_MAX).await;
    read.map_err(|error| {
        let code = match (&error, protocol) {
            (TooLarge::Limit(_), Protocol::RestXml) => "MaxMessageLengthExceeded",
            (TooLarge::Limit(_), _) => "RequestEntityTooLargeException",
            (TooLarge::Io(_), _) => "IncompleteBody",
        };
        let service = operations.service().name;
        tracing::debug!(%error, service, "a request's body could not be read");
        Refused {
            protocol,
            fault: Fault::new(code, StatusCode::BAD_REQUEST, error.to_string()),
        }
    })
}

/// A temporary key needs its token with each request, and ends.
fn check_session(key: &AccessKey, claim: &Claim, now: Timestamp) -> Result<(), SigV4Error> {
    if key.expires_at.is_some_and(|end| end < now) {
        return Err(SigV4Error::TokenExpired);
    }
    let holds = match (&key.session_token, claim.session_token()) {
        (None, None) => true,
        (Some(issued), Some(token)) => token.matches(issued.reveal()),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if holds {
        Ok(())
    } else {
        Err(SigV4Error::TokenInvalid)
    }
}

fn unknown_operation(operations: &Operations, protocol: Protocol, parts: &Parts) -> Fault {
    let service = operations.service().name;
    match protocol {
        Protocol::RestXml => {
            let text = "The specified method is not allowed against this resource.";
            Fault::new("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED, text)
        }
        Protocol::Query => {
            let text = format!("Could not find an operation of {service} in the request's Action");
            Fault::new("InvalidAction", StatusCode::BAD_REQUEST, text)
        }
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            let asked = header(parts, "x-amz-target").unwrap_or_else(|| parts.uri.path());
            let asked: String = asked.chars().take(200).collect();
            let text = format!("{service} has no operation {asked:?}");
            Fault::new("UnknownOperationException", StatusCode::BAD_REQUEST, text)
        }
    }
}

/// The protocol that a request seems to speak, when nothing better is known.
fn guess_protocol(parts: &Parts) -> Protocol {
    if parts.headers.contains_key("x-amz-target") {
        return json_protocol(parts);
    }
    let form = header(parts, "content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if form {
        Protocol::Query
    } else {
        Protocol::RestXml
    }
}

fn answer_of(error: &SigV4Error, protocol: Protocol) -> Answer {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => error.aws(Family::Json),
        Protocol::RestJson => error.aws(Family::RestJson),
        Protocol::Query => error.aws(Family::Query),
        Protocol::RestXml => error.s3(),
    }
}

fn encode(protocol: Protocol, fault: Fault, id: &RequestId) -> Response<Body> {
    sightline_api::encode_fault(protocol, None, fault, id)
}

/// The operator's questions, which are not signed.
fn probe(parts: &Parts) -> Option<Response<Body>> {
    let asked = parts.method == Method::GET && parts.uri.path() == "/healthz";
    let bare = !parts.headers.contains_key("authorization") && parts.uri.query().is_none();
    (asked && bare).then(|| Response::new(full(Bytes::from_static(b"ok\n"))))
}

fn header<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts.headers.get(name)?.to_str().ok()
}
