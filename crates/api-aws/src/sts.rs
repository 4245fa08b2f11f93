//! STS: who am I?

use std::sync::Arc;

use http::StatusCode;
use sightline_api::{Fault, Operations};
use sightline_identity::{Identity, Permit};
use sightline_meta::Meta;
use sightline_model_aws::sts as model;
use sightline_types::ErrorKind;

use crate::App;

pub(crate) fn operations(app: &Arc<App>, identity: &Identity, meta: &Meta) -> Operations {
    let mut on = Operations::new(&model::SERVICE, faults, identity.clone(), meta.clone());
    on.serve::<model::GetCallerIdentity, _, _, _>(app, get_caller_identity);
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
