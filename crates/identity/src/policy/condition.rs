//! Conditions: an operator, a key of the request, and the values that it is compared with.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sightline_types::Timestamp;

use super::Context;
use super::pattern::{Pattern, Reading};

/// One line of a condition block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) key: Box<str>,
    over: Over,
    if_exists: bool,
    test: Test,
}

/// How a key with several values is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// No set operator: one value is expected.
    One,
    /// `ForAllValues:`, true of none.
    All,
    /// `ForAnyValue:`, false of none.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Text {
        wanted: Box<[Pattern]>,
        form: TextForm,
        negated: bool,
    },
    Number(Box<[f64]>, Compare),
    Date(Box<[i64]>, Compare),
    Bool(Box<[bool]>),
    Binary(Box<[Vec<u8>]>),
    Ip {
        wanted: Box<[Network]>,
        negated: bool,
    },
    /// True when the key is absent, or with `false` when it is there.
    Null(Box<[bool]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextForm {
    AsIs,
    AnyCase,
    Arn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// There is no operator of this name.
    Operator,
    /// A value is not of the operator's type.
    Value,
}

impl Condition {
    /// Reads an operator such as `ForAnyValue:StringLikeIfExists` with its key and values.
    pub(super) fn parse(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, Unreadable> {
        let (over, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Over::All, name),
            Some(("ForAnyValue", name)) => (Over::Any, name),
            Some(_) => return Err(Unreadable::Operator),
            None => (Over::One, operator),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some("Null") => return Err(Unreadable::Operator),
            Some(name) => (name, true),
            None => (name, false),
        };
        let test = Test::parse(name, values, variables)?;
        Ok(Self {
            key: key.into(),
            over,
            if_exists,
            test,
        })
    }

    /// The condition keys that it asks for, those of its variables included.
    pub(super) fn keys(&self) -> Vec<Box<str>> {
        let patterns = match &self.test {
            Test::Text { wanted, .. } => &**wanted,
            Test::Number(..)
            | Test::Date(..)
            | Test::Bool(_)
            | Test::Binary(_)
            | Test::Ip { .. }
            | Test::Null(_) => &[],
        };
        let variables = patterns.iter().flat_map(Pattern::keys);
        variables.chain([self.key.clone()]).collect()
    }

    /// Whether the request satisfies it.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let values = context.get(&self.key);
        if let Test::Null(wanted) = &self.test {
            return wanted.contains(&values.is_none());
        }
        let Some(values) = values else {
            return match self.over {
                Over::One => self.if_exists || self.test.is_negated(),
                Over::All => true,
                Over::Any => self.if_exists,
            };
        };
        let holds = |value: &String| self.test.holds(value, context);
        match self.over {
            Over::All => values.iter().all(holds),
            Over::Any => values.iter().any(holds),
            Over::One if self.test.is_negated() => values.iter().all(holds),
            Over::One => values.iter().any(holds),
        }
    }
}

impl Test {
    fn parse(name: &str, values: &[String], variables: bool) -> Result<Self, Unreadable> {
        let text = |form, wildcards, negated| {
            let reading = Reading {
                wildcards,
                variables,
            };
            let wanted = each(values, |value| Pattern::parse(value, reading))?;
            Ok(Self::Text {
                wanted,
                form,
                negated,
            })
        };
        let number = |compare| Ok(Self::Number(each(values, |v| parse_number(v))?, compare));
        let date = |compare| Ok(Self::Date(each(values, |v| parse_date(v))?, compare));
        let ip = |negated| {
            let wanted = each(values, |value| Network::parse(value))?;
            Ok(Self::Ip { wanted, negated })
        };
        match name {
            "StringEquals" => text(TextForm::AsIs, false, false),
            "StringNotEquals" => text(TextForm::AsIs, false, true),
            "StringEqualsIgnoreCase" => text(TextForm::AnyCase, false, false),
            "StringNotEqualsIgnoreCase" => text(TextForm::AnyCase, false, true),
            "StringLike" => text(TextForm::AsIs, true, false),
            "StringNotLike" => text(TextForm::AsIs, true, true),
            "ArnEquals" | "ArnLike" => text(TextForm::Arn, true, false),
            "ArnNotEquals" | "ArnNotLike" => text(TextForm::Arn, true, true),
            "NumericEquals" => number(Compare::Equal),
            "NumericNotEquals" => number(Compare::NotEqual),
            "NumericLessThan" => number(Compare::Less),
            "NumericLessThanEquals" => number(Compare::LessOrEqual),
            "NumericGreaterThan" => number(Compare::Greater),
            "NumericGreaterThanEquals" => number(Compare::GreaterOrEqual),
            "DateEquals" => date(Compare::Equal),
            "DateNotEquals" => date(Compare::NotEqual),
            "DateLessThan" => date(Compare::Less),
            "DateLessThanEquals" => date(Compare::LessOrEqual),
            "DateGreaterThan" => date(Compare::Greater),
            "DateGreaterThanEquals" => date(Compare::GreaterOrEqual),
            "Bool" => Ok(Self::Bool(each(values, |v| parse_bool(v))?)),
            "BinaryEquals" => Ok(Self::Binary(each(values, |v| STANDARD.decode(v).ok())?)),
            "IpAddress" => ip(false),
            "NotIpAddress" => ip(true),
            "Null" => Ok(Self::Null(each(values, |v| parse_bool(v))?)),
            _ => Err(Unreadable::Operator),
        }
    }

