//! Access keys.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{AccessKey, Error, Permit};
use sightline_model_aws::iam as model;

use super::convert::{USER, page};
use super::fault;
use super::user::named_or_caller;
use crate::App;

/// What IAM says of a key that was never used.
const NOT_USED: &str = "N/A";

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::CreateAccessKey, _, _, _>(app, create);
    on.serve::<model::ListAccessKeys, _, _, _>(app, list);
    on.serve::<model::UpdateAccessKey, _, _, _>(app, update);
    on.serve::<model::DeleteAccessKey, _, _, _>(app, delete);
    on.serve::<model::GetAccessKeyLastUsed, _, _, _>(app, get_last_used);
}

fn status(key: &AccessKey) -> model::StatusType {
    if key.active {
        model::StatusType::Active
    } else {
        model::StatusType::Inactive
    }
}

async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreateAccessKeyInput,
) -> Result<model::CreateAccessKeyOutput, Fault> {
    let user = named_or_caller(&app, &permit, input.user_name)?;
    let made = app.identity.create_access_key(&permit, user.as_deref());
    let key = made.await.map_err(|error| fault(&error))?;
    Ok(model::CreateAccessKeyOutput {
        access_key: model::AccessKey {
            user_name: key.caller.user_name.clone(),
            access_key_id: key.id.clone(),
            status: status(&key),
            secret_access_key: key.secret.reveal().to_owned(),
            create_date: Some(key.created_at),
        },
    })
}

async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListAccessKeysInput,
) -> Result<model::ListAccessKeysOutput, Fault> {
    let user = named_or_caller(&app, &permit, input.user_name)?;
    if let Some(name) = &user {
        let found = app.identity.holder(&permit, USER, name);
        found.map_err(|error| fault(&error))?;
    }
    let keys = app.identity.access_keys(&permit, user.as_deref());
    let page = page(keys, input.marker.as_deref(), input.max_items, |key| {
        &key.id
    })?;
    let metadata = page.items.iter().map(|key| model::AccessKeyMetadata {
        user_name: Some(key.caller.user_name.clone()),
        access_key_id: Some(key.id.clone()),
        status: Some(status(key)),
        create_date: Some(key.created_at),
    });
    std::future::ready(Ok(model::ListAccessKeysOutput {
        access_key_metadata: metadata.collect(),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn update(
    app: Arc<App>,
    permit: Permit,
    input: model::UpdateAccessKeyInput,
) -> Result<(), Fault> {
    let active = match input.status {
        model::StatusType::Active => true,
        model::StatusType::Inactive => false,
        model::StatusType::Expired => {
            let text = "Sightline does not serve the status Expired for UpdateAccessKey.";
            return Err(fault(&Error::Unsupported(text)));
        }
    };
    let user = named_or_caller(&app, &permit, input.user_name)?;
    let id = input.access_key_id;
    let done = app
        .identity
        .set_key_status(&permit, user.as_deref(), &id, active);
    done.await.map_err(|error| fault(&error))
}

async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteAccessKeyInput,
) -> Result<(), Fault> {
    let user = named_or_caller(&app, &permit, input.user_name)?;
    let id = input.access_key_id;
    let done = app
        .identity
        .delete_access_key(&permit, user.as_deref(), &id);
    done.await.map_err(|error| fault(&error))
}

async fn get_last_used(
    app: Arc<App>,
    permit: Permit,
    input: model::GetAccessKeyLastUsedInput,
) -> Result<model::GetAccessKeyLastUsedOutput, Fault> {
    let key = app.identity.access_key(&permit, &input.access_key_id);
    let key = key.map_err(|error| fault(&error))?;
    let last = app.identity.last_use(&permit, &key.id).await;
    let last = last.map_err(|error| fault(&error))?;
    let last = match last {
        Some(last) => model::AccessKeyLastUsed {
            last_used_date: Some(last.at),
            service_name: last.service,
            region: last.region,
        },
        None => model::AccessKeyLastUsed {
            last_used_date: None,
            service_name: NOT_USED.to_owned(),
            region: NOT_USED.to_owned(),
        },
    };
    Ok(model::GetAccessKeyLastUsedOutput {
        user_name: Some(key.caller.user_name.clone()),
        access_key_last_used: Some(last),
    })
}
