//! From a policy document to a [`Policy`]; what is not understood is refused in AWS's words.

use super::condition::{Condition, Unreadable};
use super::pattern::{Pattern, Reading};
use super::principal::{Principal, Principals};
use super::strict::Json;
use super::{Effect, OneOf, Policy, Statement};

/// Statements in one policy. The limits of size leave room for fewer; this one bounds the work
/// that a crafted document can cause.
const STATEMENTS_MAX: usize = 1_000;

/// Patterns, values and keys in one statement, for the same reason.
const VALUES_MAX: usize = 2_000;

/// What a policy is attached to decides which elements it must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// To a user or a role, or passed for a session: has no principal.
    Identity,
    /// To a bucket: has principals, and resources in the bucket.
    Bucket,
    /// To a role, as the rule who may take it on: has principals and no resource.
    Trust,
}

/// A document that is not a policy, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

fn syntax() -> Malformed {
    Malformed::new("Syntax errors in policy.")
}

impl Policy {
    /// Reads a document.
    pub fn parse(document: &str, kind: PolicyKind) -> Result<Self, Malformed> {
        if document.starts_with(char::is_whitespace) && kind != PolicyKind::Bucket {
            return Err(Malformed::new("JSON strings must not have leading spaces"));
        }
        let json = Json::parse(document).ok_or_else(|| not_json(kind))?;
        let members = json.object().ok_or_else(|| not_json(kind))?;
        let mut variables = false;
        let mut statements = None;
        for (name, value) in members {
            match name.as_str() {
                "Version" => variables = reads_variables(value)?,
                "Id" if value.text().is_some() => {}
                "Statement" => statements = Some(value.items()),
                _ => return Err(syntax()),
            }
        }
        let statements = statements.ok_or_else(syntax)?;
        if statements.is_empty() || STATEMENTS_MAX < statements.len() {
            return Err(syntax());
        }
        let reader = Reader { kind, variables };
        let read = statements.iter().map(|one| reader.statement(one));
        let statements: Box<[Statement]> = read.collect::<Result<_, _>>()?;
        distinct_sids(&statements)?;
        Ok(Self {
            keys: keys_of(&statements),
            statements,
        })
    }
}

fn not_json(kind: PolicyKind) -> Malformed {
    match kind {
        PolicyKind::Bucket => {
            Malformed::new("Policies must be valid JSON and the first byte must be '{'")
        }
        PolicyKind::Identity => syntax(),
        PolicyKind::Trust => Malformed::new("This policy contains invalid Json"),
    }
}

fn reads_variables(version: &Json) -> Result<bool, Malformed> {
    match version.text() {
        Some("2012-10-17") => Ok(true),
        Some("2008-10-17") => Ok(false),
        _ => Err(Malformed::new(
            "The policy must contain a valid version string",
        )),
    }
}

fn distinct_sids(statements: &[Statement]) -> Result<(), Malformed> {
    let sids = statements.iter().filter_map(|one| one.sid.as_deref());
    let mut sids: Vec<&str> = sids.filter(|sid| !sid.is_empty()).collect();
    sids.sort_unstable();
    let twice = sids.windows(2).any(|pair| pair.first() == pair.last());
    if twice {
        let text = "Statement IDs (SID) in a single policy must be unique.";
        return Err(Malformed::new(text));
    }
    Ok(())
}

/// Every condition key that the statements ask for, in conditions and in variables.
fn keys_of(statements: &[Statement]) -> Box<[Box<str>]> {
    let conditions = statements.iter().flat_map(|one| one.conditions.iter());
    let mut keys: Vec<Box<str>> = conditions.flat_map(Condition::keys).collect();
    for statement in statements {
        let resources = statement.resources.patterns.iter();
        keys.extend(resources.flat_map(Pattern::keys));
    }
    for key in &mut keys {
        key.make_ascii_lowercase();
    }
    keys.sort_unstable();
    keys.dedup();
    keys.into()
}

struct Reader {
    kind: PolicyKind,
    variables: bool,
}

