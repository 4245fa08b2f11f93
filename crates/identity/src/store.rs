//! The SQL of keys, entities and policies, and what first start puts there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sightline_meta::{MetaError, Reader, Row, Tx, params, settings};
use sightline_types::{AccountId, Timestamp};

use crate::directory::{Directory, name_key};
use crate::entity::{Holder, HolderKind, ManagedPolicy, RolePart};
use crate::keys::{self, AccessKey, Principal, Secret};
use crate::seal::{self, SealingKey};
use crate::{Error, Grants, LastUse, builtin};

const INSERT_KEY: &str = "INSERT INTO access_keys
    (access_key_id, secret, session_token, expires_at, created_at, principal, grants, user_name)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const DELETE_KEY: &str = "DELETE FROM access_keys WHERE access_key_id = $1";
const DELETE_EXPIRED: &str = "DELETE FROM access_keys WHERE expires_at < $1";
const LOAD_KEYS: &str = "SELECT access_key_id, secret, session_token, expires_at, principal,
    grants, created_at, status FROM access_keys";
const SECRETS: &str = "SELECT access_key_id, secret, session_token FROM access_keys";
const SET_SECRETS: &str = "UPDATE access_keys SET secret = $2, session_token = $3
    WHERE access_key_id = $1";
const COUNT_KEYS: &str = "SELECT count(*) FROM access_keys
    WHERE user_name = $1 AND expires_at IS NULL";
const KEYS_OF: &str = "SELECT access_key_id, principal FROM access_keys
    WHERE user_name = $1";
const SET_OWNER: &str = "UPDATE access_keys SET user_name = $2, grants = $3, principal = $4
    WHERE access_key_id = $1";
const SET_STATUS: &str = "UPDATE access_keys SET status = $2 WHERE access_key_id = $1";
const SET_LAST_USE: &str = "UPDATE access_keys
    SET last_used_at = $2, last_used_service = $3, last_used_region = $4
    WHERE access_key_id = $1";
const LAST_USE: &str = "SELECT last_used_at, last_used_service, last_used_region
    FROM access_keys WHERE access_key_id = $1";
const GENERATION: &str = "SELECT generation FROM identity_state WHERE id = 1";
const BUMP: &str = "UPDATE identity_state SET generation = generation + 1 WHERE id = 1";
const SEAL_CHECK: &str = "SELECT seal_check FROM identity_state WHERE id = 1";
const SET_SEAL_CHECK: &str = "UPDATE identity_state SET seal_check = $1 WHERE id = 1";
const PUT_ENTITY: &str = "INSERT INTO iam_entities (kind, name_key, arn, document)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (kind, name_key) DO UPDATE SET arn = excluded.arn, document = excluded.document";
const GET_ENTITY: &str = "SELECT document FROM iam_entities WHERE kind = $1 AND name_key = $2";
const DELETE_ENTITY: &str = "DELETE FROM iam_entities WHERE kind = $1 AND name_key = $2";
const ENTITIES: &str = "SELECT document FROM iam_entities WHERE kind = $1";
const COUNT_ENTITIES: &str = "SELECT count(*) FROM iam_entities WHERE kind = $1";
const HAS_ARN: &str = "SELECT 1 FROM iam_entities WHERE arn = $1";
const RESOURCE_POLICIES: &str = "SELECT arn, document FROM resource_policies";
const PUT_RESOURCE_POLICY: &str = "INSERT INTO resource_policies (arn, document, updated_at)
    VALUES ($1, $2, $3)
    ON CONFLICT (arn) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at";
const DELETE_RESOURCE_POLICY: &str = "DELETE FROM resource_policies WHERE arn = $1";

const ACCOUNT: &str = "account_id";
const ROOT_KEY: &str = "root_access_key_id";

/// What the seal check is bound to and says.
const SEAL_CHECK_TEXT: &str = "sightline";

/// The kind of managed policies among entities.
const POLICY: &str = "policy";

/// What first start needs randomness for, drawn before the transaction.
pub(crate) struct Seed {
    account: String,
    root: AccessKey,
}

impl Seed {
    pub(crate) fn draw(now: Timestamp) -> Result<Self, Error> {
        // A leading zero would be lost by programs that take the account for a number.
        let account = format!("7{}", keys::random_text(11, keys::DIGITS)?);
        let principal = Principal {
            role_name: DEFAULT_ROLE.to_owned(),
            role_id: keys::role_id(DEFAULT_ROLE),
            session_name: "root".to_owned(),
        };
        let parsed = parse_account(&account)?;
        Ok(Self {
            root: AccessKey::permanent(principal, Grants::Everything, &parsed, now)?,
            account,
        })
    }
}

