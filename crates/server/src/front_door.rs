//! The front door: from an HTTP request to the operation it asks for, once its signature holds.
//!
//! Routing and believing are kept apart. First the key that a request names must exist; then the
//! request's own words decide which operation it asks for and in which protocol it must be
//! answered; then its signature is verified, for every operation alike, served or not; only then
//! does anything happen.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::json;
use sightline_api::{Body, Fault, Operations, Request, empty, encode_fault, full};
use sightline_identity::{AccessKey, Identity};
use sightline_meta::Meta;
use sightline_ports::Clock;
use sightline_types::{Cx, Event, EventOutcome, OperationName, Recorded, RequestId, Timestamp};
use sightline_wire::schema::Protocol;
use sightline_wire::sigv4::{Answer, Family, SecretKey, SigV4Error};

use crate::claim::{Claim, Proof};
use crate::limits::Limits;
use crate::payload::{checked, fault_of};
use crate::route::{self, Arrived, Routed, Target, header, protocol_of};

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
}

impl FrontDoor {
    /// A front door to these services.
    #[must_use]
    pub(crate) fn new(
        services: Vec<Operations>,
        identity: Identity,
        meta: Meta,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        Self {
            services,
            identity,
            meta,
            clock,
            limits,
        }
    }

    /// The services behind the door.
    #[must_use]
    pub fn services(&self) -> &[Operations] {
        &self.services
    }

    /// Answers one request that came from `source`: an address, or a job's own socket.
    pub async fn answer(&self, request: http::Request<Body>, source: &str) -> Response<Body> {
        let id = RequestId::random();
        let (mut parts, body) = request.into_parts();
        if let Some(response) = probe(&parts) {
            return response;
        }
        let claim = match Claim::parse(&mut parts) {
            Ok(Some(claim)) => claim,
            Ok(None) => return unsigned(&parts, &SigV4Error::Missing, &id),
            Err(error) => return unsigned(&parts, &error, &id),
        };
        let protocol = protocol_of(&parts, claim.service());
        // The key comes first, so that nobody without one makes the server read a body.
        let key = match self.key_of(&claim) {
            Ok(key) => key,
            Err(error) => return disbelieved(&error, &claim, protocol, source, &id),
        };
        let document_time = self.limits.document_time;
        let routed =
            match route::route(&self.services, claim.service(), parts, body, document_time).await {
                Ok(routed) => routed,
                Err(fault) => return encode_fault(protocol, None, fault, &id),
            };
        match self.believe(&claim, &key, &routed) {
            Ok(proof) => self.carry_out(routed, &key, &proof, source, id).await,
            Err(error) => disbelieved(&error, &claim, routed.protocol, source, &id),
        }
    }

    /// The key that a claim names, if it exists and has not ended.
    fn key_of(&self, claim: &Claim) -> Result<Arc<AccessKey>, SigV4Error> {
        let id = claim.access_key_id();
        let unknown = || SigV4Error::UnknownAccessKey {
            access_key_id: id.to_owned(),
        };
        let key = self.identity.key(id).ok_or_else(unknown)?;
        check_session(&key, claim, self.clock.now())?;
        Ok(key)
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
        proof: &Proof,
        source: &str,
        request_id: RequestId,
    ) -> Response<Body> {
        let Routed {
            target,
            protocol,
            parts,
            body,
        } = routed;
        let cx = self.context(&parts, key, source, request_id);
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
        cx.operation = match target {
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
        };
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

/// Answers a request whose signature does not hold.
fn disbelieved(
    error: &SigV4Error,
    claim: &Claim,
    protocol: Protocol,
    source: &str,
    id: &RequestId,
) -> Response<Body> {
    let key = claim.access_key_id();
    tracing::warn!(%error, %key, source, "a signature was refused");
    encode_fault(protocol, None, fault_of(answer_of(error, protocol)), id)
}

/// Answers a request that is not signed, or not readably so, in the protocol it seems to be.
fn unsigned(parts: &Parts, error: &SigV4Error, id: &RequestId) -> Response<Body> {
    // Version 2 is S3's alone, whatever the content type says; and so is a bare path.
    let described = ["x-amz-target", "content-type"]
        .iter()
        .any(|name| parts.headers.contains_key(*name));
    let s3 = matches!(error, SigV4Error::Version2(_)) || !described;
    let protocol = protocol_of(parts, if s3 { "s3" } else { "" });
    encode_fault(protocol, None, fault_of(answer_of(error, protocol)), id)
}

fn answer_of(error: &SigV4Error, protocol: Protocol) -> Answer {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => error.aws(Family::Json),
        Protocol::RestJson => error.aws(Family::RestJson),
        Protocol::Query => error.aws(Family::Query),
        Protocol::RestXml => error.s3(),
    }
}

/// The operator's questions, which are not signed.
fn probe(parts: &Parts) -> Option<Response<Body>> {
    let asked = parts.method == Method::GET && parts.uri.path() == "/healthz";
    let bare = !parts.headers.contains_key("authorization") && parts.uri.query().is_none();
    (asked && bare).then(|| Response::new(full(Bytes::from_static(b"ok\n"))))
}
