//! What a decision costs: a principal with many statements asks for what the last of them allows.

use divan::{Bencher, black_box};
use sightline_identity::policy::{
    Context, Layers, Named, Policy, PolicyKind, Question, Subject, SubjectKind,
};

fn main() {
    divan::main();
}

/// Statements of the policy that is asked.
const STATEMENTS: usize = 100;

/// Allowing statements for one prefix each, with wildcards in the middle and under a condition,
/// and one that denies something else: all are looked at before the last that allows is found.
fn document() -> String {
    let allow = |number: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":["s3:Get*","s3:List*"],
                "Resource":"arn:aws:s3:::data-*/team-{number}/*/part-*.parquet",
                "Condition":{{"StringLike":{{"aws:PrincipalTag/team":"team-*"}}}}}}"#
        )
    };
    let deny = r#"{"Effect":"Deny","Action":"s3:Delete*","Resource":"*"}"#.to_owned();
    let statements: Vec<String> = (1..STATEMENTS).map(allow).chain([deny]).collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    )
}

/// Bar: 20 microseconds for a decision by 100 statements.
#[divan::bench]
fn decide(bencher: Bencher) {
    let policy = Policy::parse(&document(), PolicyKind::Identity);
    let identity = [Named {
        name: "bench".into(),
        policy: policy.unwrap_or_else(|error| panic!("{error}")).into(),
    }];
    let subject = Subject {
        account: "123456789012".to_owned(),
        kind: SubjectKind::User("arn:aws:iam::123456789012:user/bench".to_owned()),
        shown_arn: "arn:aws:iam::123456789012:user/bench".to_owned(),
    };
    let mut facts = Context::default();
    facts.put("aws:PrincipalTag/team", "team-99");
    let layers = Layers {
        identity: &identity,
        boundary: None,
        session: None,
        resource: None,
    };
    let resource = "arn:aws:s3:::data-lake/team-99/2026/11/part-00017.parquet";
    bencher.bench(|| {
        let question = Question::new(
            black_box(&subject),
            "s3:GetObject",
            black_box(resource),
            &facts,
        );
        let decision = layers.decide(&question);
        assert!(decision.is_allowed(), "the last allowing statement applies");
        decision
    });
}
