//! Forms by which browsers upload to S3: a policy that the owner of a key signed, and the fields
//! that it allows.
//!
//! The signature covers the policy and nothing else, so every field must be named in it: one that
//! is not is refused, as S3 does. botocore signs policies in version 2 unless told otherwise.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha1::Sha1;
use sightline_types::Timestamp;

use crate::sigv4::{
    ALGORITHM, Credential, Mismatch, Place, SecretKey, SessionToken, SigV4Error, SigningKey, clip,
};

/// Fields of a form at most; the largest form that S3 takes has 20 kB of them.
pub const FIELDS_MAX: usize = 100;

/// Bytes of all fields of a form together, as S3 has it.
pub const FIELDS_BYTES_MAX: usize = 20_000;

/// Fields that the policy need not name: itself, its signature, and the file.
const UNNAMED: [&str; 5] = [
    "policy",
    "x-amz-signature",
    "awsaccesskeyid",
    "signature",
    "file",
];

/// What must not be named either, so that a page can have fields of its own.
const IGNORED_PREFIX: &str = "x-ignore-";

/// The fields of a form, by their names in lower case.
#[derive(Clone, Debug, Default)]
pub struct Form(BTreeMap<String, String>);

/// Why a form is refused, in S3's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The form has too many fields, or too much in them.
    #[error("Your POST request fields preceding the upload file were too large.")]
    TooLarge,
    /// A field is given twice.
    #[error("The field {0} is given twice.")]
    Repeated(String),
    /// The policy cannot be read.
    #[error("Invalid Policy: {0}")]
    Policy(String),
    /// The policy does not allow this form.
    #[error("Invalid according to Policy: {0}")]
    Refused(String),
}

impl PostError {
    /// S3's code and status.
    #[must_use]
    pub fn code(&self) -> (&'static str, http::StatusCode) {
        match self {
            Self::TooLarge => (
                "MaxPostPreDataLengthExceeded",
                http::StatusCode::BAD_REQUEST,
            ),
            Self::Repeated(_) => ("InvalidArgument", http::StatusCode::BAD_REQUEST),
            Self::Policy(_) => ("InvalidPolicyDocument", http::StatusCode::BAD_REQUEST),
            Self::Refused(_) => ("AccessDenied", http::StatusCode::FORBIDDEN),
        }
    }
}

impl Form {
    /// Adds a field.
    pub fn add(&mut self, name: &str, value: String) -> Result<(), PostError> {
        let fields: usize = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if FIELDS_MAX <= self.0.len() || FIELDS_BYTES_MAX < fields + name.len() + value.len() {
            return Err(PostError::TooLarge);
        }
        let name = name.to_ascii_lowercase();
        if self.0.insert(name.clone(), value).is_some() {
            return Err(PostError::Repeated(clip(&name)));
        }
        Ok(())
    }

    /// The value of a field, by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every field that says something of the object: all but the signature's own.
    pub fn said(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_signature = |name: &str| {
            UNNAMED.contains(&name)
                || name.starts_with(IGNORED_PREFIX)
                || [
                    "x-amz-algorithm",
                    "x-amz-credential",
                    "x-amz-date",
                    "x-amz-security-token",
                ]
                .contains(&name)
        };
        let fields = self.0.iter().filter(move |(name, _)| !of_signature(name));
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts the name of the uploaded file where the key asks for it.
    pub fn name_file(&mut self, file_name: &str) {
        if let Some(key) = self.0.get_mut("key") {
            *key = key.replace("${filename}", file_name);
        }
    }

    /// Reads who signed the form's policy.
    pub fn presented(&self) -> Result<Presented, SigV4Error> {
        let policy = self.get("policy").ok_or(SigV4Error::Missing)?;
        let token = self.get("x-amz-security-token").map(SessionToken::new);
        let place = Place::Query;
        let signed = match (self.get("awsaccesskeyid"), self.get("x-amz-credential")) {
            (None, None) => return Err(SigV4Error::Missing),
            (Some(_), Some(_)) => return Err(SigV4Error::TwoMechanisms),
            (Some(id), None) => Signed::V2 {
                access_key_id: id.to_owned(),
                signature: self.get("signature").ok_or(SigV4Error::Missing)?.to_owned(),
            },
            (None, Some(credential)) => {
                if self.get("x-amz-algorithm") != Some(ALGORITHM) {
                    let scheme = clip(self.get("x-amz-algorithm").unwrap_or_default());
                    return Err(SigV4Error::UnsupportedScheme { place, scheme });
                }
                Signed::V4 {
                    credential: Credential::parse(credential, place)?,
                    signature: self
                        .get("x-amz-signature")
                        .ok_or(SigV4Error::Missing)?
                        .to_owned(),
                }
            }
        };
        Ok(Presented {
            session_token: token,
            policy: policy.to_owned(),
            signed,
        })
    }
}

/// A signed policy, readable but not yet believed.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The token of temporary keys, which the caller compares with the session's.
    pub session_token: Option<SessionToken>,
    policy: String,
    signed: Signed,
}