/// The name of the role that first start makes, and which `get_execution_role` gives.
pub(crate) const DEFAULT_ROLE: &str = "SightlineExecutionRole";

/// What a store is begun with.
pub(crate) struct Initialised {
    pub(crate) account: AccountId,
    /// Whether secrets lay in the clear, so that the store's file still holds them somewhere.
    pub(crate) were_clear: bool,
}

/// Makes account, root key and default role if they are absent.
pub(crate) fn initialise(
    tx: &mut Tx<'_>,
    seed: &Seed,
    sealing: &SealingKey,
    now: Timestamp,
) -> Result<Initialised, Error> {
    tx.execute(DELETE_EXPIRED, params![now])?;
    let were_clear = seal_clear_secrets(tx, sealing)?;
    let account = match settings::get(tx, ACCOUNT)? {
        Some(account) => parse_account(&account)?,
        None => {
            settings::put(tx, ACCOUNT, &seed.account)?;
            settings::put(tx, ROOT_KEY, &seed.root.id)?;
            insert_key(tx, &seed.root, sealing)?;
            parse_account(&seed.account)?
        }
    };
    if holder(tx, HolderKind::Role, DEFAULT_ROLE)?.is_none() {
        put_holder(tx, &default_role(&account, now))?;
        bump(tx)?;
    }
    Ok(Initialised {
        account,
        were_clear,
    })
}

fn default_role(account: &AccountId, now: Timestamp) -> Holder {
    let trust = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sagemaker.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    });
    Holder {
        name: DEFAULT_ROLE.to_owned(),
        path: "/".to_owned(),
        id: keys::role_id(DEFAULT_ROLE),
        arn: HolderKind::Role.arn(account, "/", DEFAULT_ROLE),
        created_at: now,
        tags: BTreeMap::new(),
        attached: BTreeSet::from([builtin::OF_DEFAULT_ROLE.to_owned()]),
        inline: BTreeMap::new(),
        boundary: None,
        role: Some(RolePart {
            trust: trust.to_string(),
            description: None,
            max_session_s: crate::SESSION_S_DEFAULT,
        }),
    }
}

