//! A service that makes things and looks at them, with a handler that does what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sightline_api::{Fault, Operations, Request, empty, read_to_limit};
use sightline_identity::{AccessKey, Grant, Grants, Identity, NewSession, Permit};
use sightline_meta::{Meta, MetaError, MetaOptions, outbox};
use sightline_types::{Cx, ErrorKind, OperationName, Recorded, RequestId, Timestamp};
use sightline_wire::OperationType;
use sightline_wire::schema::{
    Asking, Http, Kind, Member, Operation, Protocol, Range, Service, Shape, Text,
};

static NAME: Shape = Shape::new("Name", Kind::Text(Text::ANY.length(Range::of(1, 8))));
static SECRET: Shape = Shape::sensitive("Secret", Kind::Text(Text::ANY));
static INPUT: Shape = Shape::structure(
    "ThingInput",
    &[
        Member::new("Name", &NAME).required(),
        Member::new("Secret", &SECRET),
    ],
);
static OUTPUT: Shape = Shape::structure("ThingOutput", &[Member::new("Name", &NAME)]);

static SERVICE: Service = Service {
    name: "tiny",
    signing_name: "tiny",
    event_source: "tiny.amazonaws.com",
    api_version: "2026-01-01",
    target_prefix: "Tiny",
    xml_namespace: "",
    protocols: &[Protocol::Json11],
    operations: &[&MAKE_THING, &LOOK_AT_THING],
    unserved: &[],
    errors: &[],
};

const fn operation(name: &'static str, action: &'static str, read_only: bool) -> Operation {
    Operation {
        name,
        service: &SERVICE,
        http: Http::new("POST", "/"),
        input: &INPUT,
        output: Some(&OUTPUT),
        xml_root: None,
        read_only,
        action,
        asking: Asking::Once,
        resources: &["thing/{Name}"],
        conditions: &[("tiny:Name", "Name")],
        passes_role: None,
    }
}

pub(crate) static MAKE_THING: Operation = operation("MakeThing", "tiny:MakeThing", false);
pub(crate) static LOOK_AT_THING: Operation = operation("LookAtThing", "tiny:LookAtThing", true);

struct MakeThing;
struct LookAtThing;

impl OperationType for MakeThing {
    type Input = Value;
    type Output = Value;
    const OPERATION: &'static Operation = &MAKE_THING;

    fn input(document: Value) -> Result<Value, serde_json::Error> {
        Ok(document)
    }

    fn document(output: &Value) -> Result<Value, serde_json::Error> {
        Ok(output.clone())
    }
}

impl OperationType for LookAtThing {
    type Input = Value;
    type Output = Value;
    const OPERATION: &'static Operation = &LOOK_AT_THING;

    fn input(document: Value) -> Result<Value, serde_json::Error> {
        Ok(document)
    }

    fn document(output: &Value) -> Result<Value, serde_json::Error> {
        Ok(output.clone())
    }
}

/// What the handlers do.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Succeed and forget the event.
    Forget,
    /// Succeed and record the event, as an engine does.
    Record,
    /// Fail with this kind.
    Fail(ErrorKind),
}

struct App {
    behaviour: Behaviour,
    meta: Meta,
    calls: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
#[error("the thing is broken")]
struct Broken;

async fn handle(app: Arc<App>, permit: Permit, input: Value) -> Result<Value, Fault> {
    app.calls.fetch_add(1, Ordering::Relaxed);
    match app.behaviour {
        Behaviour::Forget => {}
        Behaviour::Record => {
            let event = permit.event();
            let stored: Result<(), MetaError> = app.meta.write(move |tx| tx.record(&event)).await;
            stored.unwrap();
        }
        Behaviour::Fail(kind) => return Err(Fault::of(faults, kind, &Broken)),
    }
    Ok(json!({ "Name": input["Name"] }))
}

fn faults(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Denied => ("AccessDeniedException", StatusCode::BAD_REQUEST),
        ErrorKind::Internal | ErrorKind::Unavailable => {
            ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR)
        }
        ErrorKind::Invalid
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::LimitExceeded
        | ErrorKind::Throttled
        | ErrorKind::Unsupported => ("ValidationException", StatusCode::BAD_REQUEST),
    }
}