#[derive(Clone, Debug)]
enum Signed {
    V2 {
        access_key_id: String,
        signature: String,
    },
    V4 {
        credential: Credential,
        signature: String,
    },
}

impl Presented {
    /// Who claims to have signed.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        match &self.signed {
            Signed::V2 { access_key_id, .. } => access_key_id,
            Signed::V4 { credential, .. } => &credential.access_key_id,
        }
    }

    /// Checks the scope, where the version has one.
    pub fn expect_scope(&self, service: &str, regions: &[&str]) -> Result<(), SigV4Error> {
        match &self.signed {
            Signed::V2 { .. } => Ok(()),
            Signed::V4 { credential, .. } => credential.expect(Place::Query, service, regions),
        }
    }

    /// Verifies the signature of the policy with the secret of its key.
    pub fn verify(&self, secret: &SecretKey) -> Result<(), SigV4Error> {
        let holds = match &self.signed {
            Signed::V2 { signature, .. } => {
                let mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes());
                match (mac, BASE64.decode(signature)) {
                    (Ok(mac), Ok(claimed)) => mac
                        .chain_update(&self.policy)
                        .verify_slice(&claimed)
                        .is_ok(),
                    (Err(_), _) | (_, Err(_)) => false,
                }
            }
            Signed::V4 {
                credential,
                signature,
            } => {
                let key = SigningKey::of(secret, credential);
                key.sign(self.policy.as_bytes())
                    .matches(signature.as_bytes())
            }
        };
        if holds {
            return Ok(());
        }
        Err(SigV4Error::SignatureMismatch(Box::new(Mismatch {
            access_key_id: clip(self.access_key_id()),
            signature: String::new(),
            string_to_sign: clip(&self.policy),
            canonical_request: String::new(),
        })))
    }

    /// The policy.
    pub fn policy(&self) -> Result<Policy, PostError> {
        Policy::parse(&self.policy)
    }
}

/// What the owner of a key allows whoever holds the form.
#[derive(Clone, Debug)]
pub struct Policy {
    expires_at: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    Equals(String, String),
    StartsWith(String, String),
    Length(u64, u64),
}

