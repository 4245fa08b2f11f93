//! Who asks, and how the principals of a statement name them.

use super::Effect;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The account that they belong to.
    pub account: String,
    /// What they are.
    pub kind: SubjectKind,
    /// The ARN that `GetCallerIdentity` shows.
    pub shown_arn: String,
}

/// What a principal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// The account's owner.
    Root,
    /// A user, by ARN.
    User(String),
    /// A session of a role, by the role's ARN.
    Role(String),
    /// A service of the platform, such as `sagemaker.amazonaws.com`.
    Service(String),
}

/// How closely a statement names a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// By its account only, which leaves the decision to the account's own policies.
    Account,
    /// As anyone, or by its role.
    Role,
    /// By itself.
    Exact,
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principals {
    pub(super) negated: bool,
    pub(super) named: Box<[Principal]>,
}

/// One principal as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    Anyone,
    Account(Box<str>),
    Arn(Box<str>),
    Service(Box<str>),
}

impl Subject {
    /// The ARN that `aws:PrincipalArn` has: a user's own, or that of a session's role.
    #[must_use]
    pub fn principal_arn(&self) -> String {
        match &self.kind {
            SubjectKind::Root => format!("arn:aws:iam::{}:root", self.account),
            SubjectKind::User(arn) | SubjectKind::Role(arn) => arn.clone(),
            SubjectKind::Service(name) => name.clone(),
        }
    }
}

impl Principals {
    /// How closely they name `subject`; `None` if the statement is not about it.
    pub(super) fn name(&self, subject: &Subject, effect: Effect) -> Option<Strength> {
        let best = self.named.iter().filter_map(|one| one.names(subject)).max();
        if !self.negated {
            // A denial of the whole account is a denial of everyone in it.
            return best.map(|strength| match effect {
                Effect::Deny => Strength::Exact,
                Effect::Allow => strength,
            });
        }
        // To except an account is not to except the principals in it.
        let excepted = match subject.kind {
            SubjectKind::Root => best.is_some(),
            SubjectKind::User(_) | SubjectKind::Role(_) | SubjectKind::Service(_) => {
                best.is_some_and(|strength| Strength::Account < strength)
            }
        };
        (!excepted).then_some(Strength::Role)
    }
}

impl Principal {
    fn names(&self, subject: &Subject) -> Option<Strength> {
        match self {
            Self::Anyone => Some(Strength::Role),
            Self::Account(account) => {
                let ours = **account == *subject.account;
                let is_root = subject.kind == SubjectKind::Root;
                let strength = if is_root {
                    Strength::Exact
                } else {
                    Strength::Account
                };
                let is_service = matches!(subject.kind, SubjectKind::Service(_));
                (ours && !is_service).then_some(strength)
            }
            Self::Arn(arn) if **arn == *subject.shown_arn => Some(Strength::Exact),
            Self::Arn(arn) => match &subject.kind {
                SubjectKind::User(own) => (**arn == **own).then_some(Strength::Exact),
                SubjectKind::Role(own) => (**arn == **own).then_some(Strength::Role),
                SubjectKind::Root | SubjectKind::Service(_) => None,
            },
            Self::Service(name) => match &subject.kind {
                SubjectKind::Service(own) => (**name == **own).then_some(Strength::Exact),
                SubjectKind::Root | SubjectKind::User(_) | SubjectKind::Role(_) => None,
            },
        }
    }
}
