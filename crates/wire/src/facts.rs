//! What a request says that conditions of policies ask about.

use serde_json::Value;

use crate::schema::Operation;

/// The condition keys that follow from a request's parameters, with their values.
///
/// Those that the operation's table names, and for every operation `aws:RequestTag/…` and
/// `aws:TagKeys` where the request holds tags.
#[must_use]
pub fn condition_facts(operation: &Operation, document: &Value) -> Vec<(String, Vec<String>)> {
    let named = operation.conditions.iter().filter_map(|(key, member)| {
        let values = document.get(member).map(texts)?;
        Some(((*key).to_owned(), values))
    });
    let mut facts: Vec<_> = named.filter(|(_, values)| !values.is_empty()).collect();
    let mut tag_keys = document.get("TagKeys").map(texts).unwrap_or_default();
    let tags = document.get("Tags").and_then(Value::as_array);
    for tag in tags.into_iter().flatten() {
        if let (Some(key), Some(value)) = (text(tag, "Key"), text(tag, "Value")) {
            facts.push((format!("aws:RequestTag/{key}"), vec![value.to_owned()]));
            tag_keys.push(key.to_owned());
        }
    }
    if !tag_keys.is_empty() {
        facts.push(("aws:TagKeys".to_owned(), tag_keys));
    }
    facts
}

fn text<'v>(tag: &'v Value, name: &str) -> Option<&'v str> {
    tag.get(name)?.as_str()
}

/// A text, number or truth value, or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(truth) => vec![truth.to_string()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}
