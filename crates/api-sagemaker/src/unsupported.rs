//! Refusing what a request asks for and the server does not do.

use serde_json::Value;
use sightline_api::Fault;

use crate::faults::validation;

/// Refuses a request that sets a member of `members` to anything but nothing.
///
/// Empty texts, lists and objects, `false` and the word `None` ask for nothing.
pub(crate) fn refuse(document: &Value, members: &[&str]) -> Result<(), Fault> {
    match members
        .iter()
        .find(|path| asks_for_something(at(document, path)))
    {
        None => Ok(()),
        Some(path) => Err(not_yet(path)),
    }
}

/// The refusal of something that the model has and the server does not do.
pub(crate) fn not_yet(what: &str) -> Fault {
    validation(format!(
        "{what} is not supported by this release of Sightline; the request was not carried out"
    ))
}

/// The values at a dotted path; a list on the way stands for each of its items.
fn at<'d>(document: &'d Value, path: &str) -> Vec<&'d Value> {
    path.split('.').fold(vec![document], |values, name| {
        let items = values.into_iter().flat_map(|value| {
            value
                .as_array()
                .map_or(vec![value], |items| items.iter().collect())
        });
        items.filter_map(|value| value.get(name)).collect()
    })
}

fn asks_for_something(values: Vec<&Value>) -> bool {
    values.into_iter().any(|value| match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && text != "None",
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    })
}

/// Demands that each member of a request, however deep, stands in exactly one of `lists`, itself
/// or by a member around it; and that no list names what the model does not have.
#[cfg(test)]
pub(crate) fn assert_each_is_in_one(
    input: &sightline_wire::schema::Shape,
    lists: &[&'static [&'static str]],
) {
    let named: Vec<&str> = lists.concat();
    let mut waiting = vec![(String::new(), input)];
    let mut met = Vec::new();
    while let Some((path, shape)) = waiting.pop() {
        let within = if path.is_empty() {
            path
        } else {
            format!("{path}.")
        };
        for member in shape.members() {
            let path = format!("{within}{}", member.name);
            let times = named.iter().filter(|name| **name == path).count();
            let inner = member.shape.item().unwrap_or(member.shape);
            assert!(times <= 1, "{path} stands in several lists");
            if times == 1 {
                met.push(path);
            } else {
                assert!(!inner.members().is_empty(), "{path} stands in no list");
                waiting.push((path, inner));
            }
        }
    }
    let absent: Vec<&&str> = named
        .iter()
        .filter(|name| !met.iter().any(|m| m == *name))
        .collect();
    assert!(absent.is_empty(), "not in the model: {absent:?}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_asks_for_something_is_refused() {
        let cases = [
            (json!({}), true),
            (json!({ "A": null }), true),
            (json!({ "A": {} }), true),
            (json!({ "A": [] }), true),
            (json!({ "A": "" }), true),
            (json!({ "A": false }), true),
            (json!({ "A": "None" }), true),
            (json!({ "A": true }), false),
            (json!({ "A": { "B": 1 } }), false),
            (json!({ "L": [{ "C": "None" }, {}] }), true),
            (json!({ "L": [{}, { "C": "Gzip" }] }), false),
        ];
        for (document, accepted) in cases {
            let refused = refuse(&document, &["A", "L.C"]);
            assert_eq!(refused.is_ok(), accepted, "{document}");
        }
    }

    #[test]
    fn a_refusal_names_the_member() {
        let fault = refuse(&json!({ "L": [{ "C": "Gzip" }] }), &["L.C"]).unwrap_err();
        assert!(
            fault.message.starts_with("L.C is not supported"),
            "{}",
            fault.message
        );
    }
}
