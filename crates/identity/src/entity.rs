//! Users, roles and managed policies, as they are stored and shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sightline_types::{AccountId, Timestamp};

use crate::Noun;

/// Whoever policies are attached to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// Its name, without its path.
    pub name: String,
    /// Its path, `/` where none was given.
    pub path: String,
    /// Its unique identifier, `AIDA…` or `AROA…`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The ARNs of the managed policies that it has.
    pub attached: BTreeSet<String>,
    /// Its own policies by name.
    pub inline: BTreeMap<String, String>,
    /// The ARN of the managed policy beyond which its own policies allow nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    /// What it has as a role; users have nothing of it.
    pub role: Option<RolePart>,
}

/// What roles have and users have not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolePart {
    /// Who may take the role on, as a policy document.
    pub trust: String,
    /// What people say of it.
    pub description: Option<String>,
    /// How long its sessions may last.
    pub max_session_s: u32,
}

/// Users or roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HolderKind {
    /// People and programs with keys of their own.
    User,
    /// What others take on.
    Role,
}

impl HolderKind {
    /// The word in ARNs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }

    pub(crate) fn noun(self) -> Noun {
        match self {
            Self::User => Noun::User,
            Self::Role => Noun::Role,
        }
    }

    pub(crate) fn inline_noun(self) -> Noun {
        match self {
            Self::User => Noun::UserPolicy,
            Self::Role => Noun::RolePolicy,
        }
    }

    /// The ARN of one.
    pub(crate) fn arn(self, account: &AccountId, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{account}:{}{path}{name}", self.word())
    }
}

impl Holder {
    /// Whether it is a user or a role.
    #[must_use]
    pub fn kind(&self) -> HolderKind {
        if self.role.is_some() {
            HolderKind::Role
        } else {
            HolderKind::User
        }
    }
}

/// A policy that can be attached to several principals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its unique identifier, `ANPA…`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its default version changed last.
    pub updated_at: Timestamp,
    /// What people say of it.
    pub description: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The number of the version in force.
    pub default_version: u32,
    /// The number that the next version gets: numbers are not used again.
    pub next_version: u32,
    /// Its versions by number.
    pub versions: BTreeMap<u32, PolicyVersion>,
}

/// One version of a managed policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// What it says.
    pub document: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ManagedPolicy {
    /// The text of the version in force.
    #[must_use]
    pub fn document(&self) -> &str {
        let version = self.versions.get(&self.default_version);
        version.map_or("", |version| &version.document)
    }

    /// Whether the server itself provides it.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.arn.starts_with(crate::builtin::ARN_START)
    }
}
