//! Managed policies on users and roles.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{Holder, Permit};
use sightline_model_aws::iam as model;

use super::convert::{ROLE, USER, below, page};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::AttachUserPolicy, _, _, _>(app, attach_user);
    on.serve::<model::DetachUserPolicy, _, _, _>(app, detach_user);
    on.serve::<model::ListAttachedUserPolicies, _, _, _>(app, list_user);
    on.serve::<model::AttachRolePolicy, _, _, _>(app, attach_role);
    on.serve::<model::DetachRolePolicy, _, _, _>(app, detach_role);
    on.serve::<model::ListAttachedRolePolicies, _, _, _>(app, list_role);
}

fn attached(
    app: &App,
    permit: &Permit,
    holder: &Holder,
    prefix: Option<&String>,
) -> Vec<model::AttachedPolicy> {
    let arns = holder.attached.iter();
    let policies = arns.filter_map(|arn| app.identity.policy(permit, arn).ok());
    let wanted = policies.filter(|policy| below(&policy.path, prefix));
    let shown = wanted.map(|policy| model::AttachedPolicy {
        policy_name: Some(policy.name.clone()),
        policy_arn: Some(policy.arn.clone()),
    });
    shown.collect()
}

fn arn_of(policy: &model::AttachedPolicy) -> &str {
    policy.policy_arn.as_deref().unwrap_or_default()
}

async fn attach_user(
    app: Arc<App>,
    permit: Permit,
    input: model::AttachUserPolicyInput,
) -> Result<(), Fault> {
    let (name, arn) = (input.user_name, input.policy_arn);
    let done = app.identity.attach(&permit, USER, &name, arn);
    done.await.map_err(|error| fault(&error))
}

async fn detach_user(
    app: Arc<App>,
    permit: Permit,
    input: model::DetachUserPolicyInput,
) -> Result<(), Fault> {
    let (name, arn) = (input.user_name, input.policy_arn);
    let done = app.identity.detach(&permit, USER, &name, arn);
    done.await.map_err(|error| fault(&error))
}

async fn list_user(
    app: Arc<App>,
    permit: Permit,
    input: model::ListAttachedUserPoliciesInput,
) -> Result<model::ListAttachedUserPoliciesOutput, Fault> {
    let found = app.identity.holder(&permit, USER, &input.user_name);
    let holder = found.map_err(|error| fault(&error))?;
    let policies = attached(&app, &permit, &holder, input.path_prefix.as_ref());
    let (marker, max) = (input.marker.as_deref(), input.max_items);
    let page = page(policies, marker, max, arn_of)?;
    std::future::ready(Ok(model::ListAttachedUserPoliciesOutput {
        attached_policies: Some(page.items),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn attach_role(
    app: Arc<App>,
    permit: Permit,
    input: model::AttachRolePolicyInput,
) -> Result<(), Fault> {
    let (name, arn) = (input.role_name, input.policy_arn);
    let done = app.identity.attach(&permit, ROLE, &name, arn);
    done.await.map_err(|error| fault(&error))
}

async fn detach_role(
    app: Arc<App>,
    permit: Permit,
    input: model::DetachRolePolicyInput,
) -> Result<(), Fault> {
    let (name, arn) = (input.role_name, input.policy_arn);
    let done = app.identity.detach(&permit, ROLE, &name, arn);
    done.await.map_err(|error| fault(&error))
}

async fn list_role(
    app: Arc<App>,
    permit: Permit,
    input: model::ListAttachedRolePoliciesInput,
) -> Result<model::ListAttachedRolePoliciesOutput, Fault> {
    let found = app.identity.holder(&permit, ROLE, &input.role_name);
    let holder = found.map_err(|error| fault(&error))?;
    let policies = attached(&app, &permit, &holder, input.path_prefix.as_ref());
    let (marker, max) = (input.marker.as_deref(), input.max_items);
    let page = page(policies, marker, max, arn_of)?;
    std::future::ready(Ok(model::ListAttachedRolePoliciesOutput {
        attached_policies: Some(page.items),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}
