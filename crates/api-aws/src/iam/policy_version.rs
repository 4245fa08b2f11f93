//! Versions of managed policies.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{ManagedPolicy, Permit, PolicyVersion};
use sightline_model_aws::iam as model;

use super::convert::{page, shown};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::CreatePolicyVersion, _, _, _>(app, create);
    on.serve::<model::GetPolicyVersion, _, _, _>(app, get);
    on.serve::<model::ListPolicyVersions, _, _, _>(app, list);
    on.serve::<model::DeletePolicyVersion, _, _, _>(app, delete);
    on.serve::<model::SetDefaultPolicyVersion, _, _, _>(app, set_default);
}

fn convert(policy: &ManagedPolicy, number: u32, version: &PolicyVersion) -> model::PolicyVersion {
    model::PolicyVersion {
        document: Some(shown(&version.document)),
        version_id: Some(format!("v{number}")),
        is_default_version: Some(number == policy.default_version),
        create_date: Some(version.created_at),
    }
}

async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreatePolicyVersionInput,
) -> Result<model::CreatePolicyVersionOutput, Fault> {
    let set_as_default = input.set_as_default == Some(true);
    let (arn, document) = (input.policy_arn, input.policy_document);
    let made = app
        .identity
        .create_version(&permit, &arn, document, set_as_default);
    let number = made.await.map_err(|error| fault(&error))?;
    Ok(model::CreatePolicyVersionOutput {
        policy_version: Some(model::PolicyVersion {
            document: None,
            version_id: Some(format!("v{number}")),
            is_default_version: Some(set_as_default),
            create_date: Some(permit.cx().received_at),
        }),
    })
}

async fn get(
    app: Arc<App>,
    permit: Permit,
    input: model::GetPolicyVersionInput,
) -> Result<model::GetPolicyVersionOutput, Fault> {
    let policy = app.identity.policy(&permit, &input.policy_arn);
    let policy = policy.map_err(|error| fault(&error))?;
    let version = policy.version(&input.version_id);
    let (number, version) = version.map_err(|error| fault(&error))?;
    let policy_version = Some(convert(&policy, number, version));
    std::future::ready(Ok(model::GetPolicyVersionOutput { policy_version })).await
}

async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListPolicyVersionsInput,
) -> Result<model::ListPolicyVersionsOutput, Fault> {
    let policy = app.identity.policy(&permit, &input.policy_arn);
    let policy = policy.map_err(|error| fault(&error))?;
    let versions = policy.versions.iter().map(|(number, version)| {
        let shown = model::PolicyVersion {
            document: None,
            ..convert(&policy, *number, version)
        };
        // The newest comes first.
        (format!("{:010}", u32::MAX - number), shown)
    });
    let (marker, max) = (input.marker.as_deref(), input.max_items);
    let page = page(versions, marker, max, |(order, _)| order)?;
    std::future::ready(Ok(model::ListPolicyVersionsOutput {
        versions: Some(page.items.into_iter().map(|(_, shown)| shown).collect()),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: model::DeletePolicyVersionInput,
) -> Result<(), Fault> {
    let (arn, version) = (input.policy_arn, input.version_id);
    let done = app.identity.delete_version(&permit, &arn, &version);
    done.await.map_err(|error| fault(&error))
}

async fn set_default(
    app: Arc<App>,
    permit: Permit,
    input: model::SetDefaultPolicyVersionInput,
) -> Result<(), Fault> {
    let (arn, version) = (input.policy_arn, input.version_id);
    let done = app.identity.set_default_version(&permit, &arn, &version);
    done.await.map_err(|error| fault(&error))
}
