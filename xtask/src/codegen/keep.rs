//! `models/keep.toml`: which operations are served, and what permission each needs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// Services by name.
pub(super) type Keep = BTreeMap<String, Service>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// The crate that holds the types.
    pub(super) home: String,
    /// The name for people.
    pub(super) title: String,
    /// The name in ARNs, actions and events, when it is not the service's own.
    pub(super) arn: Option<String>,
    /// Operations by noun.
    pub(super) operations: BTreeMap<String, BTreeMap<String, Operation>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) access: Access,
    pub(super) resource: Resource,
    pub(super) action: Option<String>,
    pub(super) versioned: Option<String>,
    #[serde(default)]
    pub(super) each: bool,
    pub(super) root: Option<String>,
    #[serde(default)]
    pub(super) refuses: bool,
    #[serde(default)]
    pub(super) unwrapped: bool,
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, String>,
    pub(super) passes_role: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Resource {
    One(String),
    FirstOf(Vec<String>),
}

impl Resource {
    pub(super) fn templates(&self) -> &[String] {
        match self {
            Self::One(template) => std::slice::from_ref(template),
            Self::FirstOf(templates) => templates,
        }
    }
}

impl Service {
    /// Every operation with its noun.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str, &Operation)> {
        self.operations.iter().flat_map(|(noun, operations)| {
            operations
                .iter()
                .map(move |(name, kept)| (noun.as_str(), name.as_str(), kept))
        })
    }

    pub(super) fn operation(&self, name: &str) -> Option<&Operation> {
        self.all()
            .find(|(_, candidate, _)| *candidate == name)
            .map(|(_, _, kept)| kept)
    }

    /// The name in ARNs, actions and events.
    pub(super) fn arn_name<'a>(&'a self, service: &'a str) -> &'a str {
        self.arn.as_deref().unwrap_or(service)
    }

    /// The permission that an operation needs.
    pub(super) fn action(&self, service: &str, name: &str, kept: &Operation) -> String {
        let default = || format!("{}:{name}", self.arn_name(service));
        kept.action.clone().unwrap_or_else(default)
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Keep> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
}
