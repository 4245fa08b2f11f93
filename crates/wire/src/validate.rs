//! The constraints of a model, with the texts in which AWS reports them.
//!
//! Clients check required members and types themselves, never patterns, enumerations or maximum
//! lengths, so this is where a bad name is first noticed.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::limits::{ECHO_CHARS_MAX, VIOLATIONS_MAX};
use crate::path::Path;
use crate::schema::{Kind, List, Map, Member, Range, Shape, Text};

/// The constraints that a document breaks, as one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    violations: Vec<String>,
}

impl ValidationError {
    /// The violations, each as `Value … at '…' failed to satisfy constraint: …`.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl ValidationError {
    /// Whether the first violation is of the member with this path.
    #[must_use]
    pub fn is_of(&self, path: &str) -> bool {
        let place = format!("at '{path}' failed to satisfy");
        self.violations
            .first()
            .is_some_and(|text| text.contains(&place))
    }
}

impl std::error::Error for ValidationError {}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.violations.len();
        let noun = if count == 1 { "error" } else { "errors" };
        write!(
            f,
            "{count} validation {noun} detected: {}",
            self.violations.join("; ")
        )
    }
}

/// Checks that a document in canonical form satisfies the constraints of its shape.
pub fn validate(shape: &Shape, document: &Value) -> Result<(), ValidationError> {
    let mut report = Report {
        violations: Vec::new(),
    };
    report.value(shape, document, &Path::ROOT);
    if report.violations.is_empty() {
        return Ok(());
    }
    Err(ValidationError {
        violations: report.violations,
    })
}

struct Report {
    violations: Vec<String>,
}

impl Report {
    fn add(&mut self, shape: &Shape, value: &Value, path: &Path<'_>, constraint: &str) {
        if VIOLATIONS_MAX <= self.violations.len() {
            return;
        }
        let mut text = "Value ".to_owned();
        if !shape.sensitive {
            text.push_str(&quoted(shape, value));
        }
        // Failing to write to a String is not possible.
        _ = write!(
            text,
            "at '{path}' failed to satisfy constraint: {constraint}"
        );
        self.violations.push(text);
    }

    fn value(&mut self, shape: &Shape, value: &Value, path: &Path<'_>) {
        if VIOLATIONS_MAX <= self.violations.len() {
            return;
        }
        match (&shape.kind, value) {
            (Kind::Structure(members), value) => self.structure(members, value, path),
            (Kind::List(list), Value::Array(items)) => self.list(shape, list, items, value, path),
            (Kind::Map(map), Value::Object(_)) => self.map(shape, map, value, path),
            _ => {
                for constraint in broken(shape, value) {
                    self.add(shape, value, path, &constraint);
                }
            }
        }
    }

    fn structure(&mut self, members: &[Member], value: &Value, path: &Path<'_>) {
        for member in members {
            let path = path.member(member.name);
            match value.get(member.name) {
                None | Some(Value::Null) if member.required && !is_stream(member) => {
                    self.null(&path);
                }
                None | Some(Value::Null) => {}
                Some(value) => self.value(member.shape, value, &path),
            }
        }
    }

    fn null(&mut self, path: &Path<'_>) {
        let shape = Shape::new("Null", Kind::Boolean);
        self.add(&shape, &Value::Null, path, "Member must not be null");
    }

    fn list(
        &mut self,
        shape: &Shape,
        list: &List,
        items: &[Value],
        value: &Value,
        path: &Path<'_>,
    ) {
        for constraint in length_broken(items.len(), list.length) {
            self.add(shape, value, path, &constraint);
        }
        if is_scalar(list.member) {
            let fails = |item: &Value| !broken(list.member, item).is_empty();
            if items.iter().any(fails) {
                let rules = constraints(list.member).join(", ");
                let constraint = format!("Member must satisfy constraint: [{rules}]");
                self.add(shape, value, path, &constraint);
            }
        }
        for (index, item) in items.iter().enumerate() {
            let path = path.item(index);
            if item.is_null() {
                self.null(&path);
            } else if !is_scalar(list.member) {
                self.value(list.member, item, &path);
            }
        }
    }

    fn map(&mut self, shape: &Shape, map: &Map, value: &Value, path: &Path<'_>) {
        let Some(entries) = value.as_object() else {
            return;
        };
        for constraint in length_broken(entries.len(), map.length) {
            self.add(shape, value, path, &constraint);
        }
        if entries
            .keys()
            .any(|key| !broken(map.key, &Value::from(key.as_str())).is_empty())
        {
            let rules = constraints(map.key).join(", ");
            self.add(
                shape,
                value,
                path,
                &format!("Map keys must satisfy constraint: [{rules}]"),
            );
        }
        if is_scalar(map.value) {
            if entries
                .values()
                .any(|value| !broken(map.value, value).is_empty())
            {
                let rules = constraints(map.value).join(", ");
                let constraint = format!("Map value must satisfy constraint: [{rules}]");
                self.add(shape, value, path, &constraint);
            }
            return;
        }
        for (key, value) in entries {
            self.value(map.value, value, &path.key(key));
        }
    }
}

fn is_stream(member: &Member) -> bool {
    member.location == crate::schema::Location::Stream
}

fn is_scalar(shape: &Shape) -> bool {
    !matches!(
        shape.kind,
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_)
    )
}

