//! The front door: from an HTTP request to the operation it asks for, once its signature holds.
//!
//! Routing and believing are kept apart. First the key that a request names must exist; then the
//! request's own words decide which operation it asks for and in which protocol it must be
//! answered; then its signature is verified, for every operation alike, served or not; only then
//! does anything happen.

mod posted;
mod refused;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use sightline_api::{Body, Fault, Operations, Request, empty, encode_fault};
use sightline_identity::{AccessKey, Identity};
use sightline_meta::Meta;
use sightline_ports::Clock;
use sightline_types::{
    Caller, Cx, Event, EventOutcome, OperationName, Recorded, RequestId, Timestamp,
};
use sightline_wire::schema::Protocol;
use sightline_wire::sigv2;
use sightline_wire::sigv4::{Answer, Family, SecretKey, SigV4Error};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::claim::{Claim, Proof};
use crate::exchange::Exchange;
use crate::form;
use crate::gate::{self, Gate};
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::newcomers::Newcomers;
use crate::patience::Guarded;
use crate::payload::{checked, fault_of};
use crate::peer::Peer;
use crate::preflight;
use crate::probe::Probes;
use crate::route::{self, Arrived, Routed, Target, header, protocol_of};
use refused::{Refusals, Refused};

/// Characters of a client's name that are kept.
const USER_AGENT_CHARS_MAX: usize = 1_024;

/// Services whose clients sign for one region wherever they are.
const GLOBAL_SERVICES: [&str; 2] = ["iam", "sts"];

/// The region that they sign for.
const GLOBAL_REGION: &str = "us-east-1";

/// The services behind the one port.
#[derive(Debug)]
pub struct FrontDoor {
    services: Vec<Operations>,
    identity: Identity,
    meta: Meta,
    clock: Arc<dyn Clock>,
    limits: Limits,
    gate: Gate,
    refusals: Refusals,
    probes: Probes,
    hosts: Hosts,
    newcomers: Newcomers,
}

impl FrontDoor {
    /// A front door to these services.
    #[must_use]
    pub(crate) fn new(
        services: Vec<Operations>,
        identity: &Identity,
        meta: Meta,
        clock: Arc<dyn Clock>,
        (limits, probes, hosts): (Limits, Probes, Hosts),
    ) -> Self {
        Self {
            services,
            identity: identity.clone(),
            meta,
            clock,
            gate: Gate::new(&limits),
            refusals: Refusals::default(),
            limits,
            probes,
            hosts,
            newcomers: Newcomers::default(),
        }
    }

