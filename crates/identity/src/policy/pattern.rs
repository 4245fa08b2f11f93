//! Texts with `*`, `?` and policy variables, made ready once and matched without allocation.
//!
//! `*` stands for any text and `?` for one character. A policy of version 2012-10-17 may also hold
//! `${key}`, which stands for the request's value of a condition key, `${key, 'default'}`, and
//! `${*}`, `${?}` and `${$}`, which stand for those characters themselves. A variable's value is
//! taken literally: a star in it matches a star.

use super::Context;

/// A pattern, in the form that is quickest to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*`.
    Anything,
    /// No wildcard at all.
    Exactly(Box<str>),
    /// A text and one star at its end.
    Beginning(Box<str>),
    /// Wildcards anywhere.
    Glob(Box<[Unit]>),
    /// With variables, which only a request can fill.
    Template(Box<[Piece]>),
}

/// What one place of a pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any text.
    Many,
}

/// A part of a pattern with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What does not depend on the request.
    Fixed(Box<[Unit]>),
    /// The request's value of a condition key.
    Variable {
        key: Box<str>,
        default: Option<Box<str>>,
    },
}

/// How the special characters of a pattern's text are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Whether `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// Whether `${…}` is a variable.
    pub(super) variables: bool,
}

impl Pattern {
    /// Makes a pattern of its text; `None` if a variable in it does not end or has no name.
    pub(super) fn parse(text: &str, reading: Reading) -> Option<Self> {
        let pieces = pieces(text, reading)?;
        let fixed = match pieces.as_slice() {
            [] => Some(&[][..]),
            [Piece::Fixed(units)] => Some(&**units),
            _ => None,
        };
        Some(match fixed {
            Some(units) => Self::of_units(units),
            None => Self::Template(pieces.into()),
        })
    }

    fn of_units(units: &[Unit]) -> Self {
        let wild = units
            .iter()
            .position(|unit| matches!(unit, Unit::One | Unit::Many));
        let literal = |units: &[Unit]| units.iter().filter_map(|unit| unit.char()).collect();
        match (wild, units) {
            (None, _) => Self::Exactly(literal(units)),
            (Some(0), [Unit::Many]) => Self::Anything,
            (Some(at), [before @ .., Unit::Many]) if at == before.len() => {
                Self::Beginning(literal(before))
            }
            (Some(_), _) => Self::Glob(units.into()),
        }
    }

    /// The condition keys of its variables.
    pub(super) fn keys(&self) -> Vec<Box<str>> {
        let Self::Template(pieces) = self else {
            return Vec::new();
        };
        let key = |piece: &Piece| match piece {
            Piece::Variable { key, .. } => Some(key.clone()),
            Piece::Fixed(_) => None,
        };
        pieces.iter().filter_map(key).collect()
    }

    /// The text before the first wildcard or variable.
    pub(super) fn literal_start(&self) -> String {
        let units = match self {
            Self::Anything => return String::new(),
            Self::Exactly(text) | Self::Beginning(text) => return text.to_string(),
            Self::Glob(units) => units,
            Self::Template(pieces) => match pieces.first() {
                Some(Piece::Fixed(units)) => units,
                Some(Piece::Variable { .. }) | None => return String::new(),
            },
        };
        units.iter().map_while(|unit| unit.char()).collect()
    }

    /// Whether the whole of `text` matches. A variable without a value matches nothing.
    pub(super) fn matches(&self, text: &str, context: &Context) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(wanted) => **wanted == *text,
            Self::Beginning(start) => text.starts_with(&**start),
            Self::Glob(units) => glob(units, text),
            Self::Template(pieces) => {
                filled(pieces, context).is_some_and(|units| glob(&units, text))
            }
        }
    }

    /// Whether the text matches when the case of letters does not count.
    pub(super) fn matches_any_case(&self, text: &str, context: &Context) -> bool {
        let lower = |c: char| c.to_lowercase();
        let text: String = text.chars().flat_map(lower).collect();
        let units: Vec<Unit> = self.units(context).unwrap_or_default();
        let wanted = units.iter().flat_map(|unit| match unit {
            Unit::Char(c) => lower(*c).map(Unit::Char).collect::<Vec<_>>(),
            other @ (Unit::One | Unit::Many) => vec![*other],
        });
        glob(&wanted.collect::<Vec<_>>(), &text)
    }

    /// Whether each of the six parts of an ARN matches its part of the pattern.
    pub(super) fn matches_arn(&self, arn: &str, context: &Context) -> bool {
        const COLONS: usize = 5;
        let Some(units) = self.units(context) else {
            return false;
        };
        let colon = |unit: &Unit| *unit == Unit::Char(':');
        let wanted: Vec<&[Unit]> = units.splitn(COLONS + 1, colon).collect();
        let parts: Vec<&str> = arn.splitn(COLONS + 1, ':').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(parts)
                .all(|(units, part)| glob(units, part))
    }

    fn units(&self, context: &Context) -> Option<Vec<Unit>> {
        match self {
            Self::Anything => Some(vec![Unit::Many]),
            Self::Exactly(text) => Some(text.chars().map(Unit::Char).collect()),
            Self::Beginning(text) => {
                let units = text.chars().map(Unit::Char);
                Some(units.chain([Unit::Many]).collect())
            }
            Self::Glob(units) => Some(units.to_vec()),
            Self::Template(pieces) => filled(pieces, context),
        }
    }
}

impl Unit {
    fn char(self) -> Option<char> {
        match self {
            Self::Char(c) => Some(c),
            Self::One | Self::Many => None,
        }
    }
}