/// The elements of a statement as they stand.
#[derive(Default)]
struct Elements<'j> {
    sid: Option<&'j Json>,
    effect: Option<&'j Json>,
    principals: Option<(bool, &'j Json)>,
    actions: Option<(bool, &'j Json)>,
    resources: Option<(bool, &'j Json)>,
    conditions: Option<&'j Json>,
}

impl<'j> Elements<'j> {
    fn of(statement: &'j Json) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for (name, value) in statement.object().ok_or_else(syntax)? {
            let pair = match name.as_str() {
                "Sid" => {
                    found.sid = Some(value);
                    continue;
                }
                "Effect" => {
                    found.effect = Some(value);
                    continue;
                }
                "Condition" => {
                    found.conditions = Some(value);
                    continue;
                }
                "Principal" | "NotPrincipal" => &mut found.principals,
                "Action" | "NotAction" => &mut found.actions,
                "Resource" | "NotResource" => &mut found.resources,
                _ => return Err(syntax()),
            };
            if pair.replace((name.starts_with("Not"), value)).is_some() {
                return Err(syntax());
            }
        }
        Ok(found)
    }
}

impl Reader {
    fn statement(&self, json: &Json) -> Result<Statement, Malformed> {
        let elements = Elements::of(json)?;
        let effect = match elements.effect.and_then(Json::text) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            Some(_) | None => return Err(syntax()),
        };
        Ok(Statement {
            sid: elements.sid.map(|sid| self.sid(sid)).transpose()?,
            effect,
            principals: self.principals(elements.principals)?,
            actions: self.actions(elements.actions)?,
            resources: self.resources(elements.resources)?,
            conditions: match elements.conditions {
                Some(conditions) => self.conditions(conditions)?,
                None => Box::default(),
            },
        })
    }

    fn sid(&self, json: &Json) -> Result<Box<str>, Malformed> {
        let sid = json.text().ok_or_else(syntax)?;
        let plain = |c: char| c.is_ascii_alphanumeric();
        // Bucket policies take any text.
        if self.kind != PolicyKind::Bucket && !sid.chars().all(plain) {
            let text = "Statement IDs (SID) must be alpha-numeric. Check that your input \
                        satisfies the regular expression [0-9A-Za-z]*";
            return Err(Malformed::new(text));
        }
        Ok(sid.into())
    }

    fn principals(&self, element: Option<(bool, &Json)>) -> Result<Option<Principals>, Malformed> {
        let Some((negated, json)) = element else {
            return match self.kind {
                PolicyKind::Identity => Ok(None),
                PolicyKind::Bucket | PolicyKind::Trust => {
                    Err(Malformed::new("Missing required field Principal"))
                }
            };
        };
        match self.kind {
            PolicyKind::Identity => {
                let text = "Policy document should not specify a principal.";
                return Err(Malformed::new(text));
            }
            PolicyKind::Trust if negated => {
                return Err(Malformed::new(
                    "AssumeRole policy may not specify NotPrincipal",
                ));
            }
            PolicyKind::Trust | PolicyKind::Bucket => {}
        }
        let mut named = Vec::new();
        match json {
            Json::Text(text) if text == "*" => named.push(Principal::Anyone),
            Json::Object(members) => {
                for (kind, names) in members {
                    for name in texts(names)? {
                        named.push(principal(kind, &name)?);
                    }
                }
            }
            Json::Text(text) => return Err(invalid_principal("AWS", text)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) => return Err(syntax()),
        }
        if named.is_empty() {
            return Err(Malformed::new("Missing required field Principal"));
        }
        Ok(Some(Principals {
            negated,
            named: named.into(),
        }))
    }

    fn actions(&self, element: Option<(bool, &Json)>) -> Result<OneOf, Malformed> {
        let missing = || Malformed::new("Policy statement must contain actions.");
        let (negated, json) = element.ok_or_else(missing)?;
        let names = texts(json)?;
        if names.is_empty() {
            return Err(missing());
        }
        let of_trust = |name: &str| name.eq_ignore_ascii_case("sts:*") || is_taking_on(name);
        if self.kind == PolicyKind::Trust && (negated || !names.iter().all(|n| of_trust(n))) {
            let text = "AssumeRole policy may only specify STS AssumeRole actions.";
            return Err(Malformed::new(text));
        }
        let reading = Reading {
            wildcards: true,
            variables: false,
        };
        let read = names.iter().map(|name| {
            let prefaced = *name == "*"
                || name.split_once(':').is_some_and(|(vendor, action)| {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "-*?".contains(c);
                    !vendor.is_empty() && vendor.chars().all(plain) && !action.is_empty()
                });
            let text = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
            let pattern = Pattern::parse(&name.to_ascii_lowercase(), reading);
            pattern
                .filter(|_| prefaced)
                .ok_or_else(|| Malformed::new(text))
        });
        Ok(OneOf {
            negated,
            patterns: read.collect::<Result<_, _>>()?,
        })
    }

    fn resources(&self, element: Option<(bool, &Json)>) -> Result<OneOf, Malformed> {
        if self.kind == PolicyKind::Trust {
            return match element {
                Some(_) => Err(Malformed::new("Has prohibited field Resource")),
                None => Ok(OneOf {
                    negated: false,
                    patterns: [Pattern::Anything].into(),
                }),
            };
        }
        let missing = || match self.kind {
            PolicyKind::Bucket => Malformed::new("Missing required field Resource"),
            PolicyKind::Identity | PolicyKind::Trust => {
                Malformed::new("Policy statement must contain resources.")
            }
        };
        let (negated, json) = element.ok_or_else(missing)?;
        let names = texts(json)?;
        if names.is_empty() {
            return Err(missing());
        }
        let reading = Reading {
            wildcards: true,
            variables: self.variables,
        };
        let read = names.iter().map(|name| {
            let pattern = Pattern::parse(name, reading).ok_or_else(syntax)?;
            if !is_arn(name) {
                return Err(match self.kind {
                    PolicyKind::Bucket => Malformed::new("Policy has invalid resource"),
                    PolicyKind::Identity | PolicyKind::Trust => {
                        Malformed::new(format!("Resource {name} must be in ARN format or \"*\"."))
                    }
                });
            }
            Ok(pattern)
        });
        Ok(OneOf {
            negated,
            patterns: read.collect::<Result<_, _>>()?,
        })
    }

    fn conditions(&self, json: &Json) -> Result<Box<[Condition]>, Malformed> {
        let mut conditions = Vec::new();
        for (operator, keys) in json.object().ok_or_else(syntax)? {
            for (key, values) in keys.object().ok_or_else(syntax)? {
                if !key.contains(':') {
                    let text = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, \
                                ec2, etc.";
                    return Err(Malformed::new(text));
                }
                let values = scalars(values)?;
                if values.is_empty() {
                    return Err(syntax());
                }
                let condition = Condition::parse(operator, key, &values, self.variables);
                conditions.push(condition.map_err(|error| match error {
                    Unreadable::Operator => {
                        Malformed::new(format!("Invalid Condition type : {operator}."))
                    }
                    Unreadable::Value => Malformed::new(format!(
                        "Invalid value for the condition {operator} on the key {key}."
                    )),
                })?);
            }
        }
        if VALUES_MAX < conditions.len() {
            return Err(syntax());
        }
        Ok(conditions.into())
    }
}

