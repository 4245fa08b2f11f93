//! The table of policy cases: what AWS's rules of evaluation say, each with its reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use sightline_identity::policy::{
    Context, Decision, Layers, Named, Policy, PolicyKind, Question, Subject, SubjectKind,
};

const ACCOUNT: &str = "123456789012";

#[derive(Deserialize)]
struct Case {
    name: String,
    why: String,
    expected: String,
    principal: Principal,
    action: String,
    resource: String,
    #[serde(default)]
    identity: Vec<Value>,
    boundary: Option<Value>,
    session: Option<Vec<Value>>,
    resource_policy: Option<Value>,
    #[serde(default)]
    context: BTreeMap<String, Values>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Principal {
    Root,
    User { name: String },
    Role { name: String, session: String },
    Service { name: String },
}

impl Principal {
    fn subject(&self) -> Subject {
        let iam = |kind: &str, name: &str| format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}");
        let (kind, shown_arn) = match self {
            Self::Root => (SubjectKind::Root, format!("arn:aws:iam::{ACCOUNT}:root")),
            Self::User { name } => (SubjectKind::User(iam("user", name)), iam("user", name)),
            Self::Role { name, session } => (
                SubjectKind::Role(iam("role", name)),
                format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
            ),
            Self::Service { name } => (SubjectKind::Service(name.clone()), name.clone()),
        };
        Subject {
            account: ACCOUNT.to_owned(),
            kind,
            shown_arn,
        }
    }
}

fn ready(case: &str, document: &Value, kind: PolicyKind) -> Named {
    let policy = Policy::parse(&document.to_string(), kind);
    let policy = policy.unwrap_or_else(|error| panic!("{case}: {error}: {document}"));
    Named {
        name: "policy".into(),
        policy: Arc::new(policy),
    }
}

impl Case {
    fn decide(&self) -> Decision {
        let read = |documents: &[Value]| -> Vec<Named> {
            let each = documents.iter();
            each.map(|one| ready(&self.name, one, PolicyKind::Identity))
                .collect()
        };
        let identity = read(&self.identity);
        let session = self.session.as_deref().map(read);
        let boundary = self
            .boundary
            .as_ref()
            .map(|one| read(std::slice::from_ref(one)));
        let of_resource = self.resource_policy.as_ref();
        let of_resource = of_resource.map(|one| ready(&self.name, one, PolicyKind::Bucket));
        let mut context = Context::default();
        for (key, values) in &self.context {
            match values {
                Values::One(value) => context.put(key, value),
                Values::Many(values) => context.put_all(key, values.clone()),
            }
        }
        let layers = Layers {
            identity: &identity,
            boundary: boundary.as_deref(),
            session: session.as_deref(),
            resource: of_resource.as_ref(),
        };
        let subject = self.principal.subject();
        layers.decide(&Question::new(
            &subject,
            &self.action,
            &self.resource,
            &context,
        ))
    }
}

#[test]
fn every_case_of_the_table_is_decided_as_aws_decides_it() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../cases.json")).unwrap();
    assert!(
        300 <= cases.len(),
        "the table has only {} cases",
        cases.len()
    );
    let mut wrong = Vec::new();
    for case in &cases {
        let decision = match case.decide() {
            Decision::Allowed(_) => "allowed",
            Decision::ImplicitDeny(_) => "implicitDeny",
            Decision::ExplicitDeny(_) => "explicitDeny",
        };
        if decision != case.expected {
            let Case {
                name,
                why,
                expected,
                ..
            } = case;
            wrong.push(format!("{name}: {decision}, not {expected}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