pub(crate) struct World {
    _directory: tempfile::TempDir,
    pub(crate) meta: Meta,
    identity: Identity,
    pub(crate) operations: Operations,
    app: Arc<App>,
    pub(crate) key: Arc<AccessKey>,
}

impl World {
    /// A world whose handlers behave so, and whose caller may do anything.
    pub(crate) async fn new(behaviour: Behaviour) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meta.sqlite");
        let meta = Meta::open(&MetaOptions { path }).unwrap();
        let region = "us-east-1".parse().unwrap();
        let secret_key = directory.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, Timestamp::EPOCH);
        let identity = identity.await.unwrap();
        let key = identity.root_key().await.unwrap();
        let app = Arc::new(App {
            behaviour,
            meta: meta.clone(),
            calls: AtomicUsize::new(0),
        });
        let mut operations = Operations::new(&SERVICE, faults, identity.clone(), meta.clone());
        operations.serve::<MakeThing, _, _, _>(&app, handle);
        operations.serve::<LookAtThing, _, _, _>(&app, handle);
        Self {
            _directory: directory,
            meta,
            identity,
            operations,
            app,
            key,
        }
    }

    /// The same, whose caller may only look.
    pub(crate) async fn with_a_guest(behaviour: Behaviour) -> Self {
        let mut world = Self::new(behaviour).await;
        let session = NewSession {
            role_name: "R".to_owned(),
            session_name: "guest".to_owned(),
            grants: Grants::Only(vec![Grant {
                actions: vec!["tiny:Look*".to_owned()],
                resources: vec!["*".to_owned()],
                ..Grant::default()
            }]),
            expires_at: Timestamp::from_millis(1),
        };
        let begun = world.identity.begin_session(session, Timestamp::EPOCH);
        world.key = begun.await.unwrap();
        world
    }

    /// A table of the same service that serves one operation only.
    pub(crate) fn without_looking(&self) -> Operations {
        let (identity, meta) = (self.identity.clone(), self.meta.clone());
        let mut operations = Operations::new(&SERVICE, faults, identity, meta);
        operations.serve::<MakeThing, _, _, _>(&self.app, handle);
        operations
    }

    /// Calls an operation and gives status and body of the answer.
    pub(crate) async fn call(&self, operation: &'static Operation, body: Value) -> (u16, Value) {
        self.call_on(&self.operations, operation, body).await
    }

    pub(crate) async fn call_on(
        &self,
        operations: &Operations,
        operation: &'static Operation,
        body: Value,
    ) -> (u16, Value) {
        let request = http::Request::builder().method(Method::POST).uri("/");
        let answer = operations
            .call(Request {
                operation,
                protocol: Protocol::Json11,
                parts: request.body(()).unwrap().into_parts().0,
                document: Bytes::from(body.to_string()),
                payload: empty(),
                cx: self.cx(),
            })
            .await;
        let status = answer.status().as_u16();
        let bytes = read_to_limit(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    fn cx(&self) -> Cx {
        Cx {
            request_id: RequestId::random(),
            received_at: Timestamp::EPOCH,
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller: self.key.caller.clone(),
            source: "192.0.2.7".to_owned(),
            tls: None,
            signed: None,
            user_agent: "test".to_owned(),
            operation: OperationName {
                source: "",
                name: "",
                read_only: true,
            },
            parameters: None,
            recorded: Recorded::default(),
        }
    }

    /// How often a handler was reached.
    pub(crate) fn calls(&self) -> usize {
        self.app.calls.load(Ordering::Relaxed)
    }

    /// All events, newest first.
    pub(crate) async fn events(&self) -> Vec<outbox::Recorded> {
        let lookup = outbox::Lookup {
            attribute: None,
            from: None,
            until: None,
            before_seq: None,
            limit: 100,
        };
        let found: Result<_, MetaError> = self
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup))
            .await;
        found.unwrap().items
    }
}
