//! Users.

use std::sync::Arc;

use sightline_api::{Fault, Operations};
use sightline_identity::{Error, Grants, NewHolder, Permit};
use sightline_model_aws::iam as model;

use super::convert::{self, USER, below, page, path_of, tags_of};
use super::fault;
use crate::App;

pub(super) fn operations(on: &mut Operations, app: &Arc<App>) {
    on.serve::<model::CreateUser, _, _, _>(app, create);
    on.serve::<model::GetUser, _, _, _>(app, get);
    on.serve::<model::ListUsers, _, _, _>(app, list);
    on.serve::<model::UpdateUser, _, _, _>(app, update);
    on.serve::<model::DeleteUser, _, _, _>(app, delete);
    on.serve::<model::TagUser, _, _, _>(app, tag);
    on.serve::<model::UntagUser, _, _, _>(app, untag);
    on.serve::<model::ListUserTags, _, _, _>(app, list_tags);
}

/// The user that a request without a name is about: the caller, or `None` for the owner.
pub(super) fn named_or_caller(
    app: &App,
    permit: &Permit,
    name: Option<String>,
) -> Result<Option<String>, Fault> {
    if name.is_some() {
        return Ok(name);
    }
    let key = app.identity.key(&permit.cx().caller.access_key_id);
    let text = "Must specify userName when calling with non-User credentials";
    match key.as_deref().map(|key| &key.grants) {
        Some(Grants::Everything) => Ok(None),
        Some(Grants::User(name)) => Ok(Some(name.clone())),
        Some(Grants::Only(_) | Grants::Role(_)) | None => {
            Err(fault(&Error::Invalid(text.to_owned())))
        }
    }
}

async fn create(
    app: Arc<App>,
    permit: Permit,
    input: model::CreateUserInput,
) -> Result<model::CreateUserOutput, Fault> {
    let new = NewHolder {
        name: input.user_name,
        path: path_of(input.path),
        tags: tags_of(input.tags)?,
        boundary: input.permissions_boundary,
        role: None,
    };
    let made = app.identity.create_holder(&permit, new).await;
    let made = made.map_err(|error| fault(&error))?;
    Ok(model::CreateUserOutput {
        user: Some(convert::user(&made)),
    })
}

async fn get(
    app: Arc<App>,
    permit: Permit,
    input: model::GetUserInput,
) -> Result<model::GetUserOutput, Fault> {
    let user = match named_or_caller(&app, &permit, input.user_name)? {
        Some(name) => {
            let found = app.identity.holder(&permit, USER, &name);
            convert::user(&*found.map_err(|error| fault(&error))?)
        }
        None => owner(&app, &permit).await?,
    };
    Ok(model::GetUserOutput { user })
}

/// The account's owner as a user: no entity, and shown all the same.
async fn owner(app: &App, permit: &Permit) -> Result<model::User, Fault> {
    let root = app.identity.root_key().await;
    let root = root.map_err(|error| fault(&error))?;
    let account = &permit.cx().account;
    Ok(model::User {
        path: "/".to_owned(),
        user_name: root.caller.user_name.clone(),
        user_id: account.to_string(),
        arn: format!("arn:aws:iam::{account}:root"),
        create_date: root.created_at,
        password_last_used: None,
        permissions_boundary: None,
        tags: None,
    })
}

async fn list(
    app: Arc<App>,
    permit: Permit,
    input: model::ListUsersInput,
) -> Result<model::ListUsersOutput, Fault> {
    let users = app.identity.holders(&permit, USER);
    let prefix = input.path_prefix.as_ref();
    let wanted = users.into_iter().filter(|user| below(&user.path, prefix));
    let page = page(wanted, input.marker.as_deref(), input.max_items, |u| {
        &u.name
    })?;
    let without_tags = |user: &sightline_identity::Holder| model::User {
        permissions_boundary: None,
        tags: None,
        ..convert::user(user)
    };
    std::future::ready(Ok(model::ListUsersOutput {
        users: page.items.iter().map(|user| without_tags(user)).collect(),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}

async fn update(app: Arc<App>, permit: Permit, input: model::UpdateUserInput) -> Result<(), Fault> {
    let (name, new_name, new_path) = (input.user_name, input.new_user_name, input.new_path);
    let done = app.identity.rename_user(&permit, &name, new_name, new_path);
    done.await.map_err(|error| fault(&error))
}

async fn delete(app: Arc<App>, permit: Permit, input: model::DeleteUserInput) -> Result<(), Fault> {
    let done = app.identity.delete_holder(&permit, USER, &input.user_name);
    done.await.map_err(|error| fault(&error))
}

async fn tag(app: Arc<App>, permit: Permit, input: model::TagUserInput) -> Result<(), Fault> {
    let tags = tags_of(Some(input.tags))?;
    let done = app
        .identity
        .tag_holder(&permit, USER, &input.user_name, tags);
    done.await.map_err(|error| fault(&error))
}

async fn untag(app: Arc<App>, permit: Permit, input: model::UntagUserInput) -> Result<(), Fault> {
    let (name, keys) = (input.user_name, input.tag_keys);
    let done = app.identity.untag_holder(&permit, USER, &name, keys);
    done.await.map_err(|error| fault(&error))
}

async fn list_tags(
    app: Arc<App>,
    permit: Permit,
    input: model::ListUserTagsInput,
) -> Result<model::ListUserTagsOutput, Fault> {
    let user = app.identity.holder(&permit, USER, &input.user_name);
    let tags = convert::tags(&user.map_err(|error| fault(&error))?.tags);
    let page = page(tags, input.marker.as_deref(), input.max_items, |tag| {
        &tag.key
    })?;
    std::future::ready(Ok(model::ListUserTagsOutput {
        tags: page.items,
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    }))
    .await
}
