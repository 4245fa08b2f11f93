//! `sightline access`: who may do what, and why.

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use crate::client::{Client, IAM};
use crate::places::DataDirOption;
use crate::{say, xml};

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Lists users and roles with the policies that they have.
    List {
        #[command(flatten)]
        data: DataDirOption,
    },
    /// Says whether a user or role may do something, and which statement decides.
    Simulate {
        #[command(flatten)]
        data: DataDirOption,
        /// The name of a user or a role, or its ARN.
        #[arg(long, value_name = "NAME")]
        principal: String,
        /// Such as s3:GetObject.
        #[arg(long)]
        action: String,
        /// An ARN.
        #[arg(long, default_value = "*")]
        resource: String,
        /// Condition keys of the request, such as aws:SourceIp=10.0.0.1.
        #[arg(long, value_name = "KEY=VALUE")]
        context: Vec<String>,
    },
}

/// Users and roles, as IAM spells their operations.
const KINDS: [(&str, &str, &str, &str); 2] = [
    ("user", "ListUsers", "UserName", "User"),
    ("role", "ListRoles", "RoleName", "Role"),
];

impl Access {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::List { data } => list(&Client::of(&data.path()?)?),
            Self::Simulate {
                data,
                principal,
                action,
                resource,
                context,
            } => {
                let client = Client::of(&data.path()?)?;
                let asked = Asked {
                    arn: arn_of(&client, &principal)?,
                    action,
                    resource,
                    context,
                };
                simulate(&client, &asked)
            }
        }
    }
}

fn list(client: &Client) -> Result<()> {
    say::line(format!("{:4}  {:32}  POLICIES", "KIND", "NAME"));
    for (kind, list, member, noun) in KINDS {
        for name in names(client, list, member)? {
            let by_name = [(member, name.as_str())];
            let attached = format!("ListAttached{noun}Policies");
            let attached = client.query(IAM, &attached, &by_name)?;
            let inline = client.query(IAM, &format!("List{noun}Policies"), &by_name)?;
            let mut policies = xml::all(&attached, "PolicyName");
            policies.extend(
                xml::all(&inline, "member")
                    .iter()
                    .map(|name| format!("{name} (inline)")),
            );
            let policies = if policies.is_empty() {
                "none".to_owned()
            } else {
                policies.join(", ")
            };
            say::line(format!("{kind:4}  {name:32}  {policies}"));
        }
    }
    Ok(())
}

/// Every name, over all pages.
fn names(client: &Client, operation: &str, member: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let parameters = marker.as_deref().map(|marker| ("Marker", marker));
        let parameters: Vec<_> = parameters.into_iter().collect();
        let page = client.query(IAM, operation, &parameters)?;
        names.extend(xml::all(&page, member));
        marker = xml::first(&page, "Marker");
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// The ARN of the user, else the role, with this name.
fn arn_of(client: &Client, name: &str) -> Result<String> {
    if name.starts_with("arn:") {
        return Ok(name.to_owned());
    }
    for (_, _, member, noun) in KINDS {
        if let Ok(found) = client.query(IAM, &format!("Get{noun}"), &[(member, name)]) {
            return xml::first(&found, "Arn").context("the answer has no ARN");
        }
    }
    bail!("there is neither a user nor a role {name}; `sightline access list` names them all")
}

/// What is simulated.
struct Asked {
    arn: String,
    action: String,
    resource: String,
    context: Vec<String>,
}

fn simulate(client: &Client, asked: &Asked) -> Result<()> {
    let Asked {
        arn,
        action,
        resource,
        context,
    } = asked;
    let mut parameters = vec![
        ("PolicySourceArn".to_owned(), arn.clone()),
        ("ActionNames.member.1".to_owned(), action.clone()),
        ("ResourceArns.member.1".to_owned(), resource.clone()),
    ];
    for (number, pair) in (1..).zip(context) {
        let (key, value) = pair
            .split_once('=')
            .with_context(|| format!("{pair} is not KEY=VALUE"))?;
        let entry = |part: &str| format!("ContextEntries.member.{number}.{part}");
        parameters.extend([
            (entry("ContextKeyName"), key.to_owned()),
            (entry("ContextKeyValues.member.1"), value.to_owned()),
            (entry("ContextKeyType"), "string".to_owned()),
        ]);
    }
    let borrowed: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = client.query(IAM, "SimulatePrincipalPolicy", &borrowed)?;
    let decision = xml::first(&answer, "EvalDecision").context("the answer has no decision")?;
    say::line(format!("{decision}: {action} on {resource}"));
    for matched in xml::all(&answer, "SourcePolicyId") {
        let (policy, statement) = matched.rsplit_once('#').unwrap_or((&matched, ""));
        say::line(format!("because of statement {statement} of {policy}"));
    }
    if decision == "implicitDeny" {
        say::line(format!(
            "because no identity-based policy of {arn} allows the {action} action"
        ));
    }
    let missing = xml::blocks(&answer, "MissingContextValues");
    let missing = missing.first().map(|block| xml::all(block, "member"));
    if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
        say::line(format!(
            "conditions ask for keys that were not given: {}",
            missing.join(", ")
        ));
    }
    Ok(())
}
