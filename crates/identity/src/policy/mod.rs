//! The policy language of IAM: documents, read strictly and made ready once, and what they say of
//! a request.
//!
//! [`Policy::parse`] refuses whatever it does not understand, because a policy that is half
//! understood allows or denies something else than its author meant. [`Layers::decide`] puts the
//! policies of a request together as AWS does within one account.

mod condition;
mod context;
mod decide;
mod parse;
mod pattern;
mod principal;
mod strict;

pub(crate) use decide::alone;

pub use context::Context;
pub use decide::{Decision, Layer, Layers, Named, Reason};
pub use parse::{Malformed, PolicyKind};
pub use principal::{Subject, SubjectKind};

use condition::Condition;
use pattern::{Pattern, Reading};
pub(crate) use principal::Strength;
use principal::{Principal, Principals};

/// A policy document, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Box<[Statement]>,
    /// The condition keys that any statement asks for, in lower case.
    keys: Box<[Box<str>]>,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq)]
struct Statement {
    sid: Option<Box<str>>,
    effect: Effect,
    principals: Option<Principals>,
    actions: OneOf,
    resources: OneOf,
    conditions: Box<[Condition]>,
}

/// What a statement that applies says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug, PartialEq)]
struct OneOf {
    negated: bool,
    patterns: Box<[Pattern]>,
}

/// What is asked of policies.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    subject: &'a Subject,
    action: String,
    resource: &'a str,
    context: &'a Context,
}

/// A statement that applies: its place in the policy, and how closely it names the principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    statement: usize,
    strength: Strength,
}

/// Whether the whole of `text` matches a pattern of `*` and `?`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let reading = Reading {
        wildcards: true,
        variables: false,
    };
    let pattern = Pattern::parse(pattern, reading);
    pattern.is_some_and(|pattern| pattern.matches(text, &Context::default()))
}

impl<'a> Question<'a> {
    /// Asks whether `subject` may do `action` on `resource`, given the facts of the request.
    #[must_use]
    pub fn new(
        subject: &'a Subject,
        action: &str,
        resource: &'a str,
        context: &'a Context,
    ) -> Self {
        Self {
            subject,
            action: action.to_ascii_lowercase(),
            resource,
            context,
        }
    }
}

impl OneOf {
    fn matches(&self, text: &str, context: &Context) -> bool {
        let matches = |pattern: &Pattern| pattern.matches(text, context);
        self.patterns.iter().any(matches) != self.negated
    }
}

impl Statement {
    /// How closely the statement applies; `None` if it does not.
    fn applies(&self, question: &Question<'_>) -> Option<Strength> {
        let Question {
            subject,
            action,
            resource,
            context,
        } = question;
        let strength = match &self.principals {
            Some(principals) => principals.name(subject, self.effect)?,
            None => Strength::Exact,
        };
        let applies = self.actions.matches(action, context)
            && self.resources.matches(resource, context)
            && self.conditions.iter().all(|one| one.holds(context));
        applies.then_some(strength)
    }
}

impl Policy {
    /// Whether any statement asks for a condition key that begins so.
    #[must_use]
    pub fn asks_for(&self, start: &str) -> bool {
        let begins = |key: &str| {
            let head = key.get(..start.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(start))
        };
        self.keys.iter().any(|key| begins(key))
    }

    /// Whether any statement asks for a condition key at all.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The condition keys that it asks for, in lower case.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// The name of a statement: its `Sid`, or its number counted from one.
    #[must_use]
    pub fn statement_name(&self, index: usize) -> String {
        let sid = self.statements.get(index).and_then(|s| s.sid.as_deref());
        match sid.filter(|sid| !sid.is_empty()) {
            Some(sid) => sid.to_owned(),
            None => index.saturating_add(1).to_string(),
        }
    }

    /// Whether every resource that it names is `resource` or lies in it.
    #[must_use]
    pub(crate) fn lies_within(&self, resource: &str) -> bool {
        let within = |pattern: &Pattern| {
            let literal = pattern.literal_start();
            let rest = literal.strip_prefix(resource);
            *pattern == Pattern::Anything
                || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let patterns = self.statements.iter();
        patterns
            .flat_map(|one| one.resources.patterns.iter())
            .all(within)
    }

    /// The ARNs of all principals that it names.
    pub(crate) fn principal_arns(&self) -> impl Iterator<Item = &str> {
        let principals = self.statements.iter().filter_map(|s| s.principals.as_ref());
        principals
            .flat_map(|one| one.named.iter())
            .filter_map(|one| match one {
                Principal::Arn(arn) => Some(&**arn),
                Principal::Anyone | Principal::Account(_) | Principal::Service(_) => None,
            })
    }

    fn first_deny(&self, question: &Question<'_>) -> Option<Hit> {
        self.hits(Effect::Deny, question).next()
    }

    /// The statement that allows, the one that names the principal most closely.
    fn best_allow(&self, question: &Question<'_>) -> Option<Hit> {
        let hits = self.hits(Effect::Allow, question);
        hits.max_by_key(|hit| (hit.strength, std::cmp::Reverse(hit.statement)))
    }

    fn hits<'p>(
        &'p self,
        effect: Effect,
        question: &'p Question<'_>,
    ) -> impl Iterator<Item = Hit> + 'p {
        let statements = self.statements.iter().enumerate();
        statements
            .filter(move |(_, statement)| statement.effect == effect)
            .filter_map(|(index, statement)| {
                let strength = statement.applies(question)?;
                Some(Hit {
                    statement: index,
                    strength,
                })
            })
    }
}
