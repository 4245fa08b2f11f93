//! The account as a whole.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::Permit;
use sightline_model_aws::iam as model;

use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::ListAccountAliases, _, _, _>(app, list_aliases);
}

async fn list_aliases(
    _app: Arc<App>,
    _permit: Permit,
    _input: model::ListAccountAliasesInput,
) -> Result<model::ListAccountAliasesOutput, Fault> {
    std::future::ready(Ok(model::ListAccountAliasesOutput {
        account_aliases: Vec::new(),
        is_truncated: Some(false),
        marker: None,
    }))
    .await
}
