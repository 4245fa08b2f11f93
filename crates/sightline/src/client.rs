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

use crate::{environment, xml};

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

/// A service that is called by `Action`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryService {
    signing_name: &'static str,
    version: &'static str,
}

pub(crate) const IAM: QueryService = QueryService {
    signing_name: "iam",
    version: "2010-05-08",
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
        let request = http::Request::post(&self.server.endpoint)
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "x-amz-target",
                format!("{}.{operation}", service.target_prefix),
            )
            .body(())?;
        let (done, text) = self.send(service.signing_name, request, input.to_string())?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if !done {
            let member = |name: &str| answer[name].as_str().map(str::to_owned);
            return Err(refusal(
                operation,
                member("__type"),
                member("message"),
                text,
            ));
        }
        Ok(answer)
    }

    /// Calls an operation with a form and gives the answer's XML.
    pub(crate) fn query(
        &self,
        service: QueryService,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation);
        form.append_pair("Version", service.version);
        form.extend_pairs(parameters);
        let request = http::Request::post(format!("{}/", self.server.endpoint))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(())?;
        let (done, text) = self.send(service.signing_name, request, form.finish())?;
        if !done {
            let (code, message) = (xml::first(&text, "Code"), xml::first(&text, "Message"));
            return Err(refusal(operation, code, message, text));
        }
        Ok(text)
    }

    /// Signs and sends a request; whether it was done, and what was answered.
    fn send(
        &self,
        signing_name: &str,
        request: http::Request<()>,
        body: String,
    ) -> Result<(bool, String)> {
        let (mut parts, ()) = request.into_parts();
        let secret = SecretKey::new(self.key.secret_access_key.as_str());
        let signer = Signer {
            access_key_id: &self.key.access_key_id,
            secret: &secret,
            session_token: None,
            region: &self.server.region,
            service: signing_name,
        };
        let payload = PayloadHash::Sha256(sha256(body.as_bytes()));
        signer.sign_headers(&mut parts, payload, SystemClock.now())?;
        let mut response = self
            .agent
            .run(http::Request::from_parts(parts, body))
            .with_context(|| format!("{} does not answer", self.server.endpoint))?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().is_success(), text))
    }
}

fn refusal(
    operation: &str,
    code: Option<String>,
    message: Option<String>,
    text: String,
) -> anyhow::Error {
    let refusal = Refusal {
        operation: operation.to_owned(),
        code: code.unwrap_or_else(|| "no error code".to_owned()),
        message: message.unwrap_or(text),
    };
    refusal.into()
}