impl Policy {
    fn parse(text: &str) -> Result<Self, PostError> {
        let wrong = |why: &str| PostError::Policy(why.to_owned());
        let bytes = BASE64.decode(text).map_err(|_| wrong("Invalid Base64."))?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| wrong("Invalid JSON."))?;
        let expires_at = document
            .get("expiration")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("Policy missing expiration."))?;
        let listed = document.get("conditions").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| wrong("Policy missing conditions."))?;
        let mut conditions = Vec::new();
        for one in listed {
            let read = Condition::read(one);
            conditions.extend(read.ok_or_else(|| wrong("Invalid Condition."))?);
        }
        Ok(Self {
            expires_at,
            conditions,
        })
    }

    /// Checks a form for `bucket` against the policy, and gives the sizes that the file may have.
    pub fn check(
        &self,
        form: &Form,
        bucket: &str,
        now: Timestamp,
    ) -> Result<std::ops::RangeInclusive<u64>, PostError> {
        let refused = |why: String| Err(PostError::Refused(why));
        if self.expires_at < now {
            return refused("Policy expired.".to_owned());
        }
        let value = |name: &str| match name {
            "bucket" => Some(bucket),
            name => form.get(name),
        };
        let (mut least, mut most) = (0, u64::MAX);
        for condition in &self.conditions {
            let (name, wanted, holds) = match condition {
                Condition::Length(from, to) => {
                    (least, most) = (least.max(*from), most.min(*to));
                    continue;
                }
                Condition::Equals(name, wanted) => {
                    (name, wanted, value(name) == Some(wanted.as_str()))
                }
                Condition::StartsWith(name, wanted) => {
                    let starts = value(name).is_some_and(|value| value.starts_with(wanted));
                    (
                        name,
                        wanted,
                        starts || (wanted.is_empty() && value(name).is_none()),
                    )
                }
            };
            if !holds {
                let operator = match condition {
                    Condition::StartsWith(..) => "starts-with",
                    Condition::Equals(..) | Condition::Length(..) => "eq",
                };
                let why =
                    format!("Policy Condition failed: [\"{operator}\", \"${name}\", \"{wanted}\"]");
                return refused(clip(&why));
            }
        }
        let named = |field: &str| {
            self.conditions.iter().any(|condition| match condition {
                Condition::Equals(name, _) | Condition::StartsWith(name, _) => name == field,
                Condition::Length(..) => false,
            })
        };
        let extra = form.0.keys().find(|name| {
            !UNNAMED.contains(&name.as_str()) && !name.starts_with(IGNORED_PREFIX) && !named(name)
        });
        match extra {
            None => Ok(least..=most),
            Some(name) => refused(format!("Extra input fields: {}", clip(name))),
        }
    }
}

impl Condition {
    /// The conditions that one entry of a policy states.
    fn read(entry: &Value) -> Option<Vec<Self>> {
        match entry {
            Value::Object(pairs) => pairs
                .iter()
                .map(|(name, value)| {
                    let wanted = value.as_str()?.to_owned();
                    Some(Self::Equals(name.to_ascii_lowercase(), wanted))
                })
                .collect(),
            Value::Array(parts) => {
                let [operator, subject, object] = parts.as_slice() else {
                    return None;
                };
                let operator = operator.as_str()?.to_ascii_lowercase();
                if operator == "content-length-range" {
                    return Some(vec![Self::Length(number(subject)?, number(object)?)]);
                }
                let name = subject.as_str()?.strip_prefix('$')?.to_ascii_lowercase();
                let wanted = object.as_str()?.to_owned();
                match operator.as_str() {
                    "eq" => Some(vec![Self::Equals(name, wanted)]),
                    "starts-with" => Some(vec![Self::StartsWith(name, wanted)]),
                    _ => None,
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
}

/// A size, which some tools write as a text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        let mut form = Form::default();
        for (name, value) in fields {
            form.add(name, (*value).to_owned()).unwrap();
        }
        form
    }

    fn policy(conditions: Value) -> Result<Policy, PostError> {
        let document = json!({ "expiration": "2030-01-01T00:00:00Z", "conditions": conditions });
        Policy::parse(&BASE64.encode(document.to_string()))
    }

    #[test]
    fn every_field_must_be_as_the_policy_says_and_named_in_it() {
        let all = json!([
            {"bucket": "bkt"},
            ["starts-with", "$key", "in/"],
            ["eq", "$Content-Type", "text/csv"],
            ["starts-with", "$x-amz-meta-a", ""],
            ["content-length-range", 1, "10"],
        ]);
        let policy = policy(all).unwrap();
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[("key", "in/a"), ("Content-Type", "text/csv")], true),
            (
                &[
                    ("Key", "in/a"),
                    ("content-type", "text/csv"),
                    ("X-Amz-Meta-A", "x"),
                    ("x-ignore-me", ""),
                ],
                true,
            ),
            (&[("key", "out/a"), ("Content-Type", "text/csv")], false),
            (&[("key", "in/a"), ("Content-Type", "text/csv; x")], false),
            (&[("key", "in/a")], false),
            (
                &[
                    ("key", "in/a"),
                    ("Content-Type", "text/csv"),
                    ("acl", "private"),
                ],
                false,
            ),
        ];
        for (fields, allowed) in cases {
            let checked = policy.check(&form(fields), "bkt", Timestamp::EPOCH);
            assert_eq!(checked.is_ok(), allowed, "{fields:?}: {checked:?}");
            assert!(
                policy
                    .check(&form(fields), "other", Timestamp::EPOCH)
                    .is_err()
            );
        }
        let good = form(cases[0].0);
        assert_eq!(policy.check(&good, "bkt", Timestamp::EPOCH), Ok(1..=10));
        let late = Timestamp::from_millis(1_900_000_000_000);
        let expired = policy.check(&good, "bkt", late).unwrap_err();
        assert_eq!(
            expired.to_string(),
            "Invalid according to Policy: Policy expired."
        );
    }

