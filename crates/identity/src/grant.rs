//! What a key may do: actions on resources, both with wildcards.

use serde::{Deserialize, Serialize};

/// Allows every action that matches one of `actions` on every resource that matches one of
/// `resources`. `*` stands for any text and `?` for one character, as in IAM policies; the case
/// of actions does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Such as `s3:GetObject` or `s3:*`.
    pub actions: Vec<String>,
    /// ARNs, such as `arn:aws:s3:::bucket/prefix/*`.
    pub resources: Vec<String>,
}

/// All that a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grants {
    /// Everything: the administrator's.
    Everything,
    /// What at least one of these allows.
    Only(Vec<Grant>),
}

impl Grants {
    /// Whether `action` on `resource` is allowed.
    #[must_use]
    pub fn allow(&self, action: &str, resource: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(grants) => grants.iter().any(|grant| grant.allows(action, resource)),
        }
    }
}

impl Grant {
    fn allows(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let action_ok = self
            .actions
            .iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action));
        action_ok
            && self
                .resources
                .iter()
                .any(|pattern| matches(pattern, resource))
    }
}

/// Glob matching in time proportional to the product of the lengths at worst.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || Some(&c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            // Let the last star take one character more and try again from there.
            Some(_) | None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("a?c", "ac", false),
            ("abc", "abcd", false),
            ("abc*", "abc", true),
            ("***", "x", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn a_grant_needs_both_action_and_resource() {
        let grants = Grants::Only(vec![Grant {
            actions: vec!["s3:GetObject".to_owned()],
            resources: vec!["arn:aws:s3:::b/*".to_owned()],
        }]);
        assert!(grants.allow("s3:getobject", "arn:aws:s3:::b/k"));
        assert!(!grants.allow("s3:PutObject", "arn:aws:s3:::b/k"));
        assert!(!grants.allow("s3:GetObject", "arn:aws:s3:::c/k"));
        assert!(Grants::Everything.allow("anything", "anywhere"));
        assert!(!Grants::Only(Vec::new()).allow("s3:GetObject", "arn:aws:s3:::b/k"));
    }
}