    fn is_negated(&self) -> bool {
        match self {
            Self::Text { negated, .. } | Self::Ip { negated, .. } => *negated,
            Self::Number(_, compare) | Self::Date(_, compare) => *compare == Compare::NotEqual,
            Self::Bool(_) | Self::Binary(_) | Self::Null(_) => false,
        }
    }

    /// Whether one value of the request satisfies the operator.
    fn holds(&self, value: &str, context: &Context) -> bool {
        match self {
            Self::Text {
                wanted,
                form,
                negated,
            } => {
                let matches = |pattern: &Pattern| match form {
                    TextForm::AsIs => pattern.matches(value, context),
                    TextForm::AnyCase => pattern.matches_any_case(value, context),
                    TextForm::Arn => pattern.matches_arn(value, context),
                };
                wanted.iter().any(matches) != *negated
            }
            Self::Number(wanted, compare) => {
                parse_number(value).is_some_and(|value| compare.holds(value, wanted))
            }
            Self::Date(wanted, compare) => {
                parse_date(value).is_some_and(|value| compare.holds(value, wanted))
            }
            Self::Bool(wanted) => parse_bool(value).is_some_and(|value| wanted.contains(&value)),
            Self::Binary(wanted) => {
                let value = STANDARD.decode(value).ok();
                value.is_some_and(|value| wanted.contains(&value))
            }
            Self::Ip { wanted, negated } => value.parse().is_ok_and(|address: IpAddr| {
                wanted.iter().any(|network| network.contains(address)) != *negated
            }),
            Self::Null(_) => false,
        }
    }
}

impl Compare {
    /// Whether `value` stands so to one of `wanted`; a denial, to none.
    fn holds<T: PartialOrd + Copy>(self, value: T, wanted: &[T]) -> bool {
        let mut wanted = wanted.iter().copied();
        match self {
            Self::Equal => wanted.any(|w| value == w),
            Self::NotEqual => wanted.all(|w| value != w),
            Self::Less => wanted.any(|w| value < w),
            Self::LessOrEqual => wanted.any(|w| value <= w),
            Self::Greater => wanted.any(|w| w < value),
            Self::GreaterOrEqual => wanted.any(|w| w <= value),
        }
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let difference = ours.to_bits() ^ theirs.to_bits();
                difference.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let difference = ours.to_bits() ^ theirs.to_bits();
                difference.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn each<T>(values: &[String], read: impl Fn(&String) -> Option<T>) -> Result<Box<[T]>, Unreadable> {
    let read: Option<Box<[T]>> = values.iter().map(read).collect();
    read.ok_or(Unreadable::Value)
}

fn parse_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

fn parse_bool(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is("true").then_some(true).or(is("false").then_some(false))
}

/// A date as milliseconds: ISO 8601, or seconds since 1970.
fn parse_date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000);
    }
    let whole_day = text.len() == "2026-11-23".len();
    let padded = if whole_day {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    padded.parse().ok().map(Timestamp::millis)
}
