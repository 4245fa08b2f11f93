//! Roles.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{NewHolder, Permit, RoleChange, RolePart, SESSION_S_DEFAULT};
use sightline_model_aws::iam as model;

use super::convert::{self, ROLE, below, page, path_of, tags_of};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::CreateRole, _, _, _>(app, create);
    on.serve::<model::GetRole, _, _, _>(app, get);
    on.serve::<model::ListRoles, _, _, _>(app, list);
    on.serve::<model::UpdateRole, _, _, _>(app, update);
    on.serve::<model::UpdateAssumeRolePolicy, _, _, _>(app, update_trust);
    on.serve::<model::DeleteRole, _, _, _>(app, delete);
    on.serve::<model::TagRole, _, _, _>(app, tag);
    on.serve::<model::UntagRole, _, _, _>(app, untag);
    on.serve::<model::ListRoleTags, _, _, _>(app, list_tags);
}

/// A length that the model's validation has bounded.
fn seconds(given: Option<i32>) -> Option<u32> {
    given.and_then(|given| u32::try_from(given).ok())
}

async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreateRoleInput,
) -> Result<model::CreateRoleOutput, Fault> {
    let new = NewHolder {
        name: input.role_name,
        path: path_of(input.path),
        tags: tags_of(input.tags)?,
        boundary: input.permissions_boundary,
        role: Some(RolePart {
            trust: input.assume_role_policy_document,
            description: input.description,
            max_session_s: seconds(input.max_session_duration).unwrap_or(SESSION_S_DEFAULT),
        }),
    };
    let made = app.identity.create_holder(&permit, new).await;
    let made = made.map_err(|error| fault(&error))?;
    Ok(model::CreateRoleOutput {
        role: convert::role(&made),
    })
}

async fn get(
    app: Arc<App>,
    permit: Permit,
    input: model::GetRoleInput,
) -> Result<model::GetRoleOutput, Fault> {
    let found = app.identity.holder(&permit, ROLE, &input.role_name);
    let role = convert::role(&*found.map_err(|error| fault(&error))?);
    std::future::ready(Ok(model::GetRoleOutput { role })).await
}

async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListRolesInput,
) -> Result<model::ListRolesOutput, Fault> {
    let roles = app.identity.holders(&permit, ROLE);
    let prefix = input.path_prefix.as_ref();
    let wanted = roles.into_iter().filter(|role| below(&role.path, prefix));
    let page = page(wanted, input.marker.as_deref(), input.max_items, |r| {
        &r.name
    })?;
    let without_tags = |role: &sightline_identity::Holder| model::Role {
        permissions_boundary: None,
        tags: None,
        ..convert::role(role)
    };
    std::future::ready(Ok(model::ListRolesOutput {
        roles: page.items.iter().map(|role| without_tags(role)).collect(),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn update(
    app: Arc<App>,
    permit: Permit,
    input: model::UpdateRoleInput,
) -> Result<model::UpdateRoleOutput, Fault> {
    let change = RoleChange {
        description: input.description,
        max_session_s: seconds(input.max_session_duration),
        trust: None,
    };
    let done = app.identity.change_role(&permit, &input.role_name, change);
    done.await.map_err(|error| fault(&error))?;
    Ok(model::UpdateRoleOutput {})
}

async fn update_trust(
    app: Arc<App>,
    permit: Permit,
    input: model::UpdateAssumeRolePolicyInput,
) -> Result<(), Fault> {
    let change = RoleChange {
        trust: Some(input.policy_document),
        ..RoleChange::default()
    };
    let done = app.identity.change_role(&permit, &input.role_name, change);
    done.await.map_err(|error| fault(&error))
}

async fn delete(app: Arc<App>, permit: Permit, input: model::DeleteRoleInput) -> Result<(), Fault> {
    let done = app.identity.delete_holder(&permit, ROLE, &input.role_name);
    done.await.map_err(|error| fault(&error))
}

async fn tag(app: Arc<App>, permit: Permit, input: model::TagRoleInput) -> Result<(), Fault> {
    let tags = tags_of(Some(input.tags))?;
    let done = app
        .identity
        .tag_holder(&permit, ROLE, &input.role_name, tags);
    done.await.map_err(|error| fault(&error))
}

async fn untag(app: Arc<App>, permit: Permit, input: model::UntagRoleInput) -> Result<(), Fault> {
    let (name, keys) = (input.role_name, input.tag_keys);
    let done = app.identity.untag_holder(&permit, ROLE, &name, keys);
    done.await.map_err(|error| fault(&error))
}

async fn list_tags(
    app: Arc<App>,
    permit: Permit,
    input: model::ListRoleTagsInput,
) -> Result<model::ListRoleTagsOutput, Fault> {
    let role = app.identity.holder(&permit, ROLE, &input.role_name);
    let tags = convert::tags(&role.map_err(|error| fault(&error))?.tags);
    let page = page(tags, input.marker.as_deref(), input.max_items, |tag| {
        &tag.key
    })?;
    std::future::ready(Ok(model::ListRoleTagsOutput {
        tags: page.items,
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}
