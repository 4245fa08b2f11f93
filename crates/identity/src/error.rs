//! Why identity refuses or fails.

use std::fmt;

use sightline_meta::MetaError;
use sightline_types::{Arn, ErrorKind};

use crate::policy::{Layer, Malformed};
use crate::seal::SealError;

/// Why identity could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The principal may not do this.
    #[error(
        "User: {principal} is not authorized to perform: {action} on resource: {} {}",
        Quoted(resource),
        because.clause(action)
    )]
    Denied {
        /// The principal's ARN.
        principal: String,
        /// The action asked for.
        action: String,
        /// The resource that it was asked for.
        resource: Arn,
        /// Which policy denies, or is missing.
        because: Because,
    },
    /// There is nothing of this name.
    #[error("{}", noun.not_found(name))]
    NotFound {
        /// What was looked for.
        noun: Noun,
        /// By which name.
        name: String,
    },
    /// The name is taken.
    #[error("{}", noun.taken(name))]
    Taken {
        /// What was to be made.
        noun: Noun,
        /// With which name.
        name: String,
    },
    /// Something else must go first.
    #[error("{0}")]
    InUse(InUse),
    /// A quota of the account is reached.
    #[error("Cannot exceed quota for {quota}: {max}")]
    Quota {
        /// The quota, as AWS calls it.
        quota: &'static str,
        /// What it allows.
        max: usize,
    },
    /// A policy has its full number of versions.
    #[error(
        "A managed policy can have up to {0} versions. Before you create a new version, you must \
         delete an existing version."
    )]
    VersionsFull(usize),
    /// The inline policies of one principal are too large together.
    #[error("Maximum policy size of {max} bytes exceeded for {noun} {name}")]
    InlineTooLarge {
        /// The kind of principal.
        noun: &'static str,
        /// Its name.
        name: String,
        /// The limit.
        max: usize,
    },
    /// A document is not a policy.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The policies that narrow a session are too large together.
    #[error("The session policies are larger than {0} characters together")]
    PackedTooLarge(usize),
    /// The caller may not do this with the credentials at hand.
    #[error("{0}")]
    Refused(&'static str),
    /// A value of the request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// What the server itself provides cannot be changed.
    #[error("{0}")]
    Unmodifiable(String),
    /// The server does not do this.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The role that a job is to act as cannot be taken on.
    #[error(
        "Could not assume role {role}. Please ensure that the role exists and allows principal \
         '{service}' to assume the role."
    )]
    CannotAssume {
        /// The role's ARN.
        role: String,
        /// Who would take it on.
        service: String,
    },
    /// The system gave no randomness to make a key of.
    #[error("could not draw a random key: {0}")]
    Random(String),
    /// Secrets cannot be read or written.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error("could not reach the identity store")]
    Meta(#[from] MetaError),
}

/// Which policy denies a request, or which kind of policy is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// No policy of this kind allows it.
    NotAllowed(Layer),
    /// A policy of this kind denies it.
    Denied(Layer),
}

impl Because {
    fn clause(self, action: &str) -> String {
        match self {
            Self::NotAllowed(layer) => {
                format!("because no {} allows the {action} action", layer.words())
            }
            Self::Denied(Layer::Trust) => "with an explicit deny in the role trust policy".into(),
            Self::Denied(layer) => {
                let article = if layer == Layer::Identity { "an" } else { "a" };
                format!("with an explicit deny in {article} {}", layer.words())
            }
        }
    }
}

impl Layer {
    /// What AWS calls policies of this kind.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource => "resource-based policy",
            Self::Trust => "role trust policy",
        }
    }
}

/// S3 puts the resource in quotes.
struct Quoted<'a>(&'a Arn);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.service() == "s3" {
            write!(f, "\"{}\"", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// The things that identity keeps by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// A user.
    User,
    /// A role.
    Role,
    /// A managed policy, by ARN.
    Policy,
    /// A version of a managed policy.
    PolicyVersion,
    /// An inline policy of a user.
    UserPolicy,
    /// An inline policy of a role.
    RolePolicy,
    /// A managed policy on the principal it was said to be attached to.
    Attachment,
    /// An access key.
    AccessKey,
    /// The policy of a bucket.
    BucketPolicy,
}

impl Noun {
    fn not_found(self, name: &str) -> String {
        match self {
            Self::User => format!("The user with name {name} cannot be found."),
            Self::Role => format!("The role with name {name} cannot be found."),
            Self::Policy => format!("Policy {name} does not exist or is not attachable."),
            Self::PolicyVersion => {
                format!("Policy version {name} does not exist or is not attachable.")
            }
            Self::UserPolicy => format!("The user policy with name {name} cannot be found."),
            Self::RolePolicy => format!("The role policy with name {name} cannot be found."),
            Self::Attachment => format!("Policy {name} was not found."),
            Self::AccessKey => format!("The Access Key with id {name} cannot be found."),
            Self::BucketPolicy => "The bucket policy does not exist".to_owned(),
        }
    }

    fn taken(self, name: &str) -> String {
        match self {
            Self::User => format!("User with name {name} already exists."),
            Self::Role => format!("Role with name {name} already exists."),
            Self::Policy
            | Self::PolicyVersion
            | Self::UserPolicy
            | Self::RolePolicy
            | Self::Attachment
            | Self::AccessKey
            | Self::BucketPolicy => {
                format!("A policy called {name} already exists. Duplicate names are not allowed.")
            }
        }
    }
}

/// What must go before something can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InUse {
    /// Managed policies are attached to the principal.
    #[error("Cannot delete entity, must detach all policies first.")]
    Attached,
    /// The principal has inline policies.
    #[error("Cannot delete entity, must delete policies first.")]
    Inline,
    /// The user has keys.
    #[error("Cannot delete entity, must delete access keys first.")]
    Keys,
    /// Principals have the policy.
    #[error("Cannot delete a policy attached to entities.")]
    Holders,
    /// The policy has versions beside its default one.
    #[error(
        "This policy has more than one version. Before you delete a policy, you must delete the \
         policy's versions. The default version is deleted with the policy."
    )]
    Versions,
    /// The version is the one in force.
    #[error("Cannot delete the default version of a policy.")]
    DefaultVersion,
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied { .. } | Self::Refused(_) => ErrorKind::Denied,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Taken { .. } => ErrorKind::AlreadyExists,
            Self::InUse(_) => ErrorKind::Conflict,
            Self::Quota { .. } | Self::VersionsFull(_) | Self::InlineTooLarge { .. } => {
                ErrorKind::LimitExceeded
            }
            Self::Malformed(_)
            | Self::PackedTooLarge(_)
            | Self::Invalid(_)
            | Self::Unmodifiable(_)
            | Self::CannotAssume { .. } => ErrorKind::Invalid,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Random(_) | Self::Seal(_) => ErrorKind::Internal,
            Self::Meta(source) => source.kind(),
        }
    }

    pub(crate) fn not_found(noun: Noun, name: &str) -> Self {
        Self::NotFound {
            noun,
            name: name.to_owned(),
        }
    }
}
