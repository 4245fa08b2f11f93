//! Conditions on reads and writes, as RFC 9110 §13 orders them.

use sightline_types::Timestamp;

use crate::{Error, Object};

/// Which ETags a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etags {
    /// Any object at all: `*`.
    Any,
    /// One of these, without quotes.
    OneOf(Vec<String>),
}

impl Etags {
    /// Reads the value of an `If-Match` or `If-None-Match` header.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let etag = |part: &str| {
            let part = part.trim();
            let strong = part.strip_prefix("W/").unwrap_or(part);
            strong.trim_matches('"').to_owned()
        };
        Self::OneOf(text.split(',').map(etag).collect())
    }

    fn include(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.iter().any(|one| one == etag),
        }
    }
}

/// Conditions under which an object is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Only if the ETag is among these.
    pub if_match: Option<Etags>,
    /// Only if the ETag is not among these.
    pub if_none_match: Option<Etags>,
    /// Only if the object has changed after this time.
    pub if_modified_since: Option<Timestamp>,
    /// Only if the object has not changed after this time.
    pub if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Checks every condition on a source of a copy, where each failure is one: there is nothing
    /// that the caller could have already.
    pub(crate) fn check_copy(&self, object: &Object) -> Result<(), Error> {
        match self.check(object) {
            Err(Error::NotModified(_)) => Err(Error::PreconditionFailed {
                condition: "x-amz-copy-source-If-None-Match",
            }),
            checked => checked,
        }
    }

    /// Checks every condition. One on the ETag takes precedence over that on the time beside it.
    pub(crate) fn check(&self, object: &Object) -> Result<(), Error> {
        let failed = |condition| Err(Error::PreconditionFailed { condition });
        let modified_after = |time| seconds(time) < seconds(object.modified_at);
        match (&self.if_match, self.if_unmodified_since) {
            (Some(etags), _) if !etags.include(&object.etag) => return failed("If-Match"),
            (None, Some(time)) if modified_after(time) => return failed("If-Unmodified-Since"),
            (_, _) => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(etags), _) if etags.include(&object.etag) => {}
            (None, Some(time)) if !modified_after(time) => {}
            (_, _) => return Ok(()),
        }
        Err(Error::NotModified(Box::new(object.clone())))
    }
}

/// HTTP dates have no fractions, so neither has what they are compared with.
fn seconds(time: Timestamp) -> i64 {
    time.millis().div_euclid(1000)
}

/// The condition under which an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteCondition {
    /// No object has the key: `If-None-Match: *`.
    Absent,
    /// The object to be replaced has one of these ETags: `If-Match`.
    Match(Etags),
}

impl WriteCondition {
    /// Checks the condition on the object that has the key now.
    pub(crate) fn check(&self, present: Option<&Object>) -> Result<(), Error> {
        match (self, present) {
            (Self::Absent, None) => Ok(()),
            (Self::Absent, Some(_)) => Err(Error::PreconditionFailed {
                condition: "If-None-Match",
            }),
            (Self::Match(etags), Some(object)) if etags.include(&object.etag) => Ok(()),
            (Self::Match(_), _) => Err(Error::PreconditionFailed {
                condition: "If-Match",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use sightline_ports::BlobId;

    use super::*;
    use crate::Attributes;
    use crate::version::Rank;

    fn object() -> Object {
        Object {
            key: "k".parse().unwrap(),
            size: 1,
            etag: "abc".to_owned(),
            modified_at: Timestamp::from_millis(10_500),
            checksum: None,
            attributes: Attributes::default(),
            part_count: 0,
            version: None,
            rank: Rank::first(),
            content_id: BlobId::parse(&"a".repeat(32)).unwrap(),
        }
    }

    #[derive(Debug, PartialEq)]
    enum Verdict {
        Read,
        NotModified,
        Failed,
    }

    fn verdict(conditions: &Conditions) -> Verdict {
        match conditions.check(&object()) {
            Ok(()) => Verdict::Read,
            Err(Error::NotModified(_)) => Verdict::NotModified,
            Err(Error::PreconditionFailed { .. }) => Verdict::Failed,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn conditions_are_weighed_in_the_order_of_the_standard() {
        let (before, same, after) = (Some(9), Some(10), Some(11));
        let cases = [
            (None, None, None, None, Verdict::Read),
            (Some("\"abc\""), None, None, None, Verdict::Read),
            (Some("x, W/\"abc\""), None, None, None, Verdict::Read),
            (Some("*"), None, None, None, Verdict::Read),
            (Some("\"x\""), None, None, None, Verdict::Failed),
            (None, Some("\"abc\""), None, None, Verdict::NotModified),
            (None, Some("*"), None, None, Verdict::NotModified),
            (None, Some("\"x\""), None, None, Verdict::Read),
            (None, None, before, None, Verdict::Read),
            (None, None, same, None, Verdict::NotModified),
            (None, None, after, None, Verdict::NotModified),
            (None, None, None, before, Verdict::Failed),
            (None, None, None, same, Verdict::Read),
            // An ETag that fits outweighs the time beside it, either way.
            (Some("abc"), None, None, before, Verdict::Read),
            (None, Some("x"), after, None, Verdict::Read),
            (Some("abc"), Some("abc"), None, None, Verdict::NotModified),
        ];
        for (if_match, if_none_match, since, until, expected) in cases {
            let time = |seconds: Option<i64>| seconds.map(|s| Timestamp::from_millis(s * 1000));
            let conditions = Conditions {
                if_match: if_match.map(Etags::parse),
                if_none_match: if_none_match.map(Etags::parse),
                if_modified_since: time(since),
                if_unmodified_since: time(until),
            };
            assert_eq!(verdict(&conditions), expected, "{conditions:?}");
        }
    }

    #[test]
    fn writes_need_their_object_absent_or_matching() {
        let matching = WriteCondition::Match(Etags::parse("\"abc\""));
        let other = WriteCondition::Match(Etags::parse("\"x\""));
        assert!(WriteCondition::Absent.check(None).is_ok());
        assert!(WriteCondition::Absent.check(Some(&object())).is_err());
        assert!(matching.check(Some(&object())).is_ok());
        assert!(matching.check(None).is_err());
        assert!(other.check(Some(&object())).is_err());
    }
}
