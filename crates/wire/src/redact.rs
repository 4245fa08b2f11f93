//! What of a request an event may show.

use serde_json::{Map, Value, json};

use crate::limits::EVENT_PARAMETERS_BYTES_MAX;
use crate::schema::{Kind, Shape};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A copy of `document` without secrets: what the model marks as sensitive, and what members
/// named like secrets or environments hold, because people put secrets there. Members have the
/// names that `CloudTrail` gives them: the first letter small, and S3's `Bucket` a `bucketName`.
///
/// A document larger than an event may hold is replaced by a note that says so.
#[must_use]
pub fn redact(shape: &Shape, document: &Value) -> Value {
    let redacted = copy(shape, document);
    let bytes = redacted.to_string().len();
    if bytes <= EVENT_PARAMETERS_BYTES_MAX {
        return redacted;
    }
    json!({
        "omitted": true,
        "originalSize": bytes,
        "reason": "parameters too large",
    })
}

fn copy(shape: &Shape, value: &Value) -> Value {
    if shape.sensitive {
        return mask(value);
    }
    match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(object)) => {
            let mut copied = Map::new();
            for member in *members {
                if let Some(value) = object.get(member.name) {
                    let secret = is_secret_name(member.name);
                    let value = if secret {
                        mask(value)
                    } else {
                        copy(member.shape, value)
                    };
                    copied.insert(event_name(member.name), value);
                }
            }
            Value::Object(copied)
        }
        (Kind::List(list), Value::Array(items)) => {
            items.iter().map(|item| copy(list.member, item)).collect()
        }
        (Kind::Map(map), Value::Object(entries)) => {
            let entry = |(key, value): (&String, &Value)| {
                let value = if is_secret_name(key) {
                    mask(value)
                } else {
                    copy(map.value, value)
                };
                (key.clone(), value)
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        (_, value) => value.clone(),
    }
}

/// The name of a member in an event.
fn event_name(member: &str) -> String {
    if member == "Bucket" {
        return "bucketName".to_owned();
    }
    let mut chars = member.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// Parts of names, in lower case, that announce a secret. Not plain `token`: most tokens are
/// places in a list.
const SECRET_NAMES: [&str; 7] = [
    "environment",
    "secret",
    "password",
    "credential",
    "sessiontoken",
    "accesstoken",
    "authtoken",
];

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Masks the values and keeps the names, so that an event still shows which variables were set.
fn mask(value: &Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), mask(value)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(mask).collect(),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::from(MASK),
    }
}
