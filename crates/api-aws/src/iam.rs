//! IAM: roles.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{HolderKind, Identity, Permit};
use sightline_meta::Meta;
use sightline_model_aws::iam as model;

use crate::{App, sts};

/// How long a session of a role may last, in seconds: IAM's default.
const SESSION_S_MAX: i32 = 3_600;

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, sts::faults, identity.clone(), meta.clone());
    on.serve::<model::GetRole, _, _, _>(app, get_role);
    on
}

async fn get_role(
    app: Arc<App>,
    permit: Permit,
    input: model::GetRoleInput,
) -> Result<model::GetRoleOutput, Fault> {
    let found = app
        .identity
        .holder(&permit, HolderKind::Role, &input.role_name);
    let role = found.map_err(|error| Fault::of(sts::faults, error.kind(), &error))?;
    Ok(model::GetRoleOutput {
        role: model::Role {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn.clone(),
            create_date: role.created_at,
            assume_role_policy_document: role.role.as_ref().map(|part| part.trust.clone()),
            description: None,
            max_session_duration: Some(SESSION_S_MAX),
            permissions_boundary: None,
            tags: None,
            role_last_used: None,
            source_role_template: None,
        },
    })
}
