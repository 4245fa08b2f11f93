//! Policies: a denial always wins, silence never allows, and saying a thing twice says it once.

use std::sync::Arc;

use sightline_identity::policy::{
    Context, Decision, Layers, Named, Policy, PolicyKind, Question, Subject, SubjectKind,
};

use crate::take;

const ACCOUNT: &str = "123456789012";
const DENIAL: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// Reads a policy and asks it a few things.
pub fn policy(mut data: &[u8]) {
    let kind = match take(&mut data) % 4 {
        0 => PolicyKind::Bucket,
        1 => PolicyKind::Trust,
        _ => PolicyKind::Identity,
    };
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(policy) = Policy::parse(text, kind) else {
        return;
    };
    assert!(
        kind != PolicyKind::Identity || text.starts_with('{'),
        "spaces lead"
    );
    let policy = named(policy);
    let denial = Policy::parse(DENIAL, PolicyKind::Identity).map(named);
    let denial = denial.expect("a denial");
    for subject in subjects() {
        for resource in [
            "*",
            "arn:aws:s3:::bucket/key",
            "arn:aws:iam::123456789012:role/R",
        ] {
            judge(&policy, &denial, kind, &subject, resource);
        }
    }
}

fn judge(policy: &Named, denial: &Named, kind: PolicyKind, subject: &Subject, resource: &str) {
    let context = context();
    let ask = |action: &str, identity: &[Named], of_resource: Option<&Named>| {
        let layers = Layers {
            identity,
            boundary: None,
            session: None,
            resource: of_resource,
        };
        layers.decide(&Question::new(subject, action, resource, &context))
    };
    let attached: Vec<Named> = vec![policy.clone()];
    let decided = |action: &str| match kind {
        PolicyKind::Identity => ask(action, &attached, None),
        PolicyKind::Bucket | PolicyKind::Trust => ask(action, &[], Some(policy)),
    };
    let decision = decided("s3:GetObject");
    assert_eq!(
        decision.is_allowed(),
        decided("S3:GETOBJECT").is_allowed(),
        "case counts"
    );
    assert!(
        !ask("s3:GetObject", &[], None).is_allowed(),
        "silence allows"
    );
    let both = [policy.clone(), denial.clone()];
    let of_resource = (kind != PolicyKind::Identity).then_some(policy);
    let denied = ask(
        "s3:GetObject",
        &both[usize::from(of_resource.is_some())..],
        of_resource,
    );
    assert!(
        matches!(denied, Decision::ExplicitDeny(_)),
        "a denial was overruled: {denied:?}"
    );
    if kind == PolicyKind::Identity {
        let twice = [policy.clone(), policy.clone()];
        assert_eq!(
            ask("s3:GetObject", &twice, None).is_allowed(),
            decision.is_allowed()
        );
    }
}

fn named(policy: Policy) -> Named {
    Named {
        name: "fuzzed".into(),
        policy: Arc::new(policy),
    }
}

fn subjects() -> [Subject; 3] {
    let kinds = [
        SubjectKind::Root,
        SubjectKind::User("arn:aws:iam::123456789012:user/U".to_owned()),
        SubjectKind::Role("arn:aws:iam::123456789012:role/R".to_owned()),
    ];
    kinds.map(|kind| Subject {
        account: ACCOUNT.to_owned(),
        shown_arn: match &kind {
            SubjectKind::Role(_) => "arn:aws:sts::123456789012:assumed-role/R/s".to_owned(),
            SubjectKind::User(arn) => arn.clone(),
            SubjectKind::Root | SubjectKind::Service(_) => format!("arn:aws:iam::{ACCOUNT}:root"),
        },
        kind,
    })
}

fn context() -> Context {
    let mut context = Context::default();
    context.put("aws:SourceIp", "192.0.2.7");
    context.put("aws:SecureTransport", "false");
    context.put("aws:CurrentTime", "2023-11-14T22:13:20Z");
    context.put("aws:username", "U");
    context.put("s3:prefix", "a/b*?${x}");
    context.put_all("aws:TagKeys", vec!["a".to_owned(), "b".to_owned()]);
    context
}
