//! The policies of users' and roles' own.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{Error, Holder, HolderKind, Noun, Permit};
use sightline_model_aws::iam as model;

use super::convert::{ROLE, USER, page, shown};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::PutUserPolicy, _, _, _>(app, put_user);
    on.serve::<model::GetUserPolicy, _, _, _>(app, get_user);
    on.serve::<model::ListUserPolicies, _, _, _>(app, list_user);
    on.serve::<model::DeleteUserPolicy, _, _, _>(app, delete_user);
    on.serve::<model::PutRolePolicy, _, _, _>(app, put_role);
    on.serve::<model::GetRolePolicy, _, _, _>(app, get_role);
    on.serve::<model::ListRolePolicies, _, _, _>(app, list_role);
    on.serve::<model::DeleteRolePolicy, _, _, _>(app, delete_role);
}

fn document(holder: &Holder, policy_name: &str) -> Result<String, Fault> {
    let missing = || {
        fault(&Error::NotFound {
            noun: match holder.kind() {
                HolderKind::User => Noun::UserPolicy,
                HolderKind::Role => Noun::RolePolicy,
            },
            name: policy_name.to_owned(),
        })
    };
    let found = holder.inline.get(policy_name);
    found.map(|text| shown(text)).ok_or_else(missing)
}

async fn put_user(
    app: Arc<App>,
    permit: Permit,
    input: model::PutUserPolicyInput,
) -> Result<(), Fault> {
    let policy = (input.policy_name, input.policy_document);
    let done = app
        .identity
        .put_inline(&permit, USER, &input.user_name, policy);
    done.await.map_err(|error| fault(&error))
}

async fn get_user(
    app: Arc<App>,
    permit: Permit,
    input: model::GetUserPolicyInput,
) -> Result<model::GetUserPolicyOutput, Fault> {
    let found = app.identity.holder(&permit, USER, &input.user_name);
    let holder = found.map_err(|error| fault(&error))?;
    let document = document(&holder, &input.policy_name)?;
    std::future::ready(Ok(model::GetUserPolicyOutput {
        user_name: holder.name.clone(),
        policy_name: input.policy_name,
        policy_document: document,
    }))
    .await
}

async fn list_user(
    app: Arc<App>,
    permit: Permit,
    input: model::ListUserPoliciesInput,
) -> Result<model::ListUserPoliciesOutput, Fault> {
    let found = app.identity.holder(&permit, USER, &input.user_name);
    let holder = found.map_err(|error| fault(&error))?;
    let names = holder.inline.keys().cloned();
    let page = page(
        names,
        input.marker.as_deref(),
        input.max_items,
        String::as_str,
    )?;
    std::future::ready(Ok(model::ListUserPoliciesOutput {
        policy_names: page.items,
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn delete_user(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteUserPolicyInput,
) -> Result<(), Fault> {
    let (name, policy) = (input.user_name, input.policy_name);
    let done = app.identity.delete_inline(&permit, USER, &name, policy);
    done.await.map_err(|error| fault(&error))
}

async fn put_role(
    app: Arc<App>,
    permit: Permit,
    input: model::PutRolePolicyInput,
) -> Result<(), Fault> {
    let policy = (input.policy_name, input.policy_document);
    let done = app
        .identity
        .put_inline(&permit, ROLE, &input.role_name, policy);
    done.await.map_err(|error| fault(&error))
}

async fn get_role(
    app: Arc<App>,
    permit: Permit,
    input: model::GetRolePolicyInput,
) -> Result<model::GetRolePolicyOutput, Fault> {
    let found = app.identity.holder(&permit, ROLE, &input.role_name);
    let holder = found.map_err(|error| fault(&error))?;
    let document = document(&holder, &input.policy_name)?;
    std::future::ready(Ok(model::GetRolePolicyOutput {
        role_name: holder.name.clone(),
        policy_name: input.policy_name,
        policy_document: document,
    }))
    .await
}

async fn list_role(
    app: Arc<App>,
    permit: Permit,
    input: model::ListRolePoliciesInput,
) -> Result<model::ListRolePoliciesOutput, Fault> {
    let found = app.identity.holder(&permit, ROLE, &input.role_name);
    let holder = found.map_err(|error| fault(&error))?;
    let names = holder.inline.keys().cloned();
    let page = page(
        names,
        input.marker.as_deref(),
        input.max_items,
        String::as_str,
    )?;
    std::future::ready(Ok(model::ListRolePoliciesOutput {
        policy_names: page.items,
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn delete_role(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteRolePolicyInput,
) -> Result<(), Fault> {
    let (name, policy) = (input.role_name, input.policy_name);
    let done = app.identity.delete_inline(&permit, ROLE, &name, policy);
    done.await.map_err(|error| fault(&error))
}
