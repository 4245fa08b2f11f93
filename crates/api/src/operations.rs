//! The table of a service's operations, and all that happens around each.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::Value;
use sightline_identity::{Identity, Permit};
use sightline_meta::Meta;
use sightline_types::{
    Arn, Cx, ErrorKind, Event, EventOutcome, OperationName, RequestId, ResourceRef,
};
use sightline_wire::OperationType;
use sightline_wire::protocol::{self, RequestParts};
use sightline_wire::schema::{Asking, Operation, Protocol, Service};

use crate::{Body, Call, Fault, FaultTable, Reply, body};

type Answered = Pin<Box<dyn Future<Output = Result<Reply<Value>, Fault>> + Send>>;
type Handler = Box<dyn Fn(Call) -> Answered + Send + Sync>;

/// A signed request whose operation is known and whose caller is proven.
#[derive(Debug)]
pub struct Request {
    /// The operation asked for.
    pub operation: &'static Operation,
    /// The protocol it is asked in, and will be answered in.
    pub protocol: Protocol,
    /// Method, path and headers.
    pub parts: Parts,
    /// The whole body, or for operations whose input streams an empty one.
    pub document: Bytes,
    /// The payload of operations whose input streams.
    pub payload: Body,
    /// Who asks, from where.
    pub cx: Cx,
}

/// The operations of one service with their handlers.
pub struct Operations {
    service: &'static Service,
    faults: FaultTable,
    identity: Identity,
    meta: Meta,
    handlers: HashMap<&'static str, Handler>,
    codes: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("service", &self.service.name)
            .finish_non_exhaustive()
    }
}

impl Operations {
    /// An empty table for `service`, whose failures are coded by `faults`.
    #[must_use]
    pub fn new(
        service: &'static Service,
        faults: FaultTable,
        identity: Identity,
        meta: Meta,
    ) -> Self {
        Self {
            service,
            faults,
            identity,
            meta,
            handlers: HashMap::new(),
            codes: Vec::new(),
        }
    }

    /// The service whose operations these are.
    #[must_use]
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// How this service codes its failures.
    #[must_use]
    pub fn fault_table(&self) -> FaultTable {
        self.faults
    }

    /// Lets a value of `member` that breaks its constraints be answered with a code of its own.
    pub fn code_member(&mut self, member: &'static str, code: &'static str) {
        self.codes.push((member, code));
    }

    /// Registers the handler of an operation whose input and output are documents.
    pub fn serve<O, A, F, Fut>(&mut self, app: &Arc<A>, handler: F)
    where
        O: OperationType,
        A: Send + Sync + 'static,
        F: Fn(Arc<A>, Permit, O::Input) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O::Output, Fault>> + Send + 'static,
    {
        self.serve_stream::<O, A, _, _>(app, move |app, call: Call, input| {
            let answered = handler(app, call.permit, input);
            async move { answered.await.map(Reply::new) }
        });
    }

    /// Registers the handler of an operation whose input or output streams.
    pub fn serve_stream<O, A, F, Fut>(&mut self, app: &Arc<A>, handler: F)
    where
        O: OperationType,
        A: Send + Sync + 'static,
        F: Fn(Arc<A>, Call, O::Input) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply<O::Output>, Fault>> + Send + 'static,
    {
        let (app, faults) = (Arc::clone(app), self.faults);
        let run = move |mut call: Call| -> Answered {
            let (app, handler) = (Arc::clone(&app), handler.clone());
            Box::pin(async move {
                let document = call.document.take();
                // A document that was validated fits; of one that was not, as S3's, an
                // enumeration may have a value that the model lacks.
                let input = O::input(document)
                    .map_err(|error| Fault::of(faults, ErrorKind::Invalid, &error))?;
                let reply = handler(app, call, input).await?;
                let output = O::document(&reply.output)
                    .map_err(|error| Fault::of(faults, ErrorKind::Internal, &error))?;
                let Reply {
                    body,
                    status,
                    headers,
                    ..
                } = reply;
                Ok(Reply {
                    output,
                    body,
                    status,
                    headers,
                })
            })
        };
        self.handlers.insert(O::OPERATION.name, Box::new(run));
    }

