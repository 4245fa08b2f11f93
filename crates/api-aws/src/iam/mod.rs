//! IAM: users, roles, their keys and policies, and what policies would say.
//!
//! One file for each noun. What AWS has and this server has not (groups, MFA, federation)
//! is refused by name.

mod access_key;
mod account;
mod attached_policy;
mod boundary;
mod convert;
mod inline_policy;
mod policy;
mod policy_version;
mod role;
mod simulation;
mod user;

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_identity::{Error, Identity};
use sightline_meta::Meta;
use sightline_model_aws::iam as model;

use crate::{App, sts};

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, sts::faults, identity.clone(), meta.clone());
    user::operations(&mut on, app);
    role::operations(&mut on, app);
    access_key::operations(&mut on, app);
    policy::operations(&mut on, app);
    policy_version::operations(&mut on, app);
    attached_policy::operations(&mut on, app);
    boundary::operations(&mut on, app);
    inline_policy::operations(&mut on, app);
    account::operations(&mut on, app);
    simulation::operations(&mut on, app);
    on
}

/// The failure as IAM and STS code it.
pub(crate) fn fault(error: &Error) -> Fault {
    let coded = |code: &str, status| Fault::new(code, status, error.to_string());
    match error {
        Error::Malformed(_) => coded("MalformedPolicyDocument", StatusCode::BAD_REQUEST),
        Error::InUse(_) => coded("DeleteConflict", StatusCode::CONFLICT),
        Error::PackedTooLarge(_) => coded("PackedPolicyTooLarge", StatusCode::BAD_REQUEST),
        Error::Unmodifiable(_) => coded("UnmodifiableEntity", StatusCode::BAD_REQUEST),
        Error::Unsupported(_) => coded("InvalidInput", StatusCode::BAD_REQUEST),
        Error::Denied { .. }
        | Error::NotFound { .. }
        | Error::Taken { .. }
        | Error::Quota { .. }
        | Error::VersionsFull(_)
        | Error::InlineTooLarge { .. }
        | Error::Refused(_)
        | Error::Invalid(_)
        | Error::CannotAssume { .. }
        | Error::Random(_)
        | Error::Seal(_)
        | Error::Meta(_) => Fault::of(sts::faults, error.kind(), error),
    }
}
