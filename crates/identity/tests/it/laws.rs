//! Laws that hold for any policies, and documents that are none.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use sightline_identity::policy::{
    Context, Decision, Layers, Named, Policy, PolicyKind, Question, Subject, SubjectKind,
};

const ACTIONS: [&str; 5] = ["s3:GetObject", "s3:Get*", "s3:*", "*", "s3:PutObject"];
const RESOURCES: [&str; 4] = [
    "*",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/k",
    "arn:aws:s3:::c/*",
];

fn statement() -> impl Strategy<Value = Value> {
    let effect = prop::sample::select(vec!["Allow", "Deny"]);
    let action = prop::sample::select(ACTIONS.to_vec());
    let resource = prop::sample::select(RESOURCES.to_vec());
    let secure = prop::option::of(any::<bool>());
    (effect, action, resource, secure, any::<[bool; 2]>()).prop_map(
        |(effect, action, resource, secure, negated)| {
            let [no_action, no_resource] = negated;
            let mut statement = json!({ "Effect": effect });
            let name = if no_action { "NotAction" } else { "Action" };
            statement[name] = json!(action);
            let name = if no_resource {
                "NotResource"
            } else {
                "Resource"
            };
            statement[name] = json!(resource);
            if let Some(secure) = secure {
                statement["Condition"] =
                    json!({ "Bool": { "aws:SecureTransport": secure.to_string() } });
            }
            statement
        },
    )
}

fn decide(statements: &[Value], secure: bool) -> Decision {
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let policy = Policy::parse(&document, PolicyKind::Identity).unwrap();
    let identity = [Named {
        name: "p".into(),
        policy: Arc::new(policy),
    }];
    let layers = Layers {
        identity: &identity,
        ..Layers::default()
    };
    let subject = Subject {
        account: "1".to_owned(),
        kind: SubjectKind::User("arn:aws:iam::1:user/a".to_owned()),
        shown_arn: String::new(),
    };
    let mut context = Context::default();
    context.put("aws:SecureTransport", secure.to_string());
    layers.decide(&Question::new(
        &subject,
        "s3:GetObject",
        "arn:aws:s3:::b/k",
        &context,
    ))
}

/// Which of the three it is.
fn verdict(decision: &Decision) -> u8 {
    match decision {
        Decision::Allowed(_) => 0,
        Decision::ImplicitDeny(_) => 1,
        Decision::ExplicitDeny(_) => 2,
    }
}

proptest! {
    #[test]
    fn the_order_of_statements_does_not_matter(
        statements in prop::collection::vec(statement(), 1..8), secure: bool, turn in 0_usize..8,
    ) {
        let mut turned = statements.clone();
        turned.rotate_left(turn % statements.len());
        turned.reverse();
        prop_assert_eq!(verdict(&decide(&statements, secure)), verdict(&decide(&turned, secure)));
    }

    #[test]
    fn one_more_denial_never_allows(
        statements in prop::collection::vec(statement(), 1..8), mut more in statement(),
        secure: bool,
    ) {
        let before = decide(&statements, secure);
        more["Effect"] = json!("Deny");
        let with_more = [statements, vec![more]].concat();
        let after = decide(&with_more, secure);
        prop_assert!(verdict(&after) >= verdict(&before) || !before.is_allowed());
        prop_assert!(before.is_allowed() || !after.is_allowed());
    }

    #[test]
    fn one_more_allow_never_lifts_a_denial(
        statements in prop::collection::vec(statement(), 1..8), mut more in statement(),
        secure: bool,
    ) {
        let before = decide(&statements, secure);
        more["Effect"] = json!("Allow");
        let after = decide(&[statements, vec![more]].concat(), secure);
        if verdict(&before) == 2 {
            prop_assert_eq!(verdict(&after), 2);
        }
        prop_assert!(!before.is_allowed() || after.is_allowed());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        for kind in [PolicyKind::Identity, PolicyKind::Bucket, PolicyKind::Trust] {
            drop(Policy::parse(&text, kind));
        }
    }
}