    /// Served operations of the model that have no handler; a test demands that there are none.
    #[must_use]
    pub fn without_handler(&self) -> Vec<&'static str> {
        let names = self
            .service
            .operations
            .iter()
            .map(|operation| operation.name);
        names
            .filter(|name| !self.handlers.contains_key(name))
            .collect()
    }

    /// Carries out a request: decode, validate, permit, act, record, encode.
    pub async fn call(&self, request: Request) -> Response<Body> {
        let Request {
            operation,
            protocol,
            parts,
            document,
            payload,
            mut cx,
        } = request;
        cx.operation = OperationName {
            source: self.service.event_source,
            name: operation.name,
            read_only: operation.read_only,
        };
        // Whoever compares a document with its checksum needs it as it came.
        let payload = match operation.streams_in() {
            true => payload,
            false => body::full(document.clone()),
        };
        let is_head = parts.method == Method::HEAD;
        let decoded = self.decode(operation, protocol, &parts, &document);
        let mut named = None;
        if let Ok(input) = &decoded {
            cx.parameters = Some(Arc::new(sightline_wire::redact(operation.input, input)));
            named = named_resource(operation, input, &cx);
        }
        let cx = Arc::new(cx);
        let done = self
            .permit_and_act(operation, decoded, parts, payload, &cx)
            .await;
        let done = self.record(operation, &cx, named, done).await;
        let request_id = &cx.request_id;
        let response = match done {
            Ok(reply) => self.encode(operation, protocol, reply, request_id),
            Err(fault) => self.refuse(protocol, fault, request_id),
        };
        // What a HEAD asks for is the head; of an error, too, clients expect nothing more.
        let head_only = is_head || response.status() == StatusCode::NOT_MODIFIED;
        if head_only {
            response.map(|_| body::empty())
        } else {
            response
        }
    }

    /// The answer to a request that fails before, or instead of, being carried out.
    #[must_use]
    pub fn refuse(
        &self,
        protocol: Protocol,
        fault: Fault,
        request_id: &RequestId,
    ) -> Response<Body> {
        encode_fault(protocol, Some(self.service), fault, request_id)
    }

    fn decode(
        &self,
        operation: &'static Operation,
        protocol: Protocol,
        parts: &Parts,
        document: &Bytes,
    ) -> Result<Value, Fault> {
        let request = RequestParts {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body: document,
        };
        let input = protocol::decode_request(protocol, operation, &request).map_err(|error| {
            Fault::new(
                error.code(protocol),
                StatusCode::BAD_REQUEST,
                error.to_string(),
            )
        })?;
        // S3 states its own rules in its own words; its engine checks them.
        if protocol != Protocol::RestXml {
            sightline_wire::validate(operation.input, &input).map_err(|error| {
                let mut fault = Fault::of(self.faults, ErrorKind::Invalid, &error);
                let own = self.codes.iter().find(|(member, _)| error.is_of(member));
                if let Some((_, code)) = own {
                    fault.code = (*code).to_owned();
                }
                fault
            })?;
        }
        Ok(input)
    }

    async fn permit_and_act(
        &self,
        operation: &'static Operation,
        decoded: Result<Value, Fault>,
        parts: Parts,
        payload: Body,
        cx: &Arc<Cx>,
    ) -> Result<Reply<Value>, Fault> {
        let document = decoded?;
        let resource =
            sightline_wire::resolve_resource(operation, &document, &cx.region, &cx.account)
                .map_err(|error| Fault::of(self.faults, ErrorKind::Invalid, &error))?;
        let action = operation.action_for(&document);
        let permit = match operation.asking {
            Asking::Each => Ok(self.identity.defer(cx, action, resource)),
            Asking::Once | Asking::Versioned(_) => {
                self.authorize(operation, &document, (action, resource), cx)
                    .await
            }
        };
        let permit = permit.map_err(|error| Fault::of(self.faults, error.kind(), &error))?;
        let Some(handler) = self.handlers.get(operation.name) else {
            let text = format!("{} is not served", operation.name);
            return Err(Fault::new(
                "UnknownOperationException",
                StatusCode::BAD_REQUEST,
                text,
            ));
        };
        handler(Call {
            permit,
            document,
            headers: parts.headers,
            body: payload,
        })
        .await
    }

    /// Asks for the permission that the operation needs, and for that to pass on a role.
    async fn authorize(
        &self,
        operation: &'static Operation,
        document: &Value,
        (action, resource): (&'static str, Arn),
        cx: &Arc<Cx>,
    ) -> Result<Permit, sightline_identity::Error> {
        self.identity.note_use(cx, self.service.name).await?;
        let mut facts = self.identity.resource_facts(cx, &resource).await?;
        for (key, values) in sightline_wire::condition_facts(operation, document) {
            facts.put_all(&key, values);
        }
        let permit = self.identity.permit_given(cx, action, resource, &facts)?;
        let passed = operation
            .passes_role
            .and_then(|member| document.get(member));
        if let Some(role) = passed.and_then(Value::as_str) {
            self.identity
                .pass_role(cx, role, self.service.event_source)?;
        }
        Ok(permit)
    }

    /// Records what the engine has not recorded itself: reads, refusals and failures.
    async fn record(
        &self,
        operation: &'static Operation,
        cx: &Arc<Cx>,
        named: Option<ResourceRef>,
        done: Result<Reply<Value>, Fault>,
    ) -> Result<Reply<Value>, Fault> {
        let outcome = match &done {
            Ok(_) if cx.recorded.is_set() => return done,
            Ok(_) => EventOutcome::Success,
            Err(fault) => EventOutcome::Failure {
                code: fault.code.clone(),
                message: fault.message.clone(),
            },
        };
        if done.is_ok() && !operation.read_only {
            tracing::warn!(
                operation = operation.name,
                "a change was not recorded with its event"
            );
        }
        let mut event = Event::of(cx, outcome);
        event.resources.extend(named);
        match self.meta.record(&event).await {
            Ok(()) => done,
            Err(error) => Err(Fault::of(self.faults, error.kind(), &error)),
        }
    }

    fn encode(
        &self,
        operation: &'static Operation,
        protocol: Protocol,
        reply: Reply<Value>,
        request_id: &RequestId,
    ) -> Response<Body> {
        let Reply {
            output,
            body,
            status,
            headers,
        } = reply;
        match protocol::encode_response(protocol, operation, &output, request_id) {
            Ok(response) => {
                let (mut parts, document) = response.into_parts();
                parts.status = status.unwrap_or(parts.status);
                for (name, value) in &headers {
                    parts.headers.insert(name, value.clone());
                }
                Response::from_parts(parts, body.unwrap_or_else(|| body::full(document)))
            }
            Err(error) => {
                let fault = Fault::of(self.faults, ErrorKind::Internal, &error);
                self.refuse(protocol, fault, request_id)
            }
        }
    }
}

/// The resource that the request names, for events that no engine has completed.
fn named_resource(operation: &'static Operation, input: &Value, cx: &Cx) -> Option<ResourceRef> {
    let named = sightline_wire::resolve_resource(operation, input, &cx.region, &cx.account).ok();
    named
        .filter(|arn| !arn.as_str().contains('*'))
        .map(|arn| ResourceRef::of(&arn))
}

/// Writes a failure in the protocol's error envelope; `service` is `None` when the request did
/// not get as far as one.
#[must_use]
pub fn encode_fault(
    protocol: Protocol,
    service: Option<&'static Service>,
    mut fault: Fault,
    request_id: &RequestId,
) -> Response<Body> {
    let headers = std::mem::take(&mut fault.headers);
    match protocol::encode_error(protocol, service, &fault.into_answer(), request_id) {
        Ok(mut response) => {
            response.headers_mut().extend(headers);
            response.map(body::full)
        }
        Err(error) => broken(&error),
    }
}

/// The last resort, when even the error cannot be written in the protocol's form.
fn broken(error: &dyn std::error::Error) -> Response<Body> {
    tracing::error!(%error, "an error answer could not be encoded");
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
