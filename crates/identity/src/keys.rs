//! Access keys, permanent and temporary.

use std::fmt;

use serde::{Deserialize, Serialize};
use sightline_types::{AccountId, Caller, Timestamp};

use crate::policy::Named;
use crate::{Error, Grants};

/// The half of a key that is never shown: its debug form is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for signing, checking and handing to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whose a key is. Every principal appears as a session of a role, because `sagemaker`'s
/// `get_execution_role` accepts nothing else; the real name is the session's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Principal {
    pub(crate) role_name: String,
    pub(crate) role_id: String,
    pub(crate) session_name: String,
}

/// A key that can sign requests, and what it may do.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessKey {
    /// The public half: `AKIA…` when permanent, `ASIA…` when temporary.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// What must come with each request of a temporary key.
    pub session_token: Option<Secret>,
    /// When a temporary key ends.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it may be used; its owner can switch it off.
    pub active: bool,
    /// What the key may do.
    pub grants: Grants,
    /// Whose it is, as events and `GetCallerIdentity` show it.
    pub caller: Caller,
    pub(crate) principal: Principal,
    /// The policies that narrow it, ready to be asked.
    pub(crate) narrowed: Option<Vec<Named>>,
}

/// A temporary key to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The role whose session it is.
    pub role_name: String,
    /// The session's name; characters that ARNs do not take are replaced, 64 are kept.
    pub session_name: String,
    /// What the key may do.
    pub grants: Grants,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl AccessKey {
    /// The user whose key it is; none for those of roles and of the account's owner.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        match &self.grants {
            Grants::User(name) => Some(name),
            Grants::Everything | Grants::Only(_) | Grants::Role(_) => None,
        }
    }

    /// Draws a new temporary key.
    pub(crate) fn temporary(
        session: NewSession,
        role_id: String,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let principal = Principal {
            role_id,
            role_name: session.role_name,
            session_name: session_name(&session.session_name),
        };
        let mut key = Self::permanent(principal, session.grants, account, now)?;
        key.id = format!("ASIA{}", random_text(16, BASE32)?);
        key.caller.access_key_id = key.id.clone();
        key.caller.session_began = Some(now);
        key.session_token = Some(Secret(random_text(128, BASE64)?));
        key.expires_at = Some(session.expires_at);
        Ok(key)
    }

    /// Draws a new permanent key.
    pub(crate) fn permanent(
        principal: Principal,
        grants: Grants,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let id = format!("AKIA{}", random_text(16, BASE32)?);
        Ok(Self {
            caller: caller(&principal, &id, account, now),
            secret: Secret(random_text(40, BASE64)?),
            session_token: None,
            expires_at: None,
            created_at: now,
            active: true,
            id,
            grants,
            principal,
            narrowed: None,
        })
    }
}

/// Whether a key with this id is permanent.
pub(crate) fn is_permanent(id: &str) -> bool {
    id.starts_with("AKIA")
}

/// What the world sees of a key's principal.
pub(crate) fn caller(
    principal: &Principal,
    access_key_id: &str,
    account: &AccountId,
    created_at: Timestamp,
) -> Caller {
    let Principal {
        role_name,
        role_id,
        session_name,
    } = principal;
    Caller {
        arn: format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}"),
        user_id: format!("{role_id}:{session_name}"),
        user_name: session_name.clone(),
        access_key_id: access_key_id.to_owned(),
        session_began: (!is_permanent(access_key_id)).then_some(created_at),
    }
}

/// A unique identifier of IAM: `AIDA` for users, `AROA` for roles, `ANPA` for policies, and 17
/// random characters.
pub(crate) fn unique_id(start: &str) -> Result<String, Error> {
    Ok(format!("{start}{}", random_text(17, BASE32)?))
}

/// The identifier of a role that is not known here: `AROA` and 17 characters that follow from its
/// name. The role that first start makes has it too.
pub(crate) fn role_id(role_name: &str) -> String {
    let mut id = String::from("AROA");
    let letters = role_name.bytes().filter(u8::is_ascii_alphanumeric);
    id.extend(
        letters
            .chain(std::iter::repeat(b'X'))
            .take(17)
            .map(|b| b.to_ascii_uppercase() as char),
    );
    id
}

fn session_name(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    text.chars()
        .map(|c| if keep(c) { c } else { '-' })
        .take(64)
        .collect()
}

pub(crate) const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(crate) const DIGITS: &[u8; 10] = b"0123456789";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Draws `length` characters of `alphabet` from the system's randomness, each equally likely.
pub(crate) fn random_text(length: usize, alphabet: &[u8]) -> Result<String, Error> {
    // Bytes past the last whole multiple of the alphabet would favour its first characters.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
        let wanted = length - text.len();
        let drawn = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        text.extend(
            drawn
                .take(wanted)
                .map(|b| char::from(alphabet[b % alphabet.len()])),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let principal = Principal {
            role_name: "R".to_owned(),
            role_id: role_id("R"),
            session_name: "s".to_owned(),
        };
        let account = "123456789012".parse().unwrap();
        let key = AccessKey::permanent(principal, Grants::Everything, &account, Timestamp::EPOCH);
        let key = key.unwrap();
        assert!(!format!("{key:?}").contains(key.secret.reveal()));
        assert_eq!((key.id.len(), key.secret.reveal().len()), (20, 40));
        assert_eq!(key.caller.arn, "arn:aws:sts::123456789012:assumed-role/R/s");
    }

    #[test]
    fn session_names_keep_to_the_characters_of_an_arn() {
        assert_eq!(session_name("job-1/ü x"), "job-1---x");
        assert_eq!(session_name(&"a".repeat(100)).len(), 64);
    }

    #[test]
    fn random_texts_have_their_length_and_alphabet() {
        let text = random_text(12, DIGITS).unwrap();
        assert_eq!(text.len(), 12);
        assert!(text.bytes().all(|b| b.is_ascii_digit()));
        assert_ne!(
            random_text(40, BASE64).unwrap(),
            random_text(40, BASE64).unwrap()
        );
    }
}
