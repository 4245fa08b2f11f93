//! A service over engines in a temporary directory, and the means to talk to it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use sightline_api::{Body, Operations, Request, empty, full, read_to_limit};
use sightline_api_s3::{App, operations};
use sightline_blob::DirBlobStore;
use sightline_identity::{Grant, Grants, Identity, NewSession};
use sightline_meta::{Meta, MetaOptions, outbox};
use sightline_objects::Objects;
use sightline_ports::SystemClock;
use sightline_types::{Caller, Cx, OperationName, Recorded, RequestId, Timestamp};
use sightline_wire::route::{Match, match_rest};
use sightline_wire::schema::Protocol;

/// Larger than any answer of these tests.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub(crate) struct World {
    _directory: tempfile::TempDir,
    meta: Meta,
    identity: Identity,
    caller: Caller,
    operations: Operations,
}

/// An answer as it goes over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::in_region("us-east-1").await
    }

    pub(crate) async fn in_region(region: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meta.db");
        let meta = Meta::open(&MetaOptions { path }).unwrap();
        let region = region.parse().unwrap();
        let secret_key = directory.path().join("secret.key");
        let identity = Identity::open(meta.clone(), region, &secret_key, Timestamp::EPOCH);
        let identity = identity.await.unwrap();
        let caller = identity.root_key().await.unwrap().caller.clone();
        let blobs = DirBlobStore::open(&directory.path().join("objects")).unwrap();
        let objects = Objects::new(meta.clone(), Arc::new(blobs), Arc::new(SystemClock));
        let app = App {
            objects,
            identity: identity.clone(),
        };
        let operations = operations(&Arc::new(app), &identity, &meta);
        Self {
            _directory: directory,
            meta,
            identity,
            caller,
            operations,
        }
    }

    /// The same with a bucket `bkt`.
    pub(crate) async fn with_bucket() -> Self {
        let world = Self::new().await;
        assert_eq!(world.send("PUT /bkt", &[], "").await.status, 200);
        world
    }

    /// The same world for a caller who may do only this.
    pub(crate) async fn limited_to(mut self, actions: &[&str], resources: &[&str]) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let session = NewSession {
            role_name: "Tester".to_owned(),
            session_name: "limited".to_owned(),
            grants: Grants::Only(vec![Grant {
                actions: texts(actions),
                resources: texts(resources),
                prefixes: Vec::new(),
            }]),
            expires_at: Timestamp::from_millis(i64::MAX),
        };
        let session = self.identity.begin_session(session, Timestamp::EPOCH);
        self.caller = session.await.unwrap().caller.clone();
        self
    }

    /// The same world for the caller who may do anything.
    pub(crate) async fn unlimited(mut self) -> Self {
        self.caller = self.identity.root_key().await.unwrap().caller.clone();
        self
    }

    /// Sends a request line such as `PUT /bkt/k` with headers and a body.
    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            headers.push(("content-length", &length));
        }
        self.send_body(line, &headers, body.clone(), full(body))
            .await
    }

    /// Sends a payload whose frames have been taken off, with the trailers that followed it.
    pub(crate) async fn send_with_trailer(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &'static str,
        trailer: (&'static str, &'static str),
    ) -> Answer {
        let mut trailers = HeaderMap::new();
        trailers.insert(trailer.0, HeaderValue::from_static(trailer.1));
        let frames = [
            Ok(Frame::data(Bytes::from_static(body.as_bytes()))),
            Ok(Frame::trailers(trailers)),
        ];
        let payload = StreamBody::new(stream::iter(frames)).boxed_unsync();
        self.send_body(line, headers, Bytes::new(), payload).await
    }

    async fn send_body(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        document: Bytes,
        payload: Body,
    ) -> Answer {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let service = self.operations.service();
        let found = match_rest(service, method, path, query, &parts.headers).unwrap();
        let Match::Served(operation) = found else {
            panic!("{line} is {found:?}")
        };
        let (document, payload) = match operation.streams_in() {
            true => (Bytes::new(), payload),
            false => (document, empty()),
        };
        let cx = self.context();
        let protocol = Protocol::RestXml;
        let request = Request {
            operation,
            protocol,
            parts,
            document,
            payload,
            cx,
        };
        let (parts, body) = self.operations.call(request).await.into_parts();
        let body = read_to_limit(body, ANSWER_BYTES_MAX).await.unwrap();
        if method == Method::HEAD {
            assert!(body.is_empty(), "the answer to a HEAD has a body");
        }
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    fn context(&self) -> Cx {
        Cx {
            request_id: RequestId::random(),
            received_at: Timestamp::EPOCH,
            account: self.identity.account().clone(),
            region: self.identity.region().clone(),
            caller: self.caller.clone(),
            source: "127.0.0.1".to_owned(),
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

    pub(crate) fn account(&self) -> &str {
        self.identity.account().as_str()
    }

    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Name and outcome of every recorded event, oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let lookup = outbox::Lookup {
            attribute: None,
            from: None,
            until: None,
            before_seq: None,
            limit: 1000,
        };
        let page = self
            .meta
            .read(move |reader| outbox::lookup(reader, &lookup))
            .await
            .unwrap();
        let name = |event: outbox::Recorded| match event.record.get("errorCode") {
            Some(code) => format!("{} {}", event.name, code.as_str().unwrap()),
            None => event.name,
        };
        page.items.into_iter().rev().map(name).collect()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The content of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        self.elements(name).first().copied()
    }

    /// The contents of all elements of this name, in their order.
    pub(crate) fn elements(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = self.text().split(&open).skip(1);
        pieces
            .map(|piece| piece.split(&close).next().unwrap())
            .collect()
    }

    /// The ETags of a document, whose quotes XML writes as entities.
    pub(crate) fn etags(&self) -> Vec<String> {
        let etags = self.elements("ETag").into_iter();
        etags.map(|etag| etag.replace("&quot;", "\"")).collect()
    }

    /// Asserts a failure with this status and code, whose document has these elements.
    pub(crate) fn assert_error(&self, status: u16, code: &str, details: &[(&str, &str)]) {
        assert_eq!(
            (self.status, self.element("Code")),
            (status, Some(code)),
            "{}",
            self.text()
        );
        assert!(StatusCode::from_u16(self.status).unwrap().as_u16() >= 400);
        assert!(self.element("Message").is_some_and(|text| !text.is_empty()));
        assert_eq!(self.element("RequestId"), self.header("x-amz-request-id"));
        for (name, value) in details {
            assert_eq!(self.element(name), Some(*value), "{}", self.text());
        }
    }

    /// Asserts success.
    pub(crate) fn assert_ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            self.text()
        );
        self
    }
}
