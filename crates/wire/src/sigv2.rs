//! AWS Signature Version 2 in the query: the presigned URLs that botocore makes for S3 by default.
//!
//! Unless told otherwise, botocore presigns S3 requests this way in every region that S3 had
//! before 2014, also for an endpoint of one's own. The signature is an HMAC-SHA1 over the method,
//! `Content-MD5`, `Content-Type`, the time of expiry, the `x-amz-*` headers, the path and those
//! parameters of the query that the scheme knows ([`SIGNED_PARAMETERS`]). Nothing else is signed
//! this way here: a V2 `Authorization` header is refused by [`sigv4`](crate::sigv4).
//!
//! What the scheme leaves open, and how it is met:
//!
//! - The rest of the query is not signed, so that a holder could turn `PUT /bucket/key` into
//!   another operation with `?retention`. Only [`UNSIGNED_PARAMETERS`], which do not choose what
//!   is acted upon, are let through; any other name is refused. A listing's prefix thus remains
//!   the holder's choice, as on S3: a presigned listing is one of the whole bucket.
//! - Host, region and body are not signed, and there is no limit to a URL's life: the time of
//!   expiry is the signer's to choose.
//! - Values stand decoded in the string to sign, so that `a%26acl=` and `a&acl=` read alike. Who
//!   lets strangers choose a `response-*` value should sign with version 4.
//!
//! botocore writes the headers that it signs into the query. A client need not repeat them:
//! [`Presented::parse`] makes them headers of the request, where operations look for them. A
//! header that the client does send goes first, and must then be the one that was signed.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use sha1::Sha1;
use sightline_types::Timestamp;

pub use error::{Mismatch, SigV2Error};

use crate::sigv4::{PayloadHash, SecretKey, SessionToken, SigV4Error};
use crate::uri::decode_component;

/// The parameters that are signed, in ascending order: botocore's list.
const SIGNED_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// The parameters that a URL may hold unsigned: which part of a listing is asked for, and how.
const UNSIGNED_PARAMETERS: &[&str] = &[
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
];

/// A signature as presented: readable and complete, but not yet believed.
#[derive(Clone)]
pub struct Presented {
    /// Who claims to have signed.
    pub access_key_id: Box<str>,
    /// When the URL ends.
    pub expires_at: Timestamp,
    /// The token of temporary keys, which the caller compares with the session's.
    pub session_token: Option<SessionToken>,
    /// What is declared about the body: as a rule nothing, since V2 has no word for it.
    pub payload: PayloadHash,
    signature: Box<str>,
    string_to_sign: String,
}

impl Presented {
    /// Reads the signature of a request; `None` if it presents none of this version.
    ///
    /// The headers that the query stands for become headers of the request.
    pub fn parse(parts: &mut Parts) -> Result<Option<Self>, SigV4Error> {
        let text = parts.uri.query().unwrap_or_default();
        if !is_version_2(text) {
            return Ok(None);
        }
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(SigV4Error::TwoMechanisms);
        }
        let mut query = read_query(text)?;
        let auth = Auth::take(&mut query)?;
        let resource = resource(parts.uri.path(), &query);
        adopt_headers(query, &mut parts.headers)?;
        let string_to_sign =
            string_to_sign(&parts.method, &parts.headers, &auth.expires, &resource)?;
        let token = single(&parts.headers, "x-amz-security-token")?;
        Ok(Some(Self {
            expires_at: auth.expires_at()?,
            access_key_id: auth.access_key_id.into(),
            session_token: token.map(SessionToken::new),
            payload: declared_payload(&parts.headers)?,
            signature: auth.signature.into(),
            string_to_sign,
        }))
    }

    /// Verifies the signature with the secret of its access key, at the time `now`.
    pub fn verify(&self, secret: &SecretKey, now: Timestamp) -> Result<(), SigV4Error> {
        let expired_at = self.expires_at;
        if now > expired_at {
            return Err(SigV2Error::Expired { expired_at, now }.into());
        }
        let mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes());
        let claimed = BASE64.decode(&*self.signature);
        let holds = match (mac, claimed) {
            (Ok(mac), Ok(claimed)) => mac
                .chain_update(&self.string_to_sign)
                .verify_slice(&claimed)
                .is_ok(),
            (Err(_), _) | (_, Err(_)) => false,
        };
        if holds {
            return Ok(());
        }
        let mismatch = Mismatch {
            access_key_id: self.access_key_id.to_string(),
            signature: self.signature.to_string(),
            string_to_sign: self.string_to_sign.clone(),
        };
        Err(SigV2Error::SignatureMismatch(Box::new(mismatch)).into())
    }
}

/// Leaves out the string to sign, which may hold a session token.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Whether a request presents a signature of this version.
#[must_use]
pub fn is_presented(parts: &Parts) -> bool {
    is_version_2(parts.uri.query().unwrap_or_default())
}