/// Earlier releases stored secrets in the clear. Says whether there were any.
fn seal_clear_secrets(tx: &mut Tx<'_>, sealing: &SealingKey) -> Result<bool, Error> {
    if seal_check(tx)?.is_none() {
        let check = sealing.seal(SEAL_CHECK_TEXT, SEAL_CHECK_TEXT)?;
        tx.execute(SET_SEAL_CHECK, params![check])?;
    }
    let rows = tx.query(SECRETS, params![], |row| {
        let row: (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(row)
    })?;
    let clear = |(_, secret, _): &&(String, String, Option<String>)| !seal::is_sealed(secret);
    for (id, secret, token) in rows.iter().filter(clear) {
        let token = token.as_deref().map(|token| sealing.seal(id, token));
        let secret = sealing.seal(id, secret)?;
        tx.execute(SET_SECRETS, params![id, secret, token.transpose()?])?;
    }
    Ok(rows.iter().any(|row| clear(&row)))
}

/// What proves the key of secrets; `None` before the first start with one.
pub(crate) fn seal_check(reader: &Reader<'_>) -> Result<Option<String>, MetaError> {
    let found = reader.query_one(SEAL_CHECK, params![], |row| row.get(0))?;
    Ok(found.flatten())
}

/// Whether `sealing` is the key that sealed the store's secrets.
pub(crate) fn opens(sealing: &SealingKey, check: &str) -> bool {
    let text = sealing.open(SEAL_CHECK_TEXT, check);
    text.is_ok_and(|text| text == SEAL_CHECK_TEXT)
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

fn to_json(value: &impl Serialize) -> Result<String, MetaError> {
    serde_json::to_string(value).map_err(|error| stored("value", &error))
}

fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, MetaError> {
    serde_json::from_str(text).map_err(|error| stored(what, &error))
}

pub(crate) fn root_key_id(reader: &Reader<'_>) -> Result<Option<String>, MetaError> {
    settings::get(reader, ROOT_KEY)
}

/// The number of the last change.
pub(crate) fn generation(reader: &Reader<'_>) -> Result<i64, MetaError> {
    let found = reader.query_one(GENERATION, params![], |row| row.get(0))?;
    found.ok_or_else(|| stored("generation", &"it is absent"))
}

/// Counts a change, and gives its number.
pub(crate) fn bump(tx: &mut Tx<'_>) -> Result<i64, MetaError> {
    tx.execute(BUMP, params![])?;
    generation(tx)
}

pub(crate) fn insert_key(
    tx: &mut Tx<'_>,
    key: &AccessKey,
    sealing: &SealingKey,
) -> Result<(), Error> {
    let token = key.session_token.as_ref().map(Secret::reveal);
    let token = token.map(|token| sealing.seal(&key.id, token));
    tx.execute(
        INSERT_KEY,
        params![
            &key.id,
            sealing.seal(&key.id, key.secret.reveal())?,
            token.transpose()?,
            key.expires_at,
            key.created_at,
            to_json(&key.principal)?,
            to_json(&key.grants)?,
            key.user_name(),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_key(tx: &mut Tx<'_>, id: &str) -> Result<(), MetaError> {
    tx.execute(DELETE_KEY, params![id])?;
    Ok(())
}

pub(crate) fn delete_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), MetaError> {
    tx.execute(DELETE_EXPIRED, params![now])?;
    Ok(())
}

/// How many permanent keys a user has.
pub(crate) fn count_keys(reader: &Reader<'_>, user: &str) -> Result<u64, MetaError> {
    let found = reader.query_one(COUNT_KEYS, params![user], |row| row.get(0))?;
    Ok(found.unwrap_or(0))
}

/// Gives the keys of a user to the same user under another name.
pub(crate) fn rename_keys(tx: &mut Tx<'_>, user: &str, renamed: &str) -> Result<(), MetaError> {
    let rows = tx.query(KEYS_OF, params![user], |row| {
        let row: (String, String) = (row.get(0)?, row.get(1)?);
        Ok(row)
    })?;
    for (id, principal) in rows {
        let mut principal: Principal = from_json("principal", &principal)?;
        renamed.clone_into(&mut principal.session_name);
        let grants = to_json(&Grants::User(renamed.to_owned()))?;
        let params = params![id, renamed, grants, to_json(&principal)?];
        tx.execute(SET_OWNER, params)?;
    }
    Ok(())
}

/// Switches a key on or off.
pub(crate) fn set_status(tx: &mut Tx<'_>, id: &str, active: bool) -> Result<(), MetaError> {
    let status = if active { ACTIVE } else { "Inactive" };
    tx.execute(SET_STATUS, params![id, status])?;
    Ok(())
}

pub(crate) fn set_last_use(tx: &mut Tx<'_>, id: &str, last: &LastUse) -> Result<(), MetaError> {
    tx.execute(
        SET_LAST_USE,
        params![id, last.at, &last.service, &last.region],
    )?;
    Ok(())
}

pub(crate) fn last_use(reader: &Reader<'_>, id: &str) -> Result<Option<LastUse>, MetaError> {
    let found = reader.query_one(LAST_USE, params![id], |row| {
        let Some(at) = row.get(0)? else {
            return Ok(None);
        };
        let (service, region): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
        Ok(Some(LastUse {
            at,
            service: service.unwrap_or_default(),
            region: region.unwrap_or_default(),
        }))
    })?;
    Ok(found.flatten())
}

/// Whether an entity has this ARN.
pub(crate) fn has_arn(reader: &Reader<'_>, arn: &str) -> Result<bool, MetaError> {
    let found = reader.query_one(HAS_ARN, params![arn], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Everything that identity holds in memory, as of one moment.
pub(crate) struct Loaded {
    pub(crate) generation: i64,
    pub(crate) keys: Vec<AccessKey>,
    pub(crate) directory: Directory,
}

pub(crate) fn load(reader: &Reader<'_>, sealing: &SealingKey) -> Result<Loaded, Error> {
    let directory = Directory::build(
        [
            holders(reader, HolderKind::User)?,
            holders(reader, HolderKind::Role)?,
        ]
        .concat(),
        policies(reader)?,
        reader.query(RESOURCE_POLICIES, params![], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?,
    )?;
    let account = settings::get(reader, ACCOUNT)?;
    let account = account.ok_or_else(|| stored("account id", &"it is absent"))?;
    let account = parse_account(&account)?;
    let rows = reader.query(LOAD_KEYS, params![], KeyRow::read)?;
    let keys = rows
        .into_iter()
        .map(|row| row.open(sealing, &account, &directory));
    Ok(Loaded {
        generation: generation(reader)?,
        keys: keys.collect::<Result<_, _>>()?,
        directory,
    })
}

struct KeyRow {
    id: String,
    secret: String,
    session_token: Option<String>,
    expires_at: Option<Timestamp>,
    principal: String,
    grants: String,
    created_at: Timestamp,
    status: String,
}

/// The status of a key that may be used.
pub(crate) const ACTIVE: &str = "Active";

impl KeyRow {
    fn read(row: &Row<'_>) -> Result<Self, MetaError> {
        Ok(Self {
            id: row.get(0)?,
            secret: row.get(1)?,
            session_token: row.get(2)?,
            expires_at: row.get(3)?,
            principal: row.get(4)?,
            grants: row.get(5)?,
            created_at: row.get(6)?,
            status: row.get(7)?,
        })
    }

    fn open(
        self,
        sealing: &SealingKey,
        account: &AccountId,
        directory: &Directory,
    ) -> Result<AccessKey, Error> {
        let principal: Principal = from_json("principal", &self.principal)?;
        let grants: Grants = from_json("grants", &self.grants)?;
        let narrowed = match &grants {
            Grants::Role(session) => session.policies.as_deref(),
            Grants::Everything | Grants::Only(_) | Grants::User(_) => None,
        };
        let token = self.session_token.as_deref();
        let token = token.map(|token| sealing.open(&self.id, token));
        Ok(AccessKey {
            narrowed: narrowed.map(|list| directory.narrowed(list)).transpose()?,
            secret: Secret::new(sealing.open(&self.id, &self.secret)?),
            session_token: token.transpose()?.map(Secret::new),
            expires_at: self.expires_at,
            created_at: self.created_at,
            active: self.status == ACTIVE,
            grants,
            caller: keys::caller(&principal, &self.id, account, self.created_at),
            id: self.id,
            principal,
        })
    }
}

pub(crate) fn holders(reader: &Reader<'_>, kind: HolderKind) -> Result<Vec<Holder>, MetaError> {
    let texts: Vec<String> = reader.query(ENTITIES, params![kind.word()], |row| row.get(0))?;
    texts.iter().map(|text| from_json("entity", text)).collect()
}

pub(crate) fn holder(
    reader: &Reader<'_>,
    kind: HolderKind,
    name: &str,
) -> Result<Option<Holder>, MetaError> {
    let params = params![kind.word(), name_key(name)];
    let text: Option<String> = reader.query_one(GET_ENTITY, params, |row| row.get(0))?;
    text.map(|text| from_json("entity", &text)).transpose()
}

pub(crate) fn put_holder(tx: &mut Tx<'_>, holder: &Holder) -> Result<(), MetaError> {
    let params = params![
        holder.kind().word(),
        name_key(&holder.name),
        &holder.arn,
        to_json(holder)?
    ];
    tx.execute(PUT_ENTITY, params)?;
    Ok(())
}

pub(crate) fn delete_holder(
    tx: &mut Tx<'_>,
    kind: HolderKind,
    name: &str,
) -> Result<(), MetaError> {
    tx.execute(DELETE_ENTITY, params![kind.word(), name_key(name)])?;
    Ok(())
}

pub(crate) fn count_holders(reader: &Reader<'_>, kind: HolderKind) -> Result<u64, MetaError> {
    count(reader, kind.word())
}

fn count(reader: &Reader<'_>, kind: &str) -> Result<u64, MetaError> {
    let found = reader.query_one(COUNT_ENTITIES, params![kind], |row| row.get(0))?;
    Ok(found.unwrap_or(0))
}

pub(crate) fn count_policies(reader: &Reader<'_>) -> Result<u64, MetaError> {
    count(reader, POLICY)
}

pub(crate) fn policies(reader: &Reader<'_>) -> Result<Vec<ManagedPolicy>, MetaError> {
    let texts: Vec<String> = reader.query(ENTITIES, params![POLICY], |row| row.get(0))?;
    texts.iter().map(|text| from_json("policy", text)).collect()
}

pub(crate) fn policy(reader: &Reader<'_>, name: &str) -> Result<Option<ManagedPolicy>, MetaError> {
    let params = params![POLICY, name_key(name)];
    let text: Option<String> = reader.query_one(GET_ENTITY, params, |row| row.get(0))?;
    text.map(|text| from_json("policy", &text)).transpose()
}

pub(crate) fn put_policy(tx: &mut Tx<'_>, policy: &ManagedPolicy) -> Result<(), MetaError> {
    let document = to_json(policy)?;
    let params = params![POLICY, name_key(&policy.name), &policy.arn, document];
    tx.execute(PUT_ENTITY, params)?;
    Ok(())
}

pub(crate) fn delete_policy(tx: &mut Tx<'_>, name: &str) -> Result<(), MetaError> {
    tx.execute(DELETE_ENTITY, params![POLICY, name_key(name)])?;
    Ok(())
}

pub(crate) fn put_resource_policy(
    tx: &mut Tx<'_>,
    arn: &str,
    document: &str,
    now: Timestamp,
) -> Result<(), MetaError> {
    tx.execute(PUT_RESOURCE_POLICY, params![arn, document, now])?;
    Ok(())
}

pub(crate) fn delete_resource_policy(tx: &mut Tx<'_>, arn: &str) -> Result<bool, MetaError> {
    Ok(tx.execute(DELETE_RESOURCE_POLICY, params![arn])? != 0)
}