/// The constraints of a scalar shape that `value` breaks.
fn broken(shape: &Shape, value: &Value) -> Vec<String> {
    match (&shape.kind, value) {
        (Kind::Text(text), Value::String(value)) => text_broken(text, value),
        (Kind::Integer(range) | Kind::Long(range), Value::Number(number)) => number
            .as_i64()
            .map(|number| range_broken(number, *range))
            .unwrap_or_default(),
        (Kind::Float(range) | Kind::Double(range), Value::Number(number)) => number
            .as_f64()
            .map(|number| range_broken(number, *range))
            .unwrap_or_default(),
        (Kind::Blob(range), Value::String(text)) => length_broken(decoded_length(text), *range),
        _ => Vec::new(),
    }
}

fn text_broken(text: &Text, value: &str) -> Vec<String> {
    let mut broken = length_broken(value.chars().count(), text.length);
    if let Some(pattern) = text.pattern.filter(|pattern| !pattern.matches(value)) {
        broken.push(pattern_rule(pattern.text()));
    }
    if !text.values.is_empty() && !text.values.contains(&value) {
        broken.push(values_rule(text.values));
    }
    broken
}

/// How many bytes a base64 text stands for.
fn decoded_length(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

fn length_broken(length: usize, range: Range<u64>) -> Vec<String> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let over = range
        .max
        .filter(|max| *max < length)
        .map(|max| length_max_rule(&max));
    let under = range
        .min
        .filter(|min| length < *min)
        .map(|min| length_min_rule(&min));
    over.into_iter().chain(under).collect()
}

fn range_broken<T: PartialOrd + fmt::Display + Copy>(number: T, range: Range<T>) -> Vec<String> {
    let over = range
        .max
        .filter(|max| *max < number)
        .map(|max| value_max_rule(&max));
    let under = range
        .min
        .filter(|min| number < *min)
        .map(|min| value_min_rule(&min));
    over.into_iter().chain(under).collect()
}

/// All constraints of a scalar shape, as the text for a list's items names them.
fn constraints(shape: &Shape) -> Vec<String> {
    let both = |max: Option<String>, min: Option<String>| max.into_iter().chain(min).collect();
    match &shape.kind {
        Kind::Text(text) => {
            let mut rules = length_rules(text.length);
            rules.extend(text.pattern.map(|pattern| pattern_rule(pattern.text())));
            if !text.values.is_empty() {
                rules.push(values_rule(text.values));
            }
            rules
        }
        Kind::Blob(range) => length_rules(*range),
        Kind::Integer(range) | Kind::Long(range) => both(
            range.max.map(|m| value_max_rule(&m)),
            range.min.map(|m| value_min_rule(&m)),
        ),
        Kind::Float(range) | Kind::Double(range) => both(
            range.max.map(|m| value_max_rule(&m)),
            range.min.map(|m| value_min_rule(&m)),
        ),
        Kind::Boolean | Kind::Timestamp(_) | Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => {
            Vec::new()
        }
    }
}

fn length_rules(range: Range<u64>) -> Vec<String> {
    let max = range.max.map(|max| length_max_rule(&max));
    max.into_iter()
        .chain(range.min.map(|min| length_min_rule(&min)))
        .collect()
}

fn length_max_rule(max: &u64) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn length_min_rule(min: &u64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn value_max_rule(max: &impl fmt::Display) -> String {
    format!("Member must have value less than or equal to {max}")
}

fn value_min_rule(min: &impl fmt::Display) -> String {
    format!("Member must have value greater than or equal to {min}")
}

fn pattern_rule(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn values_rule(values: &[&str]) -> String {
    format!(
        "Member must satisfy enum value set: [{}]",
        values.join(", ")
    )
}

/// The value as a message repeats it, with the space after it: `'a b' `, or `null `.
fn quoted(shape: &Shape, value: &Value) -> String {
    if value.is_null() {
        return "null ".to_owned();
    }
    let mut text = String::new();
    echo(shape, value, &mut text);
    if let Some((cut, _)) = text.char_indices().nth(ECHO_CHARS_MAX) {
        text.truncate(cut);
        text.push_str("...");
    }
    format!("'{text}' ")
}

/// Prints a value as Java prints it, up to a little more than is repeated.
fn echo(shape: &Shape, value: &Value, text: &mut String) {
    if ECHO_CHARS_MAX * 4 < text.len() {
        return;
    }
    if shape.sensitive {
        text.push_str("***");
        return;
    }
    match (&shape.kind, value) {
        (_, Value::String(value)) => text.extend(value.chars().take(ECHO_CHARS_MAX + 1)),
        (Kind::List(list), Value::Array(items)) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                echo(list.member, item, text);
            }
            text.push(']');
        }
        (Kind::Map(map), Value::Object(entries)) => {
            echo_entries(
                entries
                    .iter()
                    .map(|(key, value)| (key.as_str(), map.value, value)),
                text,
            );
        }
        (Kind::Structure(members), Value::Object(entries)) => {
            let present = |member: &&Member| entries.contains_key(member.name);
            let entries = members
                .iter()
                .filter(present)
                .map(|member| (member.name, member.shape, &entries[member.name]));
            echo_entries(entries, text);
        }
        (_, value) => text.push_str(&value.to_string()),
    }
}

fn echo_entries<'a>(
    entries: impl Iterator<Item = (&'a str, &'a Shape, &'a Value)>,
    text: &mut String,
) {
    text.push('{');
    for (index, (key, shape, value)) in entries.enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(key);
        text.push('=');
        echo(shape, value, text);
    }
    text.push('}');
}
