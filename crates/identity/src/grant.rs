//! What a key may do: actions on resources, or what the policies of a principal say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{Context, glob};

/// Allows every action that matches one of `actions` on every resource that matches one of
/// `resources`. `*` stands for any text and `?` for one character, as in IAM policies; the case
/// of actions does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Such as `s3:GetObject` or `s3:*`.
    pub actions: Vec<String>,
    /// ARNs, such as `arn:aws:s3:::bucket/prefix/*`.
    pub resources: Vec<String>,
    /// Where any are given, the request's `s3:prefix` must match one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
}

/// All that a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grants {
    /// Everything: the account owner's.
    Everything,
    /// What at least one of these allows.
    Only(Vec<Grant>),
    /// What the policies of the user with this name allow.
    User(String),
    /// What the policies of a role allow, narrowed for one session.
    Role(RoleSession),
}

/// What a session of a role has beside the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSession {
    /// The role's name.
    pub role_name: String,
    /// The documents that narrow the session, or the ARNs of policies that do.
    pub policies: Option<Vec<SessionPolicy>>,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Who stands behind the session, as they said.
    pub source_identity: Option<String>,
}

/// One policy that narrows a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionPolicy {
    /// A document.
    Document(String),
    /// A managed policy, by ARN.
    Managed(String),
}

impl Grant {
    /// Whether it allows `action` on `resource`, given the facts of the request.
    #[must_use]
    pub fn allows(&self, action: &str, resource: &str, facts: &Context) -> bool {
        let action = action.to_ascii_lowercase();
        let action_ok = self
            .actions
            .iter()
            .any(|pattern| glob(&pattern.to_ascii_lowercase(), &action));
        let resource_ok = || self.resources.iter().any(|pattern| glob(pattern, resource));
        let prefix_ok = || {
            let asked = facts.get("s3:prefix").and_then(|values| values.first());
            let asked = asked.map_or("", String::as_str);
            self.prefixes.is_empty() || self.prefixes.iter().any(|pattern| glob(pattern, asked))
        };
        action_ok && resource_ok() && prefix_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_needs_action_resource_and_prefix() {
        let grant = Grant {
            actions: vec!["s3:GetObject".to_owned(), "s3:ListBucket".to_owned()],
            resources: vec!["arn:aws:s3:::b*".to_owned()],
            prefixes: Vec::new(),
        };
        let none = Context::default();
        assert!(grant.allows("s3:getobject", "arn:aws:s3:::b/k", &none));
        assert!(!grant.allows("s3:PutObject", "arn:aws:s3:::b/k", &none));
        assert!(!grant.allows("s3:GetObject", "arn:aws:s3:::c/k", &none));
        let narrow = Grant {
            prefixes: vec!["in/*".to_owned()],
            ..grant
        };
        let mut asked = Context::default();
        asked.put("s3:prefix", "in/a");
        assert!(narrow.allows("s3:ListBucket", "arn:aws:s3:::b", &asked));
        assert!(!narrow.allows("s3:ListBucket", "arn:aws:s3:::b", &none));
        asked.put("s3:prefix", "out/a");
        assert!(!narrow.allows("s3:ListBucket", "arn:aws:s3:::b", &asked));
    }
}
