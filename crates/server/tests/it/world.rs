//! A server without its listener, and a client that signs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use sightline_api::{full, read_to_limit};
use sightline_config::Settings;
use sightline_identity::{AccessKey, Grants, NewSession};
use sightline_ports::Clock as _;
use sightline_server::{Assembly, Ground, Peer, assemble};
use sightline_testkit::clock::VirtualClock;
use sightline_testkit::scripted::ScriptedLauncher;
use sightline_types::Timestamp;
use sightline_wire::sigv4::{
    Credential, PayloadHash, SecretKey, SessionToken, Signer, SigningKey, sha256,
};

/// Where the server seems to be.
const ENDPOINT: &str = "http://127.0.0.1:7070";

/// Larger than any answer of these tests.
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(crate) struct World {
    directory: tempfile::TempDir,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) assembly: Assembly,
    root: Arc<AccessKey>,
}

/// A request before it is signed.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) service: &'static str,
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// What is declared of the body; its hash unless something else.
    pub(crate) declared: Option<PayloadHash>,
}

impl Ask {
    fn new(service: &'static str, method: Method, target: &str, body: impl Into<Bytes>) -> Self {
        Self {
            service,
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: body.into(),
            declared: None,
        }
    }

    /// A request as a table of operations spells it.
    pub(crate) fn any(
        service: &'static str,
        method: Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self::new(service, method, target, body)
    }

    /// A request in JSON 1.1.
    pub(crate) fn json(service: &'static str, target: &str, body: impl ToString) -> Self {
        Self::new(service, Method::POST, "/", body.to_string())
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amz-target", target)
    }

    /// A request of the Query protocol.
    pub(crate) fn form(service: &'static str, form: &str) -> Self {
        Self::new(service, Method::POST, "/", form.to_owned())
            .with("content-type", "application/x-www-form-urlencoded")
    }

    /// A request to S3.
    pub(crate) fn s3(method: Method, target: &str, body: impl Into<Bytes>) -> Self {
        Self::new("s3", method, target, body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn declaring(mut self, payload: PayloadHash) -> Self {
        self.declared = Some(payload);
        self
    }

    /// The head of the request, which is not signed yet.
    fn parts(&self) -> http::request::Parts {
        let uri = format!("{ENDPOINT}{}", self.target);
        let mut request = http::Request::builder().method(&self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(()).unwrap().into_parts().0
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The error's code, whatever protocol it is written in.
    pub(crate) fn code(&self) -> String {
        if let Ok(json) = serde_json::from_str::<Value>(&self.text) {
            let code = json["__type"].as_str().unwrap();
            return code.rsplit('#').next().unwrap().to_owned();
        }
        let (_, rest) = self.text.split_once("<Code>").unwrap();
        rest.split_once("</Code>").unwrap().0.to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A server with settings of its own.
    pub(crate) async fn with(settings: Settings) -> Self {
        Self::on(tempfile::tempdir().unwrap(), settings).await
    }

    /// A server on what lies in a directory.
    pub(crate) async fn on(directory: tempfile::TempDir, settings: Settings) -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let launcher = ScriptedLauncher::new(async |_| panic!("nothing reconciles here"));
        let assembly = assemble(Ground {
            data_dir: directory.path().to_owned(),
            server: None,
            jobs_dir: directory.path().join("jobs"),
            settings,
            clock: clock.clone(),
            launcher: Arc::new(launcher),
        })
        .await
        .unwrap();
        let root = assembly.identity.root_key().await.unwrap();
        Self {
            directory,
            clock,
            assembly,
            root,
        }
    }

    /// Where its data lies.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// A key that may do nothing.
    pub(crate) async fn nobody(&self) -> Arc<AccessKey> {
        self.session(Grants::Only(Vec::new())).await
    }

    /// A temporary key that lasts for an hour.
    pub(crate) async fn session(&self, grants: Grants) -> Arc<AccessKey> {
        let session = NewSession {
            role_name: "R".to_owned(),
            session_name: "guest".to_owned(),
            grants,
            expires_at: self.clock.now().plus(Duration::from_secs(3_600)),
        };
        let identity = &self.assembly.identity;
        identity
            .begin_session(session, self.clock.now())
            .await
            .unwrap()
    }

    /// What a client with this key sends.
    pub(crate) fn signed(&self, ask: &Ask, key: &AccessKey) -> http::request::Parts {
        let token = key.session_token.as_ref();
        let token = token.map(|token| SessionToken::new(token.reveal()));
        let mut parts = ask.parts();
        let signer = Signer {
            access_key_id: &key.id,
            secret: &SecretKey::new(key.secret.reveal()),
            session_token: token.as_ref(),
            region: "us-east-1",
            service: ask.service,
        };
        let declared = ask
            .declared
            .unwrap_or(PayloadHash::Sha256(sha256(&ask.body)));
        signer
            .sign_headers(&mut parts, declared, self.clock.now())
            .unwrap();
        parts
    }

    /// The signature of one chunk, given the one before it.
    pub(crate) fn chunk_signature(&self, before: &str, chunk: &[u8]) -> String {
        let date = self.clock.now().amz_date();
        let day = &date[..8];
        let credential = Credential {
            access_key_id: self.root.id.as_str().into(),
            date: day.into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        };
        let (empty, chunk) = (sha256(b""), sha256(chunk));
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{day}/us-east-1/s3/aws4_request\n{before}\n{empty}\n\
             {chunk}"
        );
        let secret = SecretKey::new(self.root.secret.reveal());
        let signature = SigningKey::of(&secret, &credential).sign(text.as_bytes());
        signature.as_str().to_owned()
    }

    pub(crate) fn root(&self) -> &AccessKey {
        &self.root
    }

    /// Sends a request as a transport does, with the length of its body.
    pub(crate) async fn send(&self, mut parts: http::request::Parts, body: Bytes) -> Answer {
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        let request = http::Request::from_parts(parts, full(body));
        let answer = self
            .assembly
            .front
            .answer(request, &Peer::new("192.0.2.7"))
            .await;
        let (parts, body) = answer.into_parts();
        let bytes = read_to_limit(body, ANSWER_BYTES_MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn ask_unsigned(&self, ask: Ask) -> Answer {
        self.send(ask.parts(), ask.body).await
    }

    pub(crate) async fn ask_as(&self, key: &AccessKey, ask: Ask) -> Answer {
        self.send(self.signed(&ask, key), ask.body).await
    }

    /// The owner's request.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        self.ask_as(&self.root, ask).await
    }

    /// The events of this name, newest first, as users look them up.
    pub(crate) async fn events(&self, name: &str) -> Vec<Value> {
        let attribute = json!({ "AttributeKey": "EventName", "AttributeValue": name });
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let body = json!({ "LookupAttributes": [attribute] });
        let answer = self.ask(Ask::json("cloudtrail", target, body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let events = answer.json()["Events"].clone();
        let record = |event: &Value| {
            serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap()
        };
        events.as_array().unwrap().iter().map(record).collect()
    }
}
