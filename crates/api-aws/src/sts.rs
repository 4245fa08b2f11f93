//! STS: who am I, and sessions.

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_identity::{AccessKey, Error, Identity, NewRoleSession, Permit, Secret};
use sightline_meta::Meta;
use sightline_model_aws::sts as model;
use sightline_types::ErrorKind;

use crate::App;
use crate::iam::fault;

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, faults, identity.clone(), meta.clone());
    on.serve::<model::GetCallerIdentity, _, _, _>(app, get_caller_identity);
    on.serve::<model::GetAccessKeyInfo, _, _, _>(app, get_access_key_info);
    on.serve::<model::AssumeRole, _, _, _>(app, assume_role);
    on.serve::<model::GetSessionToken, _, _, _>(app, get_session_token);
    on
}

/// The codes of STS and IAM, which share the Query protocol.
pub(crate) fn faults(kind: ErrorKind) -> (&'static str, StatusCode) {
    match kind {
        ErrorKind::Invalid | ErrorKind::PreconditionFailed => {
            ("ValidationError", StatusCode::BAD_REQUEST)
        }
        ErrorKind::NotFound => ("NoSuchEntity", StatusCode::NOT_FOUND),
        ErrorKind::AlreadyExists => ("EntityAlreadyExists", StatusCode::CONFLICT),
        ErrorKind::Conflict => ("ConcurrentModification", StatusCode::CONFLICT),
        ErrorKind::LimitExceeded => ("LimitExceeded", StatusCode::CONFLICT),
        ErrorKind::Denied => ("AccessDenied", StatusCode::FORBIDDEN),
        ErrorKind::Throttled => ("Throttling", StatusCode::BAD_REQUEST),
        ErrorKind::Unsupported => ("InvalidAction", StatusCode::BAD_REQUEST),
        ErrorKind::Unavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::Internal => ("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn get_caller_identity(
    _app: Arc<App>,
    permit: Permit,
    _input: model::GetCallerIdentityInput,
) -> Result<model::GetCallerIdentityOutput, Fault> {
    let cx = permit.cx();
    std::future::ready(Ok(model::GetCallerIdentityOutput {
        user_id: Some(cx.caller.user_id.clone()),
        account: Some(cx.account.to_string()),
        arn: Some(cx.caller.arn.clone()),
    }))
    .await
}

async fn get_access_key_info(
    app: Arc<App>,
    permit: Permit,
    input: model::GetAccessKeyInfoInput,
) -> Result<model::GetAccessKeyInfoOutput, Fault> {
    let known = app.identity.key(&input.access_key_id).is_some();
    if !known {
        let text = format!(
            "The access key {} belongs to no account here.",
            input.access_key_id
        );
        return Err(fault(&Error::Invalid(text)));
    }
    let account = Some(permit.cx().account.to_string());
    std::future::ready(Ok(model::GetAccessKeyInfoOutput { account })).await
}

fn credentials(key: &AccessKey) -> model::Credentials {
    let token = key.session_token.as_ref().map(Secret::reveal);
    model::Credentials {
        access_key_id: key.id.clone(),
        secret_access_key: key.secret.reveal().to_owned(),
        session_token: token.unwrap_or_default().to_owned(),
        expiration: key.expires_at.unwrap_or(key.created_at),
    }
}

async fn assume_role(
    app: Arc<App>,
    permit: Permit,
    input: model::AssumeRoleInput,
) -> Result<model::AssumeRoleOutput, Fault> {
    let unserved = [
        (input.transitive_tag_keys.is_some(), "TransitiveTagKeys"),
        (input.serial_number.is_some(), "SerialNumber"),
        (input.token_code.is_some(), "TokenCode"),
        (input.provided_contexts.is_some(), "ProvidedContexts"),
    ];
    refuse(&unserved)?;
    let arns = input.policy_arns.unwrap_or_default();
    let tags = input.tags.unwrap_or_default();
    let session = NewRoleSession {
        session_name: input.role_session_name,
        duration_s: seconds(input.duration_seconds),
        policy: input.policy,
        policy_arns: arns.into_iter().filter_map(|policy| policy.arn).collect(),
        tags: tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        source_identity: input.source_identity.clone(),
    };
    let key = app.identity.assume_role(&permit, session).await;
    let key = key.map_err(|error| fault(&error))?;
    Ok(model::AssumeRoleOutput {
        credentials: Some(credentials(&key)),
        assumed_role_user: Some(model::AssumedRoleUser {
            assumed_role_id: key.caller.user_id.clone(),
            arn: key.caller.arn.clone(),
        }),
        packed_policy_size: None,
        source_identity: input.source_identity,
        session_token_size: None,
        session_token_utilization: None,
    })
}

async fn get_session_token(
    app: Arc<App>,
    permit: Permit,
    input: model::GetSessionTokenInput,
) -> Result<model::GetSessionTokenOutput, Fault> {
    let unserved = [
        (input.serial_number.is_some(), "SerialNumber"),
        (input.token_code.is_some(), "TokenCode"),
    ];
    refuse(&unserved)?;
    let key = app
        .identity
        .session_token(&permit, seconds(input.duration_seconds));
    let key = key.await.map_err(|error| fault(&error))?;
    Ok(model::GetSessionTokenOutput {
        credentials: Some(credentials(&key)),
        session_token_size: None,
        session_token_utilization: None,
    })
}

/// A length that the model's validation has bounded.
fn seconds(given: Option<i32>) -> Option<u32> {
    given.and_then(|given| u32::try_from(given).ok())
}

fn refuse(members: &[(bool, &str)]) -> Result<(), Fault> {
    match members.iter().find(|(given, _)| *given) {
        Some((_, name)) => {
            let text = format!("Sightline does not serve {name} here.");
            Err(fault(&Error::Invalid(text)))
        }
        None => Ok(()),
    }
}
