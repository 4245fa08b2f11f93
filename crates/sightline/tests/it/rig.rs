//! A server of a test's own, and the few calls that these tests make.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use sightline_proof::{Answer, Ask, Client, Launch, Server};
use tempfile::TempDir;

pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) launch: Launch,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::new(env!("CARGO_BIN_EXE_sightline"), folder.path());
        Self { folder, launch }
    }

    /// A running server and a client of its owner.
    pub(crate) fn start(&self) -> Running {
        let server = self.launch.start().unwrap();
        let key = server.root_key().unwrap();
        let client = server.client(&key);
        Running {
            server,
            client,
            kept: BTreeMap::new(),
        }
    }
}

pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) client: Client,
    /// What was acknowledged, by key.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
}

impl Running {
    pub(crate) fn send(&mut self, ask: &Ask) -> Answer {
        self.client.send(ask).unwrap()
    }

    fn at(&self, key: &str) -> String {
        format!("/{}/{key}", self.server.default_bucket)
    }

    /// Stores bytes, and remembers them if they were acknowledged.
    pub(crate) fn put(&mut self, key: &str, bytes: &[u8]) -> Answer {
        let ask = Ask::s3(Method::PUT, self.at(key)).body(bytes);
        let answer = self.send(&ask);
        if answer.is_success() {
            self.kept.insert(key.to_owned(), bytes.to_vec());
        }
        answer
    }

    pub(crate) fn get(&mut self, key: &str) -> Answer {
        let ask = Ask::s3(Method::GET, self.at(key));
        self.send(&ask)
    }

    pub(crate) fn delete(&mut self, key: &str) -> Answer {
        let ask = Ask::s3(Method::DELETE, self.at(key));
        let answer = self.send(&ask);
        if answer.is_success() {
            self.kept.remove(key);
        }
        answer
    }

    /// Everything that was acknowledged is there, whole.
    pub(crate) fn assert_kept(&mut self) {
        for (key, bytes) in self.kept.clone() {
            let answer = self.get(&key);
            assert_eq!(answer.status, 200, "{key}: {}", answer.text());
            assert!(answer.body == bytes, "{key} came back changed");
        }
    }

    /// The server went down and came up; what was acknowledged before is remembered.
    pub(crate) fn again(self, rig: &Rig) -> Self {
        let kept = self.kept;
        self.server.kill().unwrap();
        Self {
            kept,
            ..rig.start()
        }
    }

    pub(crate) fn events(&mut self, document: &Value) -> Vec<Value> {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let answer = self.send(&Ask::json("cloudtrail", target, document));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["Events"].as_array().unwrap().clone()
    }
}

/// An answer that says, in the service's own form, that the server could not do it.
pub(crate) fn assert_failed_clearly(answer: &Answer) {
    assert!(
        matches!(answer.status, 500 | 503 | 507),
        "{} {}",
        answer.status,
        answer.text()
    );
    let known = [
        "InternalError",
        "InternalFailure",
        "ServiceUnavailable",
        "InsufficientStorage",
    ];
    assert!(known.contains(&answer.code().as_str()), "{}", answer.text());
    assert!(
        !answer.request_id().is_empty(),
        "a failure names its request"
    );
    for inside in ["/tmp", "sqlite", "os error"] {
        assert!(
            !answer.text().contains(inside),
            "{inside} in {}",
            answer.text()
        );
    }
}

/// A document that looks up the last events of one name.
pub(crate) fn named(event: &str) -> Value {
    json!({ "LookupAttributes": [{ "AttributeKey": "EventName", "AttributeValue": event }] })
}