fn refusal(document: &str, kind: PolicyKind) -> String {
    match Policy::parse(document, kind) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Identity policies of one statement, and what is wrong with each.
#[test]
fn malformed_documents_are_refused_in_the_words_of_aws() {
    const SYNTAX: &str = "Syntax errors in policy.";
    const VENDOR: &str =
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
    let whole = [
        ("", SYNTAX),
        ("{", SYNTAX),
        ("[]", SYNTAX),
        ("{}", SYNTAX),
        (
            r#" {"Statement":[]}"#,
            "JSON strings must not have leading spaces",
        ),
        (r#"{"Statement":[]}"#, SYNTAX),
        (r#"{"Statement":7}"#, SYNTAX),
        (
            r#"{"Version":"2011-01-01","Statement":{}}"#,
            "The policy must contain a valid version string",
        ),
        (
            r#"{"Version":"2012-10-17","Statement":{},"Extra":1}"#,
            SYNTAX,
        ),
    ];
    for (document, text) in whole {
        assert_eq!(refusal(document, PolicyKind::Identity), text, "{document}");
    }
    let statements = [
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*""#,
            "accepted",
        ),
        (r#""Effect":"allow","Action":"s3:*","Resource":"*""#, SYNTAX),
        (r#""Action":"s3:*","Resource":"*""#, SYNTAX),
        (
            r#""Effect":"Allow","Effect":"Deny","Action":"s3:*","Resource":"*""#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*""#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Resource":"*""#,
            "Policy statement must contain actions.",
        ),
        (
            r#""Effect":"Allow","Action":[],"Resource":"*""#,
            "Policy statement must contain actions.",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*""#,
            "Policy statement must contain resources.",
        ),
        (
            r#""Effect":"Allow","Action":"GetObject","Resource":"*""#,
            VENDOR,
        ),
        (r#""Effect":"Allow","Action":"s3:","Resource":"*""#, VENDOR),
        (
            r#""Effect":"Allow","Action":"s 3:Get","Resource":"*""#,
            VENDOR,
        ),
        (r#""Effect":"Allow","Action":7,"Resource":"*""#, SYNTAX),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"bucket/*""#,
            "Resource bucket/* must be in ARN format or \"*\".",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username""#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*""#,
            "Policy document should not specify a principal.",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Sid":"not plain""#,
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the \
             regular expression [0-9A-Za-z]*",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Equals":{"a:b":"c"}}"#,
            "Invalid Condition type : Equals.",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForSome:Bool":{"a:b":"true"}}"#,
            "Invalid Condition type : ForSome:Bool.",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"NumericEquals":{"a:b":"x"}}"#,
            "Invalid value for the condition NumericEquals on the key a:b.",
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"b":"true"}}"#,
            VENDOR,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"a:b":[]}}"#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":[]"#,
            SYNTAX,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"*","Extra":1"#,
            SYNTAX,
        ),
    ];
    for (body, text) in statements {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{{{body}}}]}}"#);
        assert_eq!(refusal(&document, PolicyKind::Identity), text, "{body}");
    }
    let twice = r#"{"Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},
        {"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    let text = "Statement IDs (SID) in a single policy must be unique.";
    assert_eq!(refusal(twice, PolicyKind::Identity), text);
}

#[test]
fn trust_and_bucket_policies_have_elements_of_their_own() {
    let trust = [
        (
            r#""Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole""#,
            "accepted",
        ),
        (
            r#""Principal":{"AWS":"123456789012"},"Action":["sts:AssumeRole","sts:TagSession"]"#,
            "accepted",
        ),
        (
            r#""Action":"sts:AssumeRole""#,
            "Missing required field Principal",
        ),
        (
            r#""Principal":{"AWS":"alice"},"Action":"sts:AssumeRole""#,
            "Invalid principal in policy: \"AWS\":\"alice\"",
        ),
        (
            r#""Principal":{"AWS":"arn:aws:iam::123456789012:user/*"},"Action":"sts:AssumeRole""#,
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:user/*\"",
        ),
        (
            r#""Principal":{"Federated":"x"},"Action":"sts:AssumeRole""#,
            "Invalid principal in policy: \"Federated\":\"x\"",
        ),
        (
            r#""Principal":"*","Action":"sts:AssumeRole","Resource":"*""#,
            "Has prohibited field Resource",
        ),
        (
            r#""Principal":"*","Action":"s3:GetObject""#,
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
    ];
    for (body, text) in trust {
        let document = format!(r#"{{"Statement":{{"Effect":"Allow",{body}}}}}"#);
        assert_eq!(refusal(&document, PolicyKind::Trust), text, "{body}");
    }
    let bucket = [
        (
            r#""Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*""#,
            "accepted",
        ),
        (
            r#""Principal":"*","Action":"s3:GetObject""#,
            "Missing required field Resource",
        ),
        (
            r#""Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*""#,
            "Missing required field Principal",
        ),
        (
            r#""Principal":"*","Action":"s3:GetObject","Resource":"b/*""#,
            "Policy has invalid resource",
        ),
    ];
    for (body, text) in bucket {
        let document = format!(r#"{{"Statement":{{"Effect":"Allow",{body}}}}}"#);
        assert_eq!(refusal(&document, PolicyKind::Bucket), text, "{body}");
    }
    let text = "Policies must be valid JSON and the first byte must be '{'";
    assert_eq!(refusal("nonsense", PolicyKind::Bucket), text);
}