/// Puts the request's values in the place of variables; `None` if one has none.
fn filled(pieces: &[Piece], context: &Context) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Fixed(fixed) => units.extend_from_slice(fixed),
            Piece::Variable { key, default } => {
                // A key with several values has no one value to stand for it.
                let value = match context.get(key) {
                    Some([one]) => one,
                    Some(_) | None => default.as_deref()?,
                };
                units.extend(value.chars().map(Unit::Char));
            }
        }
    }
    Some(units)
}

fn pieces(text: &str, reading: Reading) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut fixed = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if reading.variables && rest.starts_with("${") {
            let (inside, after) = rest.strip_prefix("${")?.split_once('}')?;
            match inside {
                "*" | "?" | "$" => fixed.extend(inside.chars().map(Unit::Char)),
                _ => {
                    if !fixed.is_empty() {
                        pieces.push(Piece::Fixed(std::mem::take(&mut fixed).into()));
                    }
                    pieces.push(variable(inside)?);
                }
            }
            rest = after;
            continue;
        }
        fixed.push(match c {
            '*' if reading.wildcards => Unit::Many,
            '?' if reading.wildcards => Unit::One,
            c => Unit::Char(c),
        });
        rest = rest.get(c.len_utf8()..)?;
    }
    if !fixed.is_empty() {
        pieces.push(Piece::Fixed(fixed.into()));
    }
    Some(pieces)
}

/// Reads `aws:username` or `aws:PrincipalTag/team, 'default'`.
fn variable(inside: &str) -> Option<Piece> {
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => {
            let quoted = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key, Some(quoted.into()))
        }
        None => (inside, None),
    };
    let key = key.trim();
    let named = key.contains(':') && !key.contains(['$', '{']);
    named.then(|| Piece::Variable {
        key: key.to_ascii_lowercase().into(),
        default,
    })
}

/// Glob matching in time proportional to the product of the lengths at worst.
fn glob(units: &[Unit], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    // After the last star: where to go on, and the text that it has not yet taken.
    let mut star: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        match (units.get(at), next) {
            (Some(Unit::Many), _) => {
                at += 1;
                star = Some((at, rest));
                continue;
            }
            (Some(Unit::One), Some(c)) => {
                (at, rest) = (at + 1, after(rest, c));
                continue;
            }
            (Some(Unit::Char(wanted)), Some(c)) if *wanted == c => {
                (at, rest) = (at + 1, after(rest, c));
                continue;
            }
            (None, None) => return true,
            (Some(_) | None, _) => {}
        }
        // Let the last star take one character more and try again from there.
        let Some((from, left)) = star else {
            return false;
        };
        let Some(c) = left.chars().next() else {
            return false;
        };
        let left = after(left, c);
        star = Some((from, left));
        (at, rest) = (from, left);
    }
}

fn after(text: &str, first: char) -> &str {
    text.get(first.len_utf8()..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WILD: Reading = Reading {
        wildcards: true,
        variables: true,
    };

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, WILD).unwrap()
    }

    #[test]
    fn wildcards_match_as_in_iam() {
        let cases = [
            ("*", "", true),
            ("s3:*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("arn:aws:s3:::b/in/*", "arn:aws:s3:::b/in/a/b.csv", true),
            ("arn:aws:s3:::b/in/*", "arn:aws:s3:::b/in", false),
            ("arn:aws:s3:::b/in/*", "arn:aws:s3:::b/input/x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "a\u{fc}c", true),
            ("a?c", "ac", false),
            ("abc", "abcd", false),
            ("abc*", "abc", true),
            ("***", "x", true),
            ("", "", true),
            ("", "x", false),
            ("a${*}c", "a*c", true),
            ("a${*}c", "abc", false),
            ("a${$}{b}", "a${b}", true),
        ];
        for (text, given, expected) in cases {
            let matched = pattern(text).matches(given, &Context::default());
            assert_eq!(matched, expected, "{text} against {given}");
        }
    }

    #[test]
    fn variables_stand_for_the_requests_values_taken_literally() {
        let mut context = Context::default();
        context.put("aws:username", "al*ce");
        let home = pattern("arn:aws:s3:::b/${aws:username}/*");
        assert!(home.matches("arn:aws:s3:::b/al*ce/x", &context));
        assert!(!home.matches("arn:aws:s3:::b/alice/x", &context));
        assert!(!home.matches("arn:aws:s3:::b//x", &Context::default()));
        let team = pattern("t/${aws:PrincipalTag/team, 'none'}");
        assert!(team.matches("t/none", &context));
        for unreadable in ["${aws:username", "${}", "${username}", "${aws:x, y}"] {
            assert!(Pattern::parse(unreadable, WILD).is_none(), "{unreadable}");
        }
    }

    #[test]
    fn a_wildcard_in_an_arn_condition_stays_in_its_part() {
        let context = Context::default();
        let wanted = pattern("arn:aws:iam::*:role/x*");
        assert!(wanted.matches_arn("arn:aws:iam::1:role/x/y:z", &context));
        assert!(!wanted.matches_arn("arn:aws:iam:r:1:role/x", &context));
        let wide = pattern("arn:aws:*:role/x");
        assert!(wide.matches("arn:aws:iam::1:role/x", &context));
        assert!(!wide.matches_arn("arn:aws:iam::1:role/x", &context));
    }

    /// The definition, read aloud.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => naive(rest, text),
            (Some(('*', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
            (Some(('?', rest)), Some((_, tail))) => naive(rest, tail),
            (Some((p, rest)), Some((t, tail))) => p == t && naive(rest, tail),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_naive_matcher(wild in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&letters(&wild), &letters(&text));
            let matched = pattern(&wild).matches(&text, &Context::default());
            prop_assert_eq!(matched, expected);
        }
    }
}
