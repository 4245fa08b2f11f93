//! Account, region and request identifiers.

use std::fmt;
use std::str::FromStr;

/// A text that is not an identifier of the kind named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}")]
pub struct InvalidId {
    /// What was expected, with its rule.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
}

/// An account number: 12 decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(Box<str>);

impl AccountId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidId {
                kind: "an account id of 12 digits",
                text: text.to_owned(),
            });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A region name such as `us-east-1`: lower-case letters, digits and dashes, at most 32.
///
/// Clients refuse regions that their own endpoint table does not know, so the server's region
/// must be one of AWS's names although no AWS endpoint is ever called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(Box<str>);

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    /// The region that AWS's clients know longest.
    fn default() -> Self {
        Self("us-east-1".into())
    }
}

impl FromStr for Region {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let length_ok = (1..=32).contains(&text.len());
        let chars_ok = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !(length_ok && chars_ok) {
            return Err(InvalidId {
                kind: "a region name such as us-east-1",
                text: text.to_owned(),
            });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identifier that an answer carries and that logs and events repeat: a random UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// Draws a new identifier.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_twelve_digits() {
        assert_eq!(
            "123456789012".parse::<AccountId>().unwrap().as_str(),
            "123456789012"
        );
        for wrong in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901a",
            "１23456789012",
        ] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_are_lower_case_names() {
        assert_eq!("eu-west-1".parse::<Region>().unwrap().as_str(), "eu-west-1");
        for wrong in ["", "EU-WEST-1", "eu west", "eu/west"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }
}
