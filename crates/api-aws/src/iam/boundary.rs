//! Permissions boundaries: the most that a user's or a role's own policies may allow.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::Permit;
use sightline_model_aws::iam as model;

use super::convert::{ROLE, USER};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::PutUserPermissionsBoundary, _, _, _>(app, put_user);
    on.serve::<model::DeleteUserPermissionsBoundary, _, _, _>(app, delete_user);
    on.serve::<model::PutRolePermissionsBoundary, _, _, _>(app, put_role);
    on.serve::<model::DeleteRolePermissionsBoundary, _, _, _>(app, delete_role);
}

async fn put_user(
    app: Arc<App>,
    permit: Permit,
    input: model::PutUserPermissionsBoundaryInput,
) -> Result<(), Fault> {
    let (name, policy) = (input.user_name, Some(input.permissions_boundary));
    let done = app.identity.set_boundary(&permit, USER, &name, policy);
    done.await.map_err(|error| fault(&error))
}

async fn delete_user(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteUserPermissionsBoundaryInput,
) -> Result<(), Fault> {
    let done = app
        .identity
        .set_boundary(&permit, USER, &input.user_name, None);
    done.await.map_err(|error| fault(&error))
}

async fn put_role(
    app: Arc<App>,
    permit: Permit,
    input: model::PutRolePermissionsBoundaryInput,
) -> Result<(), Fault> {
    let (name, policy) = (input.role_name, Some(input.permissions_boundary));
    let done = app.identity.set_boundary(&permit, ROLE, &name, policy);
    done.await.map_err(|error| fault(&error))
}

async fn delete_role(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteRolePermissionsBoundaryInput,
) -> Result<(), Fault> {
    let done = app
        .identity
        .set_boundary(&permit, ROLE, &input.role_name, None);
    done.await.map_err(|error| fault(&error))
}
