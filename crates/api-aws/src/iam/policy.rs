//! Managed policies, and who has them.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{HolderKind, ManagedPolicy, NewPolicy, Permit};
use sightline_model_aws::iam as model;

use super::convert::{below, page, path_of, some_tags, tags_of};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::CreatePolicy, _, _, _>(app, create);
    on.serve::<model::GetPolicy, _, _, _>(app, get);
    on.serve::<model::ListPolicies, _, _, _>(app, list);
    on.serve::<model::DeletePolicy, _, _, _>(app, delete);
    on.serve::<model::ListEntitiesForPolicy, _, _, _>(app, list_entities);
}

fn shown(app: &App, permit: &Permit, policy: &ManagedPolicy) -> model::Policy {
    let holders = app.identity.holders_of(permit, &policy.arn).len();
    let bounded = app.identity.bounded_by(permit, &policy.arn).len();
    model::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        arn: Some(policy.arn.clone()),
        path: Some(policy.path.clone()),
        default_version_id: Some(format!("v{}", policy.default_version)),
        attachment_count: i32::try_from(holders).ok(),
        permissions_boundary_usage_count: i32::try_from(bounded).ok(),
        is_attachable: Some(true),
        description: policy.description.clone(),
        create_date: Some(policy.created_at),
        update_date: Some(policy.updated_at),
        tags: some_tags(&policy.tags),
    }
}

async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreatePolicyInput,
) -> Result<model::CreatePolicyOutput, Fault> {
    let new = NewPolicy {
        name: input.policy_name,
        path: path_of(input.path),
        description: input.description,
        tags: tags_of(input.tags)?,
        document: input.policy_document,
    };
    let made = app.identity.create_policy(&permit, new).await;
    let made = made.map_err(|error| fault(&error))?;
    Ok(model::CreatePolicyOutput {
        policy: Some(shown(&app, &permit, &made)),
    })
}

async fn get(
    app: Arc<App>,
    permit: Permit,
    input: model::GetPolicyInput,
) -> Result<model::GetPolicyOutput, Fault> {
    let found = app.identity.policy(&permit, &input.policy_arn);
    let policy = found.map_err(|error| fault(&error))?;
    let policy = Some(shown(&app, &permit, &policy));
    std::future::ready(Ok(model::GetPolicyOutput { policy })).await
}

async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListPoliciesInput,
) -> Result<model::ListPoliciesOutput, Fault> {
    let scope = input.scope.unwrap_or(model::PolicyScopeType::All);
    let in_scope = |policy: &ManagedPolicy| match scope {
        model::PolicyScopeType::All => true,
        model::PolicyScopeType::Aws => policy.is_built_in(),
        model::PolicyScopeType::Local => !policy.is_built_in(),
    };
    let is_used = |policy: &model::Policy| match &input.policy_usage_filter {
        Some(model::PolicyUsageType::PermissionsBoundary) => {
            policy.permissions_boundary_usage_count != Some(0)
        }
        Some(model::PolicyUsageType::PermissionsPolicy) => policy.attachment_count != Some(0),
        None => input.only_attached != Some(true) || policy.attachment_count != Some(0),
    };
    let policies = app.identity.policies(&permit);
    let shown = policies
        .iter()
        .filter(|policy| in_scope(policy))
        .filter(|policy| below(&policy.path, input.path_prefix.as_ref()))
        .map(|policy| model::Policy {
            description: None,
            tags: None,
            ..shown(&app, &permit, policy)
        })
        .filter(is_used);
    let page = page(shown, input.marker.as_deref(), input.max_items, |policy| {
        policy.arn.as_deref().unwrap_or_default()
    })?;
    std::future::ready(Ok(model::ListPoliciesOutput {
        policies: Some(page.items),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: model::DeletePolicyInput,
) -> Result<(), Fault> {
    let done = app.identity.delete_policy(&permit, &input.policy_arn);
    done.await.map_err(|error| fault(&error))
}

async fn list_entities(
    app: Arc<App>,
    permit: Permit,
    input: model::ListEntitiesForPolicyInput,
) -> Result<model::ListEntitiesForPolicyOutput, Fault> {
    let arn = &input.policy_arn;
    let found = app.identity.policy(&permit, arn);
    found.map_err(|error| fault(&error))?;
    let wanted = |kind: HolderKind| match input.entity_filter {
        None => true,
        Some(model::EntityType::User) => kind == HolderKind::User,
        Some(model::EntityType::Role) => kind == HolderKind::Role,
        Some(
            model::EntityType::Group
            | model::EntityType::LocalManagedPolicy
            | model::EntityType::AWSManagedPolicy,
        ) => false,
    };
    let (as_policy, as_boundary) = match input.policy_usage_filter {
        None => (true, true),
        Some(model::PolicyUsageType::PermissionsPolicy) => (true, false),
        Some(model::PolicyUsageType::PermissionsBoundary) => (false, true),
    };
    let mut holders = Vec::new();
    if as_policy {
        holders.extend(app.identity.holders_of(&permit, arn));
    }
    if as_boundary {
        let having: Vec<String> = holders.iter().map(|holder| holder.arn.clone()).collect();
        let bounded = app.identity.bounded_by(&permit, arn).into_iter();
        holders.extend(bounded.filter(|holder| !having.contains(&holder.arn)));
    }
    let wanted = holders
        .into_iter()
        .filter(|holder| wanted(holder.kind()))
        .filter(|holder| below(&holder.path, input.path_prefix.as_ref()));
    let page = page(wanted, input.marker.as_deref(), input.max_items, |h| &h.arn)?;
    let mut output = model::ListEntitiesForPolicyOutput {
        policy_groups: Some(Vec::new()),
        policy_users: Some(Vec::new()),
        policy_roles: Some(Vec::new()),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    };
    for holder in page.items {
        let (name, id) = (Some(holder.name.clone()), Some(holder.id.clone()));
        match holder.kind() {
            HolderKind::User => {
                output
                    .policy_users
                    .get_or_insert_default()
                    .push(model::PolicyUser {
                        user_name: name,
                        user_id: id,
                    })
            }
            HolderKind::Role => {
                output
                    .policy_roles
                    .get_or_insert_default()
                    .push(model::PolicyRole {
                        role_name: name,
                        role_id: id,
                    })
            }
        }
    }
    std::future::ready(Ok(output)).await
}
