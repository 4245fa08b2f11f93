//! The policies of one request put together: who allows, who denies, and who is missing.
//!
//! Within one account, as AWS decides: an explicit denial anywhere wins. Else an identity-based
//! policy or a resource-based policy that names the principal must allow; and where a session has
//! policies of its own, or the principal a boundary, these must allow too, unless the resource
//! names that very user or session.

use std::sync::Arc;

use super::{Hit, Policy, Question, Strength};

/// A policy with the name by which people know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its ARN, or where it is written.
    pub name: Arc<str>,
    /// What it says.
    pub policy: Arc<Policy>,
}

/// All policies that have a say in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'a> {
    /// Those of the principal.
    pub identity: &'a [Named],
    /// Those that bound the principal; `None` if none does.
    pub boundary: Option<&'a [Named]>,
    /// Those that narrow a session; `None` if it has none.
    pub session: Option<&'a [Named]>,
    /// That of the resource.
    pub resource: Option<&'a Named>,
}

/// The kinds of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Of the principal.
    Identity,
    /// The most that those of the principal may allow.
    Boundary,
    /// Of its session.
    Session,
    /// Of the resource.
    Resource,
    /// Of a role: who may take it on.
    Trust,
}

/// The statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The kind of its policy.
    pub layer: Layer,
    /// The name of its policy.
    pub policy: String,
    /// Its `Sid`, or its number counted from one.
    pub statement: String,
}

/// What policies say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, by these statements together.
    Allowed(Vec<Reason>),
    /// Denied, because no policy of this kind allows it.
    ImplicitDeny(Layer),
    /// Denied by a statement.
    ExplicitDeny(Reason),
}

impl Decision {
    /// Whether it lets the request through.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Layers<'_> {
    /// What the policies say together.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let session = self.session.unwrap_or_default();
        let layers = [
            (Layer::Identity, self.identity),
            (Layer::Boundary, self.boundary.unwrap_or_default()),
            (Layer::Session, session),
            (
                Layer::Resource,
                self.resource.map(std::slice::from_ref).unwrap_or_default(),
            ),
        ];
        for (layer, policies) in layers {
            for named in policies {
                if let Some(hit) = named.policy.first_deny(question) {
                    return Decision::ExplicitDeny(reason(layer, named, hit));
                }
            }
        }
        self.allowing(question)
    }

    fn allowing(&self, question: &Question<'_>) -> Decision {
        let by_resource = self.resource.and_then(|named| {
            let hit = named.policy.best_allow(question)?;
            // The account named as a whole leaves it to the account's own policies.
            (Strength::Account < hit.strength)
                .then(|| (hit.strength, reason(Layer::Resource, named, hit)))
        });
        if let Some((Strength::Exact, reason)) = by_resource {
            return Decision::Allowed(vec![reason]);
        }
        let first = match by_resource {
            Some((_, reason)) => Some(reason),
            None => first_allow(Layer::Identity, self.identity, question),
        };
        let Some(first) = first else {
            return Decision::ImplicitDeny(Layer::Identity);
        };
        let mut reasons = vec![first];
        let bounds = [
            (Layer::Boundary, self.boundary),
            (Layer::Session, self.session),
        ];
        for (layer, policies) in bounds {
            let Some(policies) = policies else { continue };
            match first_allow(layer, policies, question) {
                Some(reason) => reasons.push(reason),
                None => return Decision::ImplicitDeny(layer),
            }
        }
        Decision::Allowed(reasons)
    }
}

fn first_allow(layer: Layer, policies: &[Named], question: &Question<'_>) -> Option<Reason> {
    policies.iter().find_map(|named| {
        let hit = named.policy.best_allow(question)?;
        Some(reason(layer, named, hit))
    })
}

fn reason(layer: Layer, named: &Named, hit: Hit) -> Reason {
    Reason {
        layer,
        policy: named.name.to_string(),
        statement: named.policy.statement_name(hit.statement),
    }
}

/// What one policy of its own says: a role's trust, or a bucket's policy to a service.
pub(crate) fn alone(layer: Layer, named: &Named, question: &Question<'_>) -> (Decision, bool) {
    if let Some(hit) = named.policy.first_deny(question) {
        return (Decision::ExplicitDeny(reason(layer, named, hit)), false);
    }
    match named.policy.best_allow(question) {
        Some(hit) => {
            let by_account = hit.strength == Strength::Account;
            (
                Decision::Allowed(vec![reason(layer, named, hit)]),
                by_account,
            )
        }
        None => (Decision::ImplicitDeny(layer), false),
    }
}
