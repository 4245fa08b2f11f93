//! The SQL of keys and roles, and what first start puts there.

use serde_json::json;
use sightline_meta::{MetaError, Reader, Row, Tx, params, resource, settings};
use sightline_types::{AccountId, Arn, Timestamp};

use crate::keys::{self, AccessKey, Principal, Secret};
use crate::{Error, Grants, Role, role};

const INSERT_KEY: &str = "INSERT INTO access_keys
    (access_key_id, secret, session_token, expires_at, created_at, principal, grants)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const DELETE_KEY: &str = "DELETE FROM access_keys WHERE access_key_id = $1";
const DELETE_EXPIRED: &str = "DELETE FROM access_keys WHERE expires_at < $1";
const LOAD_KEYS: &str = "SELECT access_key_id, secret, session_token, expires_at, principal, grants
    FROM access_keys WHERE expires_at IS NULL OR expires_at >= $1";

const ACCOUNT: &str = "account_id";
const ROOT_KEY: &str = "root_access_key_id";

/// What first start needs randomness for, drawn before the transaction.
pub(crate) struct Seed {
    account: String,
    root: AccessKey,
}

impl Seed {
    pub(crate) fn draw() -> Result<Self, Error> {
        // A leading zero would be lost by programs that take the account for a number.
        let account = format!("7{}", keys::random_text(11, keys::DIGITS)?);
        let principal = Principal {
            role_name: role::DEFAULT_NAME.to_owned(),
            role_id: keys::role_id(role::DEFAULT_NAME),
            session_name: "root".to_owned(),
        };
        let parsed = parse_account(&account)?;
        Ok(Self {
            root: AccessKey::permanent(principal, Grants::Everything, &parsed)?,
            account,
        })
    }
}

/// Makes account, root key and default role if they are absent, and gives the account.
pub(crate) fn initialise(tx: &mut Tx<'_>, seed: &Seed, now: Timestamp) -> Result<AccountId, Error> {
    tx.execute(DELETE_EXPIRED, params![now])?;
    if let Some(account) = settings::get(tx, ACCOUNT)? {
        return Ok(parse_account(&account)?);
    }
    settings::put(tx, ACCOUNT, &seed.account)?;
    settings::put(tx, ROOT_KEY, &seed.root.id)?;
    insert_key(tx, &seed.root, now)?;
    let account = parse_account(&seed.account)?;
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sagemaker.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    });
    let default = resource::Resource {
        name: role::DEFAULT_NAME.to_owned(),
        arn: Arn::global("iam", &account, &format!("role/{}", role::DEFAULT_NAME)),
        status: "Active".to_owned(),
        created_at: now,
        modified_at: now,
        document: json!({ "AssumeRolePolicyDocument": trust }),
    };
    resource::create(tx, role::KIND, &default).map_err(|error| match error {
        resource::ResourceError::Meta(source) => source,
        other @ (resource::ResourceError::Exists(_) | resource::ResourceError::InvalidToken) => {
            stored("role", &other)
        }
    })?;
    Ok(account)
}

fn parse_account(text: &str) -> Result<AccountId, MetaError> {
    text.parse()
        .map_err(|error: sightline_types::InvalidId| stored("account id", &error))
}

fn stored(what: &'static str, reason: &dyn std::fmt::Display) -> MetaError {
    MetaError::Stored {
        what,
        reason: reason.to_string(),
    }
}

pub(crate) fn root_key_id(reader: &Reader<'_>) -> Result<Option<String>, MetaError> {
    settings::get(reader, ROOT_KEY)
}

pub(crate) fn insert_key(
    tx: &mut Tx<'_>,
    key: &AccessKey,
    now: Timestamp,
) -> Result<(), MetaError> {
    let to_json = |value: serde_json::Result<String>| value.map_err(|e| stored("key", &e));
    tx.execute(
        INSERT_KEY,
        params![
            &key.id,
            key.secret.reveal(),
            key.session_token.as_ref().map(Secret::reveal),
            key.expires_at,
            now,
            to_json(serde_json::to_string(&key.principal))?,
            to_json(serde_json::to_string(&key.grants))?,
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_key(tx: &mut Tx<'_>, id: &str) -> Result<(), MetaError> {
    tx.execute(DELETE_KEY, params![id])?;
    Ok(())
}

/// Every key that has not expired.
pub(crate) fn load_keys(reader: &Reader<'_>, now: Timestamp) -> Result<Vec<AccessKey>, MetaError> {
    let Some(account) = settings::get(reader, ACCOUNT)? else {
        return Ok(Vec::new());
    };
    let account = parse_account(&account)?;
    reader.query(LOAD_KEYS, params![now], |row| read_key(row, &account))
}

fn read_key(row: &Row<'_>, account: &AccountId) -> Result<AccessKey, MetaError> {
    let id: String = row.get(0)?;
    let principal: String = row.get(4)?;
    let grants: String = row.get(5)?;
    let principal: Principal =
        serde_json::from_str(&principal).map_err(|e| stored("principal", &e))?;
    Ok(AccessKey {
        secret: Secret::new(row.get(1)?),
        session_token: row.get::<Option<String>>(2)?.map(Secret::new),
        expires_at: row.get(3)?,
        grants: serde_json::from_str(&grants).map_err(|e| stored("grants", &e))?,
        caller: keys::caller(&principal, &id, account),
        id,
        principal,
    })
}

pub(crate) fn role(reader: &Reader<'_>, name: &str) -> Result<Role, Error> {
    let found = resource::get(reader, role::KIND, name)?
        .ok_or_else(|| Error::RoleNotFound(name.to_owned()))?;
    Ok(Role {
        id: keys::role_id(&found.name),
        trust: found.document["AssumeRolePolicyDocument"].clone(),
        name: found.name,
        arn: found.arn,
        created_at: found.created_at,
    })
}