    /// What the server counts.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.probes.metrics
    }

    /// Says from here on that the server is about to end.
    pub(crate) fn end(&self) {
        self.probes.health.end();
    }

    /// The services behind the door.
    #[must_use]
    pub fn services(&self) -> &[Operations] {
        &self.services
    }

    /// Returns once the server is about to end.
    pub(crate) async fn ends(&self) {
        self.probes.health.ends().await;
    }

    /// Answers one request that came from `peer`.
    pub async fn answer(&self, request: http::Request<Body>, peer: &Peer) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if let Some(response) = self.probes.answer(&parts, peer).await {
            return response;
        }
        let id = RequestId::random();
        let Some(slot) = self.gate.enter() else {
            self.metrics().throttled("server");
            return turned_away(&parts, gate::busy(), &id);
        };
        let mut exchange = Exchange::begin(self.metrics(), id.clone(), &peer.source, slot);
        let span = tracing::info_span!("request", id = id.as_str());
        let answered = self.answer_within(parts, body, peer, id, &mut exchange);
        let response = answered.instrument(span).await;
        exchange.answered(response.status());
        let end = Instant::now() + self.limits.request_time;
        response.map(|body| Guarded::new(body, exchange, end).boxed_unsync())
    }

    /// Answers a request on a connection for which there is no place: only the operator's
    /// questions are.
    pub(crate) async fn answer_when_full(
        &self,
        request: http::Request<Body>,
        peer: &Peer,
    ) -> Response<Body> {
        let (parts, _) = request.into_parts();
        if let Some(response) = self.probes.answer(&parts, peer).await {
            return response;
        }
        self.metrics().throttled("connections");
        turned_away(&parts, gate::busy(), &RequestId::random())
    }

    /// The answer to what is refused whoever sends it.
    fn refused_unread(&self, parts: &Parts, id: &RequestId) -> Option<Response<Body>> {
        let uri_bytes_max = self.limits.uri_bytes;
        if uri_bytes_max < uri_bytes(parts) {
            return Some(turned_away(parts, uri_too_long(uri_bytes_max), id));
        }
        let fault = preflight::refused(parts)?;
        Some(encode_fault(Protocol::RestXml, None, fault, id))
    }

    async fn answer_within(
        &self,
        mut parts: Parts,
        body: Body,
        peer: &Peer,
        id: RequestId,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        if let Some(response) = self.refused_unread(&parts, &id) {
            return response;
        }
        let mut in_path_style = self.hosts.in_path_style(&parts);
        if form::is_one(&parts) {
            if let Some(uri) = in_path_style {
                parts.uri = uri;
            }
            return self.take_form(parts, body, peer, id, exchange).await;
        }
        // Version 2 signs the bucket with the path wherever it was sent.
        if sigv2::is_presented(&parts)
            && let Some(uri) = in_path_style.take()
        {
            parts.uri = uri;
        }
        let claim = match Claim::parse(&mut parts) {
            Ok(Some(claim)) => claim,
            Ok(None) => return self.unsigned(&parts, SigV4Error::Missing, peer, id).await,
            Err(error) => return self.unsigned(&parts, error, peer, id).await,
        };
        let protocol = protocol_of(&parts, claim.service());
        // The key comes first, so that nobody without one makes the server read a body.
        let key = match self.key_of(&claim).await {
            Ok(key) => key,
            Err(error) => {
                let asked = (&parts, protocol, UNKNOWN_OPERATION);
                let refused = Refused::of(error, &claim, asked, peer, id);
                return self.disbelieved(refused).await;
            }
        };
        let document_time = self.limits.document_time;
        let head = (parts, in_path_style.filter(|_| claim.service() == "s3"));
        let routed =
            match route::route(&self.services, claim.service(), head, body, document_time).await {
                Ok(routed) => routed,
                Err(fault) => return encode_fault(protocol, None, fault, &id),
            };
        let (service, operation) = names_of(&routed.target);
        exchange.asks_for(service, operation);
        let proof = match self.believe(&claim, &key, &routed) {
            Ok(proof) => proof,
            Err(error) => {
                let operation = operation_of(&routed.target);
                let asked = (&routed.parts, routed.protocol, operation);
                let refused = Refused::of(error, &claim, asked, peer, id);
                return self.disbelieved(refused).await;
            }
        };
        // Only what is signed counts against a principal: nobody can use up another's share.
        match self.gate.admit(&key.caller.arn, self.clock.now()) {
            Ok(place) => exchange.is_of(&key.caller.arn, place),
            Err(throttled) => {
                self.metrics().throttled(throttled.reason());
                return encode_fault(protocol, None, throttled.fault(protocol), &id);
            }
        }
        self.carry_out(routed, &key, (&claim, &proof), peer, id)
            .await
    }

    /// The key that a claim names, if it exists and has not ended.
    async fn key_of(&self, claim: &Claim) -> Result<Arc<AccessKey>, SigV4Error> {
        let id = claim.access_key_id();
        let unknown = || SigV4Error::UnknownAccessKey {
            access_key_id: id.to_owned(),
        };
        let key = match self.identity.key(id) {
            Some(key) => key,
            None => self.newly_made(id).await.ok_or_else(unknown)?,
        };
        if !key.active {
            return Err(unknown());
        }
        check_session(&key, claim, self.clock.now())?;
        Ok(key)
    }

    /// A key that another server on the store has made in this second.
    async fn newly_made(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.meta.server()?;
        if let Err(error) = self.newcomers.look_again(&self.identity).await {
            tracing::warn!(%error, "what other servers changed of identities is not known");
        }
        self.identity.key(id)
    }

    /// Verifies the signature with the key that it names.
    fn believe(
        &self,
        claim: &Claim,
        key: &AccessKey,
        routed: &Routed<'_>,
    ) -> Result<Proof, SigV4Error> {
        let service = match &routed.target {
            Target::Served(operations, _) => operations.service().signing_name,
            Target::Unserved(service, _) => service.signing_name,
            Target::Foreign { .. } => claim.service(),
        };
        let home = self.identity.region().as_str();
        let global = GLOBAL_SERVICES.contains(&service);
        let regions: &[&str] = if global {
            &[home, GLOBAL_REGION]
        } else {
            &[home]
        };
        claim.expect_scope(service, regions)?;
        let secret = SecretKey::new(key.secret.reveal());
        let whole = match &routed.body {
            Arrived::Whole(bytes) => Some(bytes),
            Arrived::Streaming(_) => None,
        };
        claim.verify(&routed.parts, whole, &secret, self.clock.now())
    }

    async fn carry_out(
        &self,
        routed: Routed<'_>,
        key: &AccessKey,
        (claim, proof): (&Claim, &Proof),
        peer: &Peer,
        request_id: RequestId,
    ) -> Response<Body> {
        let Routed {
            target,
            protocol,
            mut parts,
            in_path_style,
            body,
        } = routed;
        if let Some(uri) = in_path_style {
            parts.uri = uri;
        }
        let mut cx = self.context(&parts, key.caller.clone(), peer, request_id);
        cx.signed = claim.signed();
        let Target::Served(operations, operation) = target else {
            return self.refuse(&target, protocol, cx).await;
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

    /// Refuses, by name and on record, what this server does not serve.
    async fn refuse(&self, target: &Target<'_>, protocol: Protocol, mut cx: Cx) -> Response<Body> {
        let (service, asked) = match target {
            Target::Served(operations, operation) => (operations.service().name, operation.name),
            Target::Unserved(service, unserved) => (service.name, unserved.name),
            Target::Foreign { service, asked } => (service.as_str(), asked.as_str()),
        };
        let text = format!(
            "Sightline does not serve {service}:{asked}. The operations that it serves are listed \
             in docs/support."
        );
        let fault = match protocol {
            Protocol::RestXml => Fault::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, text),
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
                Fault::new("UnknownOperationException", StatusCode::BAD_REQUEST, text)
            }
            Protocol::Query => Fault::new("InvalidAction", StatusCode::BAD_REQUEST, text),
        };
        cx.operation = operation_of(target);
        cx.parameters = Some(Arc::new(json!({ "service": service, "operation": asked })));
        let outcome = EventOutcome::Failure {
            code: fault.code.clone(),
            message: fault.message.clone(),
        };
        let cx = Arc::new(cx);
        let event = Event::of(&cx, outcome);
        let fault = match self.meta.record(&event).await {
            Ok(()) => fault,
            Err(error) => Fault::of(internal, error.kind(), &error),
        };
        encode_fault(protocol, None, fault, &cx.request_id)
    }

    fn context(&self, parts: &Parts, caller: Caller, peer: &Peer, request_id: RequestId) -> Cx {
        let user_agent = header(parts, "user-agent").unwrap_or_default();
        Cx {
            request_id,
            received_at: self.clock.now(),
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller,
            source: peer.source.to_string(),
            tls: peer.tls.clone(),
            signed: None,
            user_agent: user_agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
            operation: UNKNOWN_OPERATION,
            parameters: None,
            recorded: Recorded::default(),
        }
    }
}