    #[test]
    fn what_is_no_policy_is_refused_before_anything_is_allowed() {
        let wrong = [
            json!([["like", "$key", "a"]]),
            json!([["eq", "key", "a"]]),
            json!([["eq", "$key"]]),
            json!([{"key": 1}]),
            json!(["key"]),
            json!([["content-length-range", -1, 2]]),
            json!({}),
        ];
        for conditions in wrong {
            assert!(policy(conditions.clone()).is_err(), "{conditions}");
        }
        assert!(Policy::parse("not base64!").is_err());
        assert!(Policy::parse(&BASE64.encode("{}")).is_err());
    }

    #[test]
    fn a_form_has_an_end() {
        let mut form = Form::default();
        form.add("a", String::new()).unwrap();
        assert_eq!(
            form.add("A", String::new()),
            Err(PostError::Repeated("a".to_owned()))
        );
        let long = "x".repeat(FIELDS_BYTES_MAX);
        assert_eq!(form.add("b", long), Err(PostError::TooLarge));
    }

    #[test]
    fn both_versions_of_signatures_are_those_that_botocore_makes() {
        // By botocore 1.44: HmacV1PostAuth and S3SigV4PostAuth over the policy `e30=` with the
        // secret `secret`; the date is 20261128, the region us-east-1.
        let secret = SecretKey::new("secret");
        let v2 = form(&[
            ("policy", "e30="),
            ("AWSAccessKeyId", "AKID"),
            ("signature", V2_SIGNATURE),
        ]);
        assert_eq!(v2.presented().unwrap().verify(&secret), Ok(()));
        let v4 = form(&[
            ("policy", "e30="),
            ("x-amz-algorithm", ALGORITHM),
            (
                "x-amz-credential",
                "AKID/20261128/us-east-1/s3/aws4_request",
            ),
            ("x-amz-date", "20261128T010000Z"),
            ("x-amz-signature", V4_SIGNATURE),
        ]);
        let presented = v4.presented().unwrap();
        assert_eq!(presented.verify(&secret), Ok(()));
        assert_eq!(presented.expect_scope("s3", &["us-east-1"]), Ok(()));
        assert!(presented.expect_scope("s3", &["eu-west-1"]).is_err());
        assert!(presented.verify(&SecretKey::new("other")).is_err());
        assert!(
            v2.presented()
                .unwrap()
                .verify(&SecretKey::new("other"))
                .is_err()
        );
    }

    const V2_SIGNATURE: &str = "3KeROaoASbxgUSU+Qu1QG4MqvzI=";
    const V4_SIGNATURE: &str = "ecf115aad37b4b9c9c938d3b66da3c54083ce8fb1913f738538e45e85cbf5994";
}
