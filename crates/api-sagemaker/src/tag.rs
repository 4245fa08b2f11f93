//! Tags of any resource.

use std::sync::Arc;

use sightline_api::Fault;
use sightline_identity::Permit;
use sightline_types::Arn;

use crate::faults::{of_catalog, validation};
use crate::list::pairs;
use crate::{App, model};

/// Tags on a page when the request does not say.
const PAGE_DEFAULT: u32 = 50;

pub(crate) async fn add(
    app: Arc<App>,
    permit: Permit,
    input: model::AddTagsInput,
) -> Result<model::AddTagsOutput, Fault> {
    let arn = arn(&input.resource_arn)?;
    let added = app
        .catalog
        .add_tags(&permit, arn, pairs(Some(input.tags)))
        .await;
    let tags = added.map_err(|error| of_catalog(&error))?;
    Ok(model::AddTagsOutput {
        tags: Some(tags.into_iter().map(tag).collect()),
    })
}

pub(crate) async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListTagsInput,
) -> Result<model::ListTagsOutput, Fault> {
    let arn = arn(&input.resource_arn)?;
    let limit = input
        .max_results
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(PAGE_DEFAULT);
    let listed = app
        .catalog
        .tags(&permit, arn, input.next_token, limit)
        .await;
    let page = listed.map_err(|error| of_catalog(&error))?;
    let tags = page.items.into_iter().map(tag).collect();
    Ok(model::ListTagsOutput {
        tags: Some(tags),
        next_token: page.next_token,
    })
}

pub(crate) async fn delete(
    app: Arc<App>,
    permit: Permit,
    input: model::DeleteTagsInput,
) -> Result<model::DeleteTagsOutput, Fault> {
    let arn = arn(&input.resource_arn)?;
    let deleted = app.catalog.delete_tags(&permit, arn, input.tag_keys).await;
    deleted.map_err(|error| of_catalog(&error))?;
    Ok(model::DeleteTagsOutput {})
}

fn arn(text: &str) -> Result<Arn, Fault> {
    text.parse()
        .map_err(|error: sightline_types::InvalidArn| validation(error.to_string()))
}

fn tag((key, value): (String, String)) -> model::Tag {
    model::Tag { key, value }
}