/// What a request is called until it is known, and if it never is.
const UNKNOWN_OPERATION: OperationName = OperationName {
    source: "sightline",
    name: "UnknownOperation",
    read_only: true,
};

/// The one code that a failure outside every service can have.
fn internal(_: sightline_types::ErrorKind) -> (&'static str, StatusCode) {
    ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR)
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

/// Answers a request that is refused before anything in it is believed.
fn turned_away(parts: &Parts, fault: Fault, id: &RequestId) -> Response<Body> {
    encode_fault(apparent_protocol(parts, false), None, fault, id)
}

/// The protocol that an unsigned request seems to be in.
fn apparent_protocol(parts: &Parts, surely_s3: bool) -> Protocol {
    // Version 2 is S3's alone, whatever the content type says; and so is a bare path.
    let described = ["x-amz-target", "content-type"]
        .iter()
        .any(|name| parts.headers.contains_key(*name));
    protocol_of(parts, if surely_s3 || !described { "s3" } else { "" })
}

fn uri_bytes(parts: &Parts) -> usize {
    let path_and_query = parts.uri.path_and_query();
    path_and_query.map_or(0, |path_and_query| path_and_query.as_str().len())
}

fn uri_too_long(bytes_max: usize) -> Fault {
    let text = format!("the address has more than {bytes_max} bytes");
    Fault::new("RequestUriTooLong", StatusCode::URI_TOO_LONG, text)
}

/// Service and operation in the words of the tables, never in those of the request.
fn names_of(target: &Target<'_>) -> (&'static str, &'static str) {
    match target {
        Target::Served(operations, operation) => (operations.service().name, operation.name),
        Target::Unserved(service, unserved) => (service.name, unserved.name),
        Target::Foreign { .. } => ("unknown", "unknown"),
    }
}

/// The operation as activity names it.
fn operation_of(target: &Target<'_>) -> OperationName {
    match target {
        Target::Served(operations, operation) => OperationName {
            source: operations.service().event_source,
            name: operation.name,
            read_only: operation.read_only,
        },
        Target::Unserved(service, unserved) => OperationName {
            source: service.event_source,
            name: unserved.name,
            read_only: false,
        },
        Target::Foreign { .. } => UNKNOWN_OPERATION,
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
