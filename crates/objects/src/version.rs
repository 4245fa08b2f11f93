//! Versions: what a bucket keeps of the objects that are replaced or deleted.

use std::fmt;
use std::str::FromStr;

use sightline_types::Timestamp;

use crate::{Error, InvalidName, Object, ObjectKey};

/// Whether a bucket keeps what is replaced or deleted in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// It never has.
    #[default]
    Off,
    /// It does.
    Enabled,
    /// It has, and keeps what it has, but adds nothing to it.
    Suspended,
}

impl Versioning {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Off, Self::Enabled, Self::Suspended];
        all.into_iter().find(|known| known.as_str() == text)
    }
}

/// The digits of a rank, and as many that nobody can guess behind them in a version's name.
const RANK_DIGITS: usize = 16;

/// The name of a version among those of its key.
///
/// `null` names what was written while its bucket kept no versions; of that there is one at most.
/// Another name begins with the version's rank, so that a list can go on behind a version that
/// has been deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(Box<str>);

impl VersionId {
    /// The name of what was written while its bucket kept no versions.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_null(&self) -> bool {
        *self.0 == *"null"
    }

    /// A new name for a version of this rank.
    pub(crate) fn draw(rank: &Rank) -> Self {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self(format!("{}{random:016x}", rank.as_str()).into())
    }

    /// The rank that the name tells.
    pub(crate) fn rank(&self) -> Option<Rank> {
        self.0.get(..RANK_DIGITS).map(|digits| Rank(digits.into()))
    }
}

impl FromStr for VersionId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let drawn = text.len() == 2 * RANK_DIGITS && text.bytes().all(digit);
        if text != "null" && !drawn {
            return Err(InvalidName::Version(text.chars().take(200).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a version among those of its key: the less, the newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(Box<str>);

impl Rank {
    /// The rank of the first version of a key, and of all in a bucket that keeps none.
    pub(crate) fn first() -> Self {
        Self(format!("{:016x}", u64::MAX).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The rank of the version that comes next.
    pub(crate) fn newer(&self) -> Self {
        let number = u64::from_str_radix(&self.0, 16).unwrap_or(u64::MAX);
        Self(format!("{:016x}", number.saturating_sub(1)).into())
    }
}

impl From<String> for Rank {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// One version of a key: an object or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its key.
    pub key: ObjectKey,
    /// Its name.
    pub id: VersionId,
    /// When it was written.
    pub modified_at: Timestamp,
    /// Whether it is the newest of its key. Known in lists only.
    pub latest: bool,
    /// The object; `None` for a delete marker.
    pub object: Option<Box<Object>>,
    pub(crate) rank: Rank,
}

impl Version {
    /// The object, where a reader asks for one; `named` if it asks for just this version.
    pub(crate) fn into_object(self, named: bool) -> Result<Object, Error> {
        match self.object {
            Some(object) => Ok(*object),
            None => Err(Error::DeleteMarker {
                key: self.key,
                version: self.id,
                modified_at: self.modified_at,
                named,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_ranks_come_first_and_names_tell_them() {
        let first = Rank::first();
        let second = first.newer();
        assert!(second < first && second.newer() < second);
        let name = VersionId::draw(&second);
        assert_ne!(name, VersionId::draw(&second));
        assert_eq!(name.rank(), Some(second));
        assert_eq!(name.as_str().parse(), Ok(name));
    }

    #[test]
    fn what_names_no_version_is_refused() {
        for wrong in [
            "",
            "Null",
            "1",
            &"g".repeat(32),
            &"A".repeat(32),
            &"a".repeat(33),
        ] {
            assert!(wrong.parse::<VersionId>().is_err(), "{wrong}");
        }
        assert_eq!(VersionId::null().rank(), None);
    }
}
