//! What is said of a request's parameters elsewhere: in events, in messages, to authorization.

use serde_json::{Value, json};
use sightline_types::{AccountId, Region};
use sightline_wire::limits::EVENT_PARAMETERS_BYTES_MAX;
use sightline_wire::{condition_facts, redact, resolve_resource, validate};

use crate::tables::{ANIMAL, PLACED, PLAIN};

#[test]
fn secrets_do_not_reach_events() {
    let document = json!({
        "Name": "rex",
        "ApiPassword": "p1",
        "Chip": "p2",
        "Chips": ["p3", "p4"],
        "Environment": { "DB_URL": "p5", "LANG": "p6" },
        "Traits": { "aws_secret_access_key": "p7", "color": "red", "nextToken": "t" },
        "Unknown": "p8",
        "Toys": ["ball"],
    });
    let expected = json!({
        "name": "rex",
        "apiPassword": "***",
        "chip": "***",
        "chips": ["***", "***"],
        "environment": { "DB_URL": "***", "LANG": "***" },
        "traits": { "aws_secret_access_key": "***", "color": "red", "nextToken": "t" },
        "toys": ["ball"],
    });
    assert_eq!(redact(&ANIMAL, &document), expected);
}

#[test]
fn parameters_too_large_for_an_event_are_left_out() {
    let toys = |count: usize| json!({ "Toys": vec!["ball"; count] });
    let small = toys(10);
    assert_eq!(redact(&ANIMAL, &small), json!({ "toys": small["Toys"] }));
    let large = toys(EVENT_PARAMETERS_BYTES_MAX / 4);
    let redacted = redact(&ANIMAL, &large);
    assert_eq!(redacted["omitted"], Value::Bool(true));
    assert_eq!(redacted["originalSize"], json!(large.to_string().len()));
}

#[test]
fn secrets_do_not_reach_messages() {
    let document = json!({ "Name": "rex", "Chip": "hunter2", "Chips": ["hunter3"] });
    let error = validate(&ANIMAL, &document).unwrap_err();
    assert_eq!(
        error.violations(),
        [
            "Value at 'chip' failed to satisfy constraint: Member must have length less than or \
             equal to 3",
            "Value '[***]' at 'chips' failed to satisfy constraint: Member must satisfy \
             constraint: [Member must have length less than or equal to 3]",
        ]
    );
}

#[test]
fn every_kind_of_constraint_is_checked() {
    let document = json!({
        "Name": "Rex",
        "Legs": 101,
        "Weight": 0.25,
        "Photo": "AAECAwQ=",
        "Toys": [null],
        "Flat": [5, -1],
        "Friends": [{ "Kind": "cow" }],
        "Homes": { "h": { "Since": 1 } },
    });
    let error = validate(&ANIMAL, &document).unwrap_err();
    let expected = [
        "Value 'Rex' at 'name' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [a-z]+",
        "Value '101' at 'legs' failed to satisfy constraint: Member must have value less than or \
         equal to 100",
        "Value '0.25' at 'weight' failed to satisfy constraint: Member must have value greater \
         than or equal to 0.5",
        "Value 'AAECAwQ=' at 'photo' failed to satisfy constraint: Member must have length less \
         than or equal to 4",
        "Value null at 'toys.1.member' failed to satisfy constraint: Member must not be null",
        "Value '[5, -1]' at 'flat' failed to satisfy constraint: Member must satisfy constraint: \
         [Member must have value less than or equal to 100, Member must have value greater than \
         or equal to 0]",
        "Value 'cow' at 'friends.1.member.kind' failed to satisfy constraint: Member must satisfy \
         enum value set: [cat, dog]",
        "Value null at 'homes.h.kind' failed to satisfy constraint: Member must not be null",
    ];
    assert_eq!(error.violations(), expected);
    assert!(
        error
            .to_string()
            .starts_with("8 validation errors detected: Value 'Rex' at 'name'")
    );
}

#[test]
fn the_first_template_that_is_filled_names_the_resource() {
    let account: AccountId = "123456789012".parse().unwrap();
    let region: Region = "us-east-1".parse().unwrap();
    let resolve = |operation, document: &Value| {
        resolve_resource(operation, document, &region, &account).map(|arn| arn.to_string())
    };
    let own = "arn:aws:zoo:us-east-1:123456789012:";
    let given = "arn:aws:zoo:eu-west-1:210987654321:animal/x";
    let cases = [
        (
            json!({ "Name": "rex", "Nick": given }),
            format!("{own}animal/rex"),
        ),
        (json!({ "Nick": given }), given.to_owned()),
        (json!({ "Name": "", "Nick": "r" }), format!("{own}nick/r")),
        // A name is never taken for an ARN, so it cannot point a permission elsewhere.
        (json!({ "Name": given }), format!("{own}animal/{given}")),
    ];
    for (document, expected) in cases {
        assert_eq!(
            resolve(&PLAIN, &document).as_deref(),
            Ok(expected.as_str()),
            "{document}"
        );
    }
    assert_eq!(resolve(&PLACED, &json!({})), Ok(format!("{own}*")));
    assert!(resolve(&PLAIN, &json!({ "Legs": 4 })).is_err());
}

#[test]
fn conditions_of_policies_read_members_and_tags() {
    let document = json!({
        "Nick": "rex",
        "Tags": [{ "Key": "team", "Value": "red" }, { "Key": "project", "Value": "p" }],
    });
    let fact = |key: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned());
        (key.to_owned(), values.collect::<Vec<_>>())
    };
    let expected = vec![
        fact("zoo:Nick", &["rex"]),
        fact("aws:RequestTag/team", &["red"]),
        fact("aws:RequestTag/project", &["p"]),
        fact("aws:TagKeys", &["team", "project"]),
    ];
    assert_eq!(condition_facts(&PLAIN, &document), expected);
    let untag = json!({ "TagKeys": ["team"] });
    let expected = vec![fact("aws:TagKeys", &["team"])];
    assert_eq!(condition_facts(&PLAIN, &untag), expected);
}
