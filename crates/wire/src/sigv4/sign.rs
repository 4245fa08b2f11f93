//! The client's side: signing our own requests to our own server.

use std::time::Duration;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sightline_types::Timestamp;

use super::canonical::Canonical;
use super::verify::string_to_sign;
use super::{ALGORITHM, Credential, PayloadHash, Place, SecretKey, SessionToken, SigningKey};

/// Headers that the transport may add or change after signing.
const UNSIGNED: [&str; 7] = [
    "accept-encoding",
    "authorization",
    "connection",
    "expect",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A key pair and the scope to sign for.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The public half of the key pair.
    pub access_key_id: &'a str,
    /// The secret half.
    pub secret: &'a SecretKey,
    /// The token of temporary keys.
    pub session_token: Option<&'a SessionToken>,
    /// The region to sign for.
    pub region: &'a str,
    /// The service to sign for.
    pub service: &'a str,
}

/// A request that cannot be signed, because a part of it cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's {0} cannot be signed")]
pub struct Unsignable(pub &'static str);

impl Signer<'_> {
    /// Signs a request in its `Authorization` header, adding the headers that this takes.
    ///
    /// Every header present is signed but those that a transport may change; the host is taken
    /// from the target unless given.
    pub fn sign_headers(
        &self,
        parts: &mut Parts,
        payload: PayloadHash,
        now: Timestamp,
    ) -> Result<(), Unsignable> {
        add_host(parts)?;
        let date = now.amz_date();
        insert(parts, "x-amz-date", &date)?;
        if self.service == "s3" {
            insert(parts, "x-amz-content-sha256", &payload.to_string())?;
        }
        if let Some(token) = self.session_token {
            insert(parts, "x-amz-security-token", token.expose())?;
        }
        let signed_headers = signed_headers(parts);
        let credential = self.credential(&date);
        let canonical = Canonical {
            parts,
            s3: credential.is_s3(),
            place: Place::Header,
            signed_headers: &signed_headers,
            payload,
        }
        .build();
        let text = string_to_sign(&date, &credential, &canonical);
        let signature = SigningKey::of(self.secret, &credential).sign(text.as_bytes());
        let value = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={signed_headers}, Signature={}",
            self.access_key_id,
            credential.scope(),
            signature.as_str(),
        );
        insert(parts, AUTHORIZATION.as_str(), &value)
    }

    /// Signs a request in its query, so that its URL alone is good for `expires`.
    pub fn presign(
        &self,
        parts: &mut Parts,
        expires: Duration,
        now: Timestamp,
    ) -> Result<(), Unsignable> {
        add_host(parts)?;
        let date = now.amz_date();
        let credential = self.credential(&date);
        let signed_headers = signed_headers(parts);
        let scope = format!("{}/{}", self.access_key_id, credential.scope());
        let seconds = expires.as_secs().to_string();
        append_query(
            parts,
            &[
                ("X-Amz-Algorithm", ALGORITHM),
                ("X-Amz-Credential", &scope),
                ("X-Amz-Date", &date),
                ("X-Amz-Expires", &seconds),
                ("X-Amz-SignedHeaders", &signed_headers),
            ],
        )?;
        if let Some(token) = self.session_token {
            append_query(parts, &[("X-Amz-Security-Token", token.expose())])?;
        }
        let s3 = credential.is_s3();
        let empty = PayloadHash::Sha256(super::sha256(b""));
        let canonical = Canonical {
            parts,
            s3,
            place: Place::Query,
            signed_headers: &signed_headers,
            payload: if s3 { PayloadHash::Unsigned } else { empty },
        }
        .build();
        let text = string_to_sign(&date, &credential, &canonical);
        let signature = SigningKey::of(self.secret, &credential).sign(text.as_bytes());
        append_query(parts, &[("X-Amz-Signature", signature.as_str())])
    }

    fn credential(&self, date: &str) -> Credential {
        Credential {
            access_key_id: self.access_key_id.into(),
            date: date.get(..8).unwrap_or_default().into(),
            region: self.region.into(),
            service: self.service.into(),
        }
    }
}

fn add_host(parts: &mut Parts) -> Result<(), Unsignable> {
    if parts.headers.contains_key(HOST) {
        return Ok(());
    }
    let authority = parts.uri.authority().ok_or(Unsignable("host"))?;
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Unsignable("host"))?;
    parts.headers.insert(HOST, value);
    Ok(())
}

fn insert(parts: &mut Parts, name: &'static str, value: &str) -> Result<(), Unsignable> {
    let value = HeaderValue::from_str(value).map_err(|_| Unsignable(name))?;
    parts.headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

fn signed_headers(parts: &Parts) -> String {
    let names = parts.headers.keys().map(HeaderName::as_str);
    let mut names: Vec<&str> = names.filter(|name| !UNSIGNED.contains(name)).collect();
    names.sort_unstable();
    names.join(";")
}

fn append_query(parts: &mut Parts, fields: &[(&str, &str)]) -> Result<(), Unsignable> {
    let unsignable = Unsignable("target");
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let old = uri.path_and_query.as_ref();
    let mut target = old.map_or_else(|| "/".to_owned(), ToString::to_string);
    for (name, value) in fields {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(name);
        target.push('=');
        target.extend(utf8_percent_encode(value, PARAMETER));
    }
    uri.path_and_query = Some(target.parse().map_err(|_| unsignable)?);
    parts.uri = Uri::from_parts(uri).map_err(|_| unsignable)?;
    Ok(())
}