fn is_taking_on(action: &str) -> bool {
    [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity",
        "sts:SetContext",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(action))
}

fn is_arn(text: &str) -> bool {
    let whole = text.splitn(6, ':').filter(|part| !part.is_empty()).count();
    let parts = text.splitn(6, ':').count();
    text == "*" || (text.starts_with("arn:") && 2 <= whole && (parts == 6 || text.contains('*')))
}

fn invalid_principal(kind: &str, name: &str) -> Malformed {
    Malformed::new(format!(
        "Invalid principal in policy: \"{kind}\":\"{name}\""
    ))
}

fn principal(kind: &str, name: &str) -> Result<Principal, Malformed> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let found = match kind {
        "AWS" if name == "*" => Some(Principal::Anyone),
        "AWS" if is_account(name) => Some(Principal::Account(name.into())),
        "AWS" => match name.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            ["arn", "aws", "iam", "", account, "root"] if is_account(account) => {
                Some(Principal::Account((*account).into()))
            }
            [
                "arn",
                "aws",
                service @ ("iam" | "sts"),
                "",
                account,
                resource,
            ] if is_account(account) && names_principal(service, resource) => {
                Some(Principal::Arn(name.into()))
            }
            _ => None,
        },
        "Service" if name.contains('.') && !name.contains('*') => {
            Some(Principal::Service(name.into()))
        }
        _ => None,
    };
    found.ok_or_else(|| invalid_principal(kind, name))
}

/// A wildcard in the name of a principal would match nothing, and not what its author meant.
fn names_principal(service: &str, resource: &str) -> bool {
    let kinds: &[&str] = if service == "iam" {
        &["user/", "role/"]
    } else {
        &["assumed-role/"]
    };
    kinds.iter().any(|kind| resource.starts_with(kind)) && !resource.contains(['*', '?'])
}

/// A text or a list of texts.
fn texts(json: &Json) -> Result<Vec<String>, Malformed> {
    let read = json
        .items()
        .iter()
        .map(|item| item.text().map(str::to_owned));
    bounded(read.collect())
}

/// Texts, numbers and truth values, as conditions take them.
fn scalars(json: &Json) -> Result<Vec<String>, Malformed> {
    let read = json.items().iter().map(|item| match item {
        Json::Text(text) | Json::Number(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    });
    bounded(read.collect())
}

fn bounded(values: Option<Vec<String>>) -> Result<Vec<String>, Malformed> {
    values
        .filter(|values| values.len() <= VALUES_MAX)
        .ok_or_else(syntax)
}
