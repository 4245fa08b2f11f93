//! Requests that are not carried out, and the answers that SDKs understand at once.

use std::time::Duration;

use http::Method;
use serde_json::json;
use sightline_identity::Grants;
use sightline_wire::limits::DOCUMENT_BYTES_MAX;

use crate::world::{Ask, World};

fn list_jobs() -> Ask {
    Ask::json("sagemaker", "SageMaker.ListTrainingJobs", "{}")
}

fn who_am_i() -> Ask {
    Ask::form("sts", "Action=GetCallerIdentity&Version=2011-06-15")
}

fn list_buckets() -> Ask {
    Ask::s3(Method::GET, "/", "")
}

/// The status and code of each answer.
async fn check(world: &World, cases: impl IntoIterator<Item = (Ask, u16, &'static str)>) {
    for (ask, status, code) in cases {
        let service = ask.service;
        let answer = world.ask(ask).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{service}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_owner_is_let_in_at_every_protocol() {
    let world = World::new().await;
    for ask in [list_jobs(), who_am_i(), list_buckets()] {
        let answer = world.ask(ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let named = ["x-amzn-requestid", "x-amz-request-id"]
            .iter()
            .any(|name| answer.headers.contains_key(*name));
        assert!(named, "an answer carries its request id");
    }
}

#[tokio::test]
async fn whoever_does_not_sign_is_refused_in_the_protocol_of_the_request() {
    let world = World::new().await;
    for (ask, status, code) in [
        (list_jobs(), 400, "MissingAuthenticationTokenException"),
        (who_am_i(), 403, "MissingAuthenticationToken"),
        (list_buckets(), 403, "AccessDenied"),
    ] {
        let answer = world.ask_unsigned(ask).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
    }
}

#[tokio::test]
async fn a_signature_that_does_not_hold_is_refused() {
    let world = World::new().await;
    for (ask, status, code) in [
        (list_jobs(), 400, "InvalidSignatureException"),
        (who_am_i(), 403, "SignatureDoesNotMatch"),
        (list_buckets(), 403, "SignatureDoesNotMatch"),
    ] {
        let mut parts = world.signed(&ask, world.root());
        let text = parts.headers["authorization"].to_str().unwrap();
        let last = if text.ends_with('0') { '1' } else { '0' };
        let changed = format!("{}{last}", &text[..text.len() - 1]);
        parts
            .headers
            .insert("authorization", changed.parse().unwrap());
        let answer = world.send(parts, ask.body).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
    }
}

#[tokio::test]
async fn a_body_other_than_the_signed_one_is_refused() {
    let world = World::new().await;
    let ask = list_jobs();
    let parts = world.signed(&ask, world.root());
    let answer = world.send(parts, "{\"MaxResults\":1}".into()).await;
    let got = (answer.status, answer.code());
    assert_eq!(got, (400, "InvalidSignatureException".to_owned()));
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_refused_as_unknown() {
    let world = World::new().await;
    let key = world.session(Grants::Everything).await;
    let identity = &world.assembly.identity;
    identity.end_session(&key.id).await.unwrap();
    for (ask, status, code) in [
        (list_jobs(), 400, "UnrecognizedClientException"),
        (who_am_i(), 403, "InvalidClientTokenId"),
        (list_buckets(), 403, "InvalidAccessKeyId"),
    ] {
        let answer = world.ask_as(&key, ask).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
    }
}

#[tokio::test]
async fn a_temporary_key_needs_its_token_and_ends() {
    let world = World::new().await;
    let key = world.session(Grants::Everything).await;
    assert_eq!(world.ask_as(&key, list_jobs()).await.status, 200);
    let mut without = key.as_ref().clone();
    without.session_token = None;
    let answer = world.ask_as(&without, list_jobs()).await;
    assert_eq!(answer.code(), "UnrecognizedClientException");
    world.clock.advance(Duration::from_secs(3_601));
    for (ask, status, code) in [
        (list_jobs(), 400, "ExpiredTokenException"),
        (who_am_i(), 403, "ExpiredToken"),
        (list_buckets(), 400, "ExpiredToken"),
    ] {
        let answer = world.ask_as(&key, ask).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
    }
}

#[tokio::test]
async fn a_request_of_one_service_signed_for_another_is_refused() {
    let world = World::new().await;
    let mut ask = list_jobs();
    ask.service = "logs";
    check(&world, [(ask, 400, "UnknownOperationException")]).await;
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name_and_on_record() {
    let world = World::new().await;
    let cases = [
        (
            Ask::json("sagemaker", "SageMaker.CreateModel", "{}"),
            (400, "UnknownOperationException", "sagemaker:CreateModel"),
        ),
        (
            Ask::form("sts", "Action=GetFederationToken&Version=2011-06-15"),
            (400, "InvalidAction", "sts:GetFederationToken"),
        ),
        (
            Ask::s3(Method::GET, "/bkt?analytics", ""),
            (
                501,
                "NotImplemented",
                "s3:ListBucketAnalyticsConfigurations",
            ),
        ),
    ];
    for (ask, (status, code, name)) in cases {
        let answer = world.ask(ask).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
        let text = format!("Sightline does not serve {name}.");
        assert!(answer.text.contains(&text), "{}", answer.text);
        let events = world.events(name.split_once(':').unwrap().1).await;
        assert_eq!(events[0]["errorCode"], code, "{name}");
        assert_eq!(events[0]["sourceIPAddress"], "192.0.2.7");
    }
}

#[tokio::test]
async fn what_nobody_knows_is_refused_by_the_words_of_the_request() {
    let world = World::new().await;
    let unknown = "UnknownOperationException";
    for (ask, status, code, said) in [
        (
            Ask::json("sagemaker", "SageMaker.MakeTea", "{}"),
            400,
            unknown,
            "sagemaker:MakeTea",
        ),
        (
            Ask::json("teapot", "Teapot.MakeTea", "{}"),
            400,
            unknown,
            "teapot:MakeTea",
        ),
        (
            Ask::form("sts", "Action=MakeTea&Version=2011-06-15"),
            400,
            "InvalidAction",
            "sts:MakeTea",
        ),
    ] {
        let answer = world.ask(ask).await;
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()));
        assert!(answer.text.contains(said), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_document_that_is_too_large_is_refused() {
    let world = World::new().await;
    let large = " ".repeat(DOCUMENT_BYTES_MAX + 1);
    let json = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", &large);
    let xml = Ask::s3(Method::POST, "/bkt/key?uploadId=1", large.clone());
    check(
        &world,
        [
            (json, 413, "RequestEntityTooLargeException"),
            (xml, 400, "MaxMessageLengthExceeded"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_refused() {
    let world = World::new().await;
    for body in ["{", "[]", "{\"MaxResults\":", "nonsense"] {
        let ask = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", body);
        check(&world, [(ask, 400, "SerializationException")]).await;
    }
    let wrong = json!({ "MaxResults": 1_000 });
    let ask = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", wrong);
    check(&world, [(ask, 400, "ValidationException")]).await;
}

#[tokio::test]
async fn the_operator_is_answered_without_a_key() {
    let world = World::new().await;
    let answer = world
        .ask_unsigned(Ask::s3(Method::GET, "/healthz", ""))
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "ok\n"));
    // A bucket may have this name: who signs means S3.
    let answer = world.ask(Ask::s3(Method::GET, "/healthz", "")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (404, "NoSuchBucket".to_owned())
    );
    let answer = world
        .ask_unsigned(Ask::s3(Method::POST, "/healthz", ""))
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn questions_about_events_that_cannot_be_answered_have_cloudtrails_codes() {
    let world = World::new().await;
    let ask = |body: serde_json::Value| {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        Ask::json("cloudtrail", target, body)
    };
    let by = |key: &str, value: &str| json!({ "AttributeKey": key, "AttributeValue": value });
    let two = [by("EventName", "a"), by("Username", "b")];
    check(
        &world,
        [
            (
                ask(json!({ "MaxResults": 0 })),
                400,
                "InvalidMaxResultsException",
            ),
            (
                ask(json!({ "MaxResults": 51 })),
                400,
                "InvalidMaxResultsException",
            ),
            (
                ask(json!({ "NextToken": "x" })),
                400,
                "InvalidNextTokenException",
            ),
            (
                ask(json!({ "StartTime": 2, "EndTime": 1 })),
                400,
                "InvalidTimeRangeException",
            ),
            (
                ask(json!({ "LookupAttributes": two })),
                400,
                "InvalidLookupAttributesException",
            ),
            (
                ask(json!({ "LookupAttributes": [by("ReadOnly", "x")] })),
                400,
                "InvalidLookupAttributesException",
            ),
        ],
    )
    .await;
    assert_eq!(
        world.ask(ask(json!({ "MaxResults": 50 }))).await.status,
        200
    );
}

#[tokio::test]
async fn events_say_when_the_session_of_their_caller_began() {
    let world = World::new().await;
    let key = world.nobody().await;
    world.clock.advance(Duration::from_secs(90));
    world.ask_as(&key, list_jobs()).await;
    world.ask(list_jobs()).await;
    let events = world.events("ListTrainingJobs").await;
    let of_session = &events[1]["userIdentity"]["sessionContext"]["attributes"];
    let expected = json!({ "creationDate": "2023-11-14T22:13:20Z", "mfaAuthenticated": "false" });
    assert_eq!(*of_session, expected);
    // A permanent key has no session.
    let of_root = &events[0]["userIdentity"]["sessionContext"]["attributes"];
    assert_eq!(*of_root, json!(null));
}

#[tokio::test]
async fn refused_signatures_are_on_record_as_nobodys_and_so_many_a_minute() {
    let world = World::new().await;
    let wrong = || {
        let mut parts = world.signed(&list_jobs(), world.root());
        let text = parts.headers["authorization"].to_str().unwrap().to_owned();
        let changed = text.replace("Signature=", "Signature=0");
        let headers = &mut parts.headers;
        headers.insert("authorization", changed[..text.len()].parse().unwrap());
        parts
    };
    for _ in 0..25 {
        let answer = world.send(wrong(), list_jobs().body).await;
        assert_eq!(answer.code(), "InvalidSignatureException");
    }
    let events = world.events("ListTrainingJobs").await;
    assert_eq!(events.len(), 10);
    for event in &events {
        assert_eq!(event["errorCode"], "InvalidSignatureException");
        assert_eq!(event["userIdentity"], json!({ "type": "Unknown" }));
        let parameters = &event["requestParameters"];
        assert_eq!(parameters["claimedAccessKeyId"], json!(world.root().id));
        assert_eq!(parameters["similarRefusalsNotRecorded"], 0);
    }
    world.clock.advance(Duration::from_secs(60));
    world.send(wrong(), list_jobs().body).await;
    let events = world.events("ListTrainingJobs").await;
    assert_eq!(events.len(), 11);
    assert_eq!(
        events[0]["requestParameters"]["similarRefusalsNotRecorded"],
        15
    );
    // One that is not signed at all is another reason, with a bound of its own.
    world.ask_unsigned(list_buckets()).await;
    let events = world.events("UnknownOperation").await;
    assert_eq!(
        (events.len(), &events[0]["errorCode"]),
        (1, &json!("AccessDenied"))
    );
}

/// S3's answers for a bucket without a configuration for pages of other sites.
#[tokio::test]
async fn a_preflight_is_told_that_no_other_site_may_ask() {
    let world = World::new().await;
    let bucket = world.assembly.default_bucket.clone();
    let ask = |target: &str| Ask::s3(Method::OPTIONS, target, "");
    let whole = |target: &str| {
        ask(target)
            .with("origin", "https://example.org")
            .with("access-control-request-method", "PUT")
    };
    for (target, kind) in [
        (format!("/{bucket}/key"), "OBJECT"),
        (format!("/{bucket}"), "BUCKET"),
        ("/nobodys-bucket/".to_owned(), "BUCKET"),
    ] {
        let answer = world.ask_unsigned(whole(&target)).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (403, "AccessForbidden".to_owned()), "{}", answer.text);
        let kind = format!("<ResourceType>{kind}</ResourceType>");
        assert!(answer.text.contains(&kind), "{}", answer.text);
        assert!(
            answer.text.contains("<Method>PUT</Method>"),
            "{}",
            answer.text
        );
        let allows = answer
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control"));
        assert!(!allows, "nothing is allowed");
    }
    let target = format!("/{bucket}/key");
    let without_method = ask(&target).with("origin", "https://example.org");
    for incomplete in [ask(&target), without_method] {
        let answer = world.ask_unsigned(incomplete).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "BadRequest".to_owned())
        );
    }
}