/// Whether a query is signed in this version: it names a key or holds a signature, and neither
/// version 4's parameters nor the `SignatureVersion` of the Query services' own version 2.
fn is_version_2(query: &str) -> bool {
    let mut claimed = false;
    for pair in query.split('&') {
        match pair.split_once('=').map_or(pair, |(name, _)| name) {
            "AWSAccessKeyId" | "Signature" => claimed = true,
            "SignatureVersion" | "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature" => {
                return false;
            }
            _ => {}
        }
    }
    claimed
}

/// Parameters by name, decoded as operations decode them; `None` is a name without `=`.
type Query = BTreeMap<String, Option<String>>;

/// Reads a query in which each name occurs once: S3 knows no repeated parameter, and readers that
/// disagree about which one counts would disagree about what was signed.
fn read_query(text: &str) -> Result<Query, SigV2Error> {
    let decode = |text: &str| decode_component(&text.replace('+', " "));
    let mut query = Query::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let malformed = || SigV2Error::malformed(pair);
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        let name = decode(name).map_err(|_| malformed())?;
        let value = value.map(decode).transpose().map_err(|_| malformed())?;
        if query.insert(name, value).is_some() {
            return Err(malformed());
        }
    }
    Ok(query)
}

/// The parameters of the signature itself.
struct Auth {
    access_key_id: String,
    expires: String,
    signature: String,
}

impl Auth {
    fn take(query: &mut Query) -> Result<Self, SigV2Error> {
        let mut take = |name| query.remove(name).flatten().ok_or(SigV2Error::Incomplete);
        Ok(Self {
            access_key_id: take("AWSAccessKeyId")?,
            expires: take("Expires")?,
            signature: take("Signature")?,
        })
    }

    fn expires_at(&self) -> Result<Timestamp, SigV2Error> {
        let invalid = || SigV2Error::expires_invalid(&self.expires);
        if !self.expires.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let seconds: i64 = self.expires.parse().map_err(|_| invalid())?;
        Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }
}

/// The path as it was sent, then the signed parameters by name. The name of a bucket alone is
/// signed with a slash, whether it was sent with one or not.
fn resource(path: &str, query: &Query) -> String {
    let mut text = path.to_owned();
    if !path.trim_start_matches('/').contains('/') && !path.ends_with('/') {
        text.push('/');
    }
    let signed = query
        .iter()
        .filter(|(name, _)| SIGNED_PARAMETERS.contains(&name.as_str()));
    for (at, (name, value)) in signed.enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

/// Moves the headers that the query stands for among the headers, and refuses what else is
/// neither signed nor harmless. A header's value cannot hold a line end, with which one signed
/// line could pass for two.
fn adopt_headers(query: Query, headers: &mut HeaderMap) -> Result<(), SigV2Error> {
    let mut strangers = Vec::new();
    for (name, value) in query {
        if SIGNED_PARAMETERS.contains(&&*name) || UNSIGNED_PARAMETERS.contains(&&*name) {
            continue;
        }
        if !is_signed_header(&name) {
            strangers.push(name);
            continue;
        }
        let malformed = |_| SigV2Error::malformed(&name);
        let value = value.unwrap_or_default();
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| malformed(()))?;
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed(()))?;
        if !headers.contains_key(&header) {
            headers.insert(header, value);
        }
    }
    if strangers.is_empty() {
        Ok(())
    } else {
        Err(SigV2Error::NotSigned { names: strangers })
    }
}

fn is_signed_header(name: &str) -> bool {
    name.starts_with("x-amz-") || matches!(name, "content-md5" | "content-type")
}

fn string_to_sign(
    method: &Method,
    headers: &HeaderMap,
    expires: &str,
    resource: &str,
) -> Result<String, SigV2Error> {
    let md5 = single(headers, "content-md5")?.unwrap_or_default();
    let kind = single(headers, "content-type")?.unwrap_or_default();
    let mut text = format!("{method}\n{md5}\n{kind}\n{expires}\n");
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.retain(|name| name.starts_with("x-amz-"));
    names.sort_unstable();
    for name in names {
        let values = headers.get_all(name).iter();
        let values: Option<Vec<&str>> = values.map(header_text).collect();
        let values = values.ok_or_else(|| SigV2Error::malformed(name))?;
        text.extend([name, ":", &values.join(","), "\n"]);
    }
    text.push_str(resource);
    Ok(text)
}

/// The value of a header that may occur once at most.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, SigV2Error> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| header_text(value).ok_or(()));
    match (value.transpose(), values.next()) {
        (Ok(value), None) => Ok(value),
        (Ok(_) | Err(()), _) => Err(SigV2Error::malformed(name)),
    }
}

fn header_text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
}

/// A hash that is declared was signed, as every `x-amz-*` header, and so must hold. The framed
/// forms belong to version 4, whose signature their chunks continue.
fn declared_payload(headers: &HeaderMap) -> Result<PayloadHash, SigV4Error> {
    let Some(text) = single(headers, "x-amz-content-sha256")? else {
        return Ok(PayloadHash::Unsigned);
    };
    let payload = PayloadHash::parse(text.as_bytes())?;
    if payload.is_streaming() {
        let got = text.to_owned();
        return Err(SigV4Error::PayloadHashInvalid { got });
    }
    Ok(payload)
}
