//! Signed calls to the running server, as any other client makes them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use sightline_ports::{Clock as _, SystemClock};
use sightline_server::{Credentials, ServerFile};
use sightline_wire::sigv4::{PayloadHash, SecretKey, Signer, sha256};
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::environment;

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    server: ServerFile,
    key: Credentials,
    agent: ureq::Agent,
}

/// What the server answered instead of doing it.
#[derive(Debug)]
pub(crate) struct Refusal {
    operation: String,
    pub(crate) code: String,
    message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            operation,
            code,
            message,
        } = self;
        write!(f, "{operation}: {message} ({code})")
    }
}

impl std::error::Error for Refusal {}

/// A service that is called by `X-Amz-Target`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    signing_name: &'static str,
    target_prefix: &'static str,
}

pub(crate) const SAGEMAKER: Service = Service {
    signing_name: "sagemaker",
    target_prefix: "SageMaker",
};

pub(crate) const LOGS: Service = Service {
    signing_name: "logs",
    target_prefix: "Logs_20140328",
};

/// Trusts the server's authority and nobody else.
fn trust(server: &ServerFile) -> Result<TlsConfig> {
    let mut trusted = Vec::new();
    if let Some(authority) = &server.authority {
        let text = std::fs::read(authority)
            .with_context(|| format!("cannot read {}", authority.display()))?;
        for item in parse_pem(&text) {
            if let PemItem::Certificate(certificate) = item? {
                trusted.push(certificate);
            }
        }
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build())
}

impl Client {
    /// A client of the server that runs on a data directory.
    pub(crate) fn of(data_dir: &Path) -> Result<Self> {
        let (server, key) = environment::find(data_dir)?;
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .tls_config(trust(&server)?)
            .build();
        Ok(Self {
            server,
            key,
            agent: config.into(),
        })
    }

    /// Calls an operation with a document and gives the answer's.
    pub(crate) fn call(&self, service: Service, operation: &str, input: &Value) -> Result<Value> {
        let body = input.to_string();
        let request = http::Request::post(&self.server.endpoint)
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "x-amz-target",
                format!("{}.{operation}", service.target_prefix),
            )
            .body(())?;
        let (mut parts, ()) = request.into_parts();
        let secret = SecretKey::new(self.key.secret_access_key.as_str());
        let signer = Signer {
            access_key_id: &self.key.access_key_id,
            secret: &secret,
            session_token: None,
            region: &self.server.region,
            service: service.signing_name,
        };
        let payload = PayloadHash::Sha256(sha256(body.as_bytes()));
        signer.sign_headers(&mut parts, payload, SystemClock.now())?;
        let mut response = self
            .agent
            .run(http::Request::from_parts(parts, body))
            .with_context(|| format!("{} does not answer", self.server.endpoint))?;
        let text = response.body_mut().read_to_string()?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if !response.status().is_success() {
            return Err(Refusal {
                operation: operation.to_owned(),
                code: answer["__type"]
                    .as_str()
                    .unwrap_or("no error code")
                    .to_owned(),
                message: answer["message"].as_str().unwrap_or(&text).to_owned(),
            }
            .into());
        }
        Ok(answer)
    }
}
