//! What policies would say: simulations, and the condition keys that they need.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::policy::{Context, Decision, Reason};
use sightline_identity::{Error, Permit, Simulated, Simulation};
use sightline_model_aws::iam as model;

use super::convert::page;
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::SimulatePrincipalPolicy, _, _, _>(app, of_principal);
    on.serve::<model::SimulateCustomPolicy, _, _, _>(app, of_policies);
    on.serve::<model::GetContextKeysForCustomPolicy, _, _, _>(app, context_keys);
}

async fn of_principal(
    app: Arc<App>,
    permit: Permit,
    input: model::SimulatePrincipalPolicyInput,
) -> Result<model::SimulatePrincipalPolicyOutput, Fault> {
    refuse(
        "PermissionsBoundaryPolicyInputList",
        input.permissions_boundary_policy_input_list.is_some(),
    )?;
    refuse("PolicyExclusionList", input.policy_exclusion_list.is_some())?;
    refuse("CallerArn", input.caller_arn.is_some())?;
    let simulation = Simulation {
        principal: Some(input.policy_source_arn),
        policies: input.policy_input_list.unwrap_or_default(),
        resource_policy: input.resource_policy,
        actions: input.action_names,
        resources: input.resource_arns.unwrap_or_else(|| vec!["*".to_owned()]),
        context: context_of(input.context_entries),
    };
    let results = simulated(&app, &permit, &simulation)?;
    let (marker, max) = (input.marker.as_deref(), input.max_items);
    let page = page(results, marker, max, |(order, _)| order)?;
    std::future::ready(Ok(model::SimulatePrincipalPolicyOutput {
        evaluation_results: Some(page.items.into_iter().map(|(_, one)| one).collect()),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn of_policies(
    app: Arc<App>,
    permit: Permit,
    input: model::SimulateCustomPolicyInput,
) -> Result<model::SimulatePrincipalPolicyOutput, Fault> {
    refuse(
        "PermissionsBoundaryPolicyInputList",
        input.permissions_boundary_policy_input_list.is_some(),
    )?;
    refuse(
        "OrderedOrganizationPolicyInputList",
        input.ordered_organization_policy_input_list.is_some(),
    )?;
    refuse("CallerArn", input.caller_arn.is_some())?;
    let simulation = Simulation {
        principal: None,
        policies: input.policy_input_list,
        resource_policy: input.resource_policy,
        actions: input.action_names,
        resources: input.resource_arns.unwrap_or_else(|| vec!["*".to_owned()]),
        context: context_of(input.context_entries),
    };
    let results = simulated(&app, &permit, &simulation)?;
    let (marker, max) = (input.marker.as_deref(), input.max_items);
    let page = page(results, marker, max, |(order, _)| order)?;
    std::future::ready(Ok(model::SimulatePrincipalPolicyOutput {
        evaluation_results: Some(page.items.into_iter().map(|(_, one)| one).collect()),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn context_keys(
    app: Arc<App>,
    _permit: Permit,
    input: model::GetContextKeysForCustomPolicyInput,
) -> Result<model::GetContextKeysForCustomPolicyOutput, Fault> {
    let keys = app.identity.keys_asked(&input.policy_input_list);
    let context_key_names = Some(keys.map_err(|error| fault(&error))?);
    std::future::ready(Ok(model::GetContextKeysForCustomPolicyOutput {
        context_key_names,
    }))
    .await
}

fn refuse(member: &str, given: bool) -> Result<(), Fault> {
    if given {
        let text = format!("Sightline does not serve {member} in simulations.");
        return Err(fault(&Error::Invalid(text)));
    }
    Ok(())
}

fn context_of(entries: Option<Vec<model::ContextEntry>>) -> Context {
    let mut context = Context::default();
    for entry in entries.unwrap_or_default() {
        if let Some(key) = entry.context_key_name {
            context.put_all(&key, entry.context_key_values.unwrap_or_default());
        }
    }
    context
}

/// The results with what keeps them in order over pages.
fn simulated(
    app: &App,
    permit: &Permit,
    simulation: &Simulation,
) -> Result<Vec<(String, model::EvaluationResult)>, Fault> {
    let found = app.identity.simulate(permit, simulation);
    let found = found.map_err(|error| fault(&error))?;
    let numbered = (0..).zip(found.iter());
    Ok(numbered
        .map(|(number, one)| (format!("{number:04}"), result(one)))
        .collect())
}

fn result(simulated: &Simulated) -> model::EvaluationResult {
    let (decision, reasons) = match &simulated.decision {
        Decision::Allowed(reasons) => (
            model::PolicyEvaluationDecisionType::Allowed,
            reasons.as_slice(),
        ),
        Decision::ExplicitDeny(reason) => (
            model::PolicyEvaluationDecisionType::ExplicitDeny,
            std::slice::from_ref(reason),
        ),
        Decision::ImplicitDeny(_) => (model::PolicyEvaluationDecisionType::ImplicitDeny, &[][..]),
    };
    model::EvaluationResult {
        eval_action_name: simulated.action.clone(),
        eval_resource_name: Some(simulated.resource.clone()),
        eval_decision: decision,
        matched_statements: Some(reasons.iter().map(statement).collect()),
        missing_context_values: Some(simulated.missing.clone()),
        organizations_decision_detail: None,
        permissions_boundary_decision_detail: None,
        eval_decision_details: None,
        resource_specific_results: None,
    }
}

/// The policy with the name of the statement: people look for the `Sid`, and the positions that
/// AWS gives count characters of a text that they may not have at hand.
fn statement(reason: &Reason) -> model::Statement {
    model::Statement {
        source_policy_id: Some(format!("{}#{}", reason.policy, reason.statement)),
        source_policy_type: None,
        start_position: None,
        end_position: None,
    }
}
