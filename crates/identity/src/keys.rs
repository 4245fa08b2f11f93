//! Access keys, permanent and temporary.

use std::fmt;

use serde::{Deserialize, Serialize};
use sightline_types::{AccountId, Caller, Timestamp};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half: `AKIA…` when permanent, `ASIA…` when temporary.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// What must come with each request of a temporary key.
    pub session_token: Option<Secret>,
    /// When a temporary key ends.
    pub expires_at: Option<Timestamp>,
    /// What the key may do.
    pub grants: Grants,
    /// Whose it is, as events and `GetCallerIdentity` show it.
    pub caller: Caller,
    pub(crate) principal: Principal,
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
    /// Draws a new temporary key.
    pub(crate) fn temporary(session: NewSession, account: &AccountId) -> Result<Self, Error> {
        let principal = Principal {
            role_id: role_id(&session.role_name),
            role_name: session.role_name,
            session_name: session_name(&session.session_name),
        };
        let mut key = Self::permanent(principal, session.grants, account)?;
        key.id = format!("ASIA{}", random_text(16, BASE32)?);
        key.caller.access_key_id = key.id.clone();
        key.session_token = Some(Secret(random_text(128, BASE64)?));
        key.expires_at = Some(session.expires_at);
        Ok(key)
    }

    /// Draws a new permanent key.
    pub(crate) fn permanent(
        principal: Principal,
        grants: Grants,
        account: &AccountId,
    ) -> Result<Self, Error> {
        let id = format!("AKIA{}", random_text(16, BASE32)?);
        Ok(Self {
            caller: caller(&principal, &id, account),
            secret: Secret(random_text(40, BASE64)?),
            session_token: None,
            expires_at: None,
            id,
            grants,
            principal,
        })
    }
}

/// What the world sees of a key's principal.
pub(crate) fn caller(principal: &Principal, access_key_id: &str, account: &AccountId) -> Caller {
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
    }
}

/// The unique identifier of a role: `AROA` and 17 characters that follow from its name.
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
        let key = AccessKey::permanent(principal, Grants::Everything, &account).unwrap();
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
