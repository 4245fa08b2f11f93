//! Permissions boundaries over a real store.

use serde_json::json;
use sightline_identity::{Error, HolderKind, InUse, NewPolicy, Noun};

use crate::open;
use crate::people::House;

const OBJECT: &str = "arn:aws:s3:::b/k";

/// A policy that allows one action on everything; gives its ARN.
async fn policy(house: &House, name: &str, action: &str) -> String {
    let document = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": action, "Resource": "*",
    }});
    let new = NewPolicy {
        name: name.to_owned(),
        path: "/".to_owned(),
        description: None,
        tags: Default::default(),
        document: document.to_string(),
    };
    let permit = house.permit("iam:CreatePolicy", &house.arn("policy/p"));
    let made = house.identity.create_policy(&permit, new).await;
    made.unwrap().arn
}

async fn bound(house: &House, user: &str, policy: Option<&str>) -> Result<(), Error> {
    let action = "iam:PutUserPermissionsBoundary";
    let permit = house.permit(action, &house.arn(&format!("user/{user}")));
    let policy = policy.map(str::to_owned);
    let identity = &house.identity;
    identity
        .set_boundary(&permit, HolderKind::User, user, policy)
        .await
}

#[tokio::test]
async fn a_boundary_cuts_down_what_policies_allow_until_it_is_taken_away() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    house.attach("alice", "AmazonS3FullAccess").await;
    let reading = policy(&house, "reading", "s3:Get*").await;
    assert!(house.permit_of(&alice, "s3:PutObject", OBJECT).is_ok());
    bound(&house, "alice", Some(&reading)).await.unwrap();
    assert!(house.permit_of(&alice, "s3:GetObject", OBJECT).is_ok());
    let denied = house.permit_of(&alice, "s3:PutObject", OBJECT).unwrap_err();
    let text = denied.to_string();
    assert!(
        text.ends_with("because no permissions boundary allows the s3:PutObject action"),
        "{text}"
    );
    let (reopened, permit) = (open(&house.dir).await, house.permit("iam:GetUser", OBJECT));
    let found = reopened.holder(&permit, HolderKind::User, "alice").unwrap();
    assert_eq!(found.boundary.as_ref(), Some(&reading));
    let cx = crate::cx(&reopened, &alice.caller);
    let after = reopened.permit(&cx, "s3:PutObject", OBJECT.parse().unwrap());
    assert!(after.is_err(), "after a restart too");

    bound(&house, "alice", None).await.unwrap();
    assert!(house.permit_of(&alice, "s3:PutObject", OBJECT).is_ok());
}

#[tokio::test]
async fn the_conditions_of_a_boundary_are_asked_although_no_other_policy_has_any() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    house.attach("alice", "AmazonS3FullAccess").await;
    let document = |name: &str| {
        json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:*", "Resource": "*",
            "Condition": { "StringEquals": { "aws:username": name } },
        }})
    };
    for (name, allowed) in [("alice", true), ("bob", false)] {
        let new = NewPolicy {
            name: format!("for-{name}"),
            path: "/".to_owned(),
            description: None,
            tags: Default::default(),
            document: document(name).to_string(),
        };
        let permit = house.permit("iam:CreatePolicy", &house.arn("policy/p"));
        let made = house.identity.create_policy(&permit, new).await.unwrap();
        bound(&house, "alice", Some(&made.arn)).await.unwrap();
        let permit = house.permit_of(&alice, "s3:GetObject", OBJECT);
        assert_eq!(permit.is_ok(), allowed, "{name}");
    }
}

#[tokio::test]
async fn a_boundary_must_be_there_and_stays_while_it_bounds_anybody() {
    let house = House::new().await;
    house.user("alice").await;
    let missing = house.arn("policy/nothing");
    let refused = bound(&house, "alice", Some(&missing)).await;
    let not_found = |error: &Error| {
        matches!(
            error,
            Error::NotFound {
                noun: Noun::Policy,
                ..
            }
        )
    };
    assert!(refused.is_err_and(|error| not_found(&error)));
    let reading = policy(&house, "reading", "s3:Get*").await;
    bound(&house, "alice", Some(&reading)).await.unwrap();
    let permit = house.permit("iam:DeletePolicy", &reading);
    let bounded = house.identity.bounded_by(&permit, &reading);
    assert_eq!(bounded.len(), 1);
    let refused = house.identity.delete_policy(&permit, &reading).await;
    assert!(matches!(refused, Err(Error::InUse(InUse::Holders))));
    bound(&house, "alice", None).await.unwrap();
    let deleted = house.identity.delete_policy(&permit, &reading).await;
    deleted.unwrap();
}
