//! A service's model as it is kept in `models/`: botocore's form without its prose.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Named values in the order in which they stand in the file, which is the order of messages.
#[derive(Clone, Debug)]
pub(super) struct Ordered<V>(pub(super) Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Ordered<V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Ordered<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// A whole model; `unserved` is ours, the rest is botocore's.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Model {
    pub(super) metadata: Metadata,
    pub(super) operations: Ordered<Operation>,
    pub(super) shapes: Ordered<Shape>,
    #[serde(default)]
    pub(super) unserved: Ordered<Http>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) api_version: String,
    pub(super) endpoint_prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) json_version: Option<String>,
    #[serde(default)]
    pub(super) protocols: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signing_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) xml_namespace: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Operation {
    pub(super) http: Http,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Reference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<Reference>,
    #[serde(default, skip_serializing)]
    pub(super) deprecated: bool,
}

/// Where an operation lives. `query` and `headers` are ours: what tells it from others there.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    pub(super) method: String,
    pub(super) request_uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response_code: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) required: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<Ordered<Reference>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) member: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<serde_json::Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) flattened: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ErrorTrait>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) exception: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) fault: bool,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorTrait {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_status_code: Option<u16>,
}

/// The use of a shape by a member, list, map or operation.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reference {
    pub(super) shape: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location_name: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) streaming: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) xml_attribute: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) xml_namespace: Option<Namespace>,
    #[serde(flatten, skip_serializing)]
    pub(super) rest: BTreeMap<String, IgnoredAny>,
}

/// A namespace, with its prefix or alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Namespace {
    Uri(String),
    Prefixed {
        uri: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
    },
}

impl Namespace {
    /// The namespace of the element itself; one with a prefix is that of its attributes.
    pub(super) fn of_element(&self) -> Option<&str> {
        match self {
            Self::Uri(uri) | Self::Prefixed { uri, prefix: None } => Some(uri),
            Self::Prefixed { .. } => None,
        }
    }
}

impl Shape {
    /// The members of a structure, none of any other shape.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Reference)> {
        self.members.iter().flat_map(Ordered::iter)
    }

    /// Every use of another shape.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        let single = self.member.iter().chain(&self.key).chain(&self.value);
        self.members().map(|(_, reference)| reference).chain(single)
    }
}

impl Model {
    pub(super) fn shape(&self, name: &str) -> anyhow::Result<&Shape> {
        self.shapes
            .get(name)
            .ok_or_else(|| anyhow::anyhow!("the model has no shape {name}"))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}
