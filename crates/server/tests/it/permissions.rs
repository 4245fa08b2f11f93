//! What a key may not do, and the record that remains of the attempt.

use http::Method;
use serde_json::json;
use sightline_identity::{Grant, Grants};

use crate::world::{Ask, World};

fn narrow(action: &str, resource: &str) -> Grants {
    Grants::Only(vec![Grant {
        actions: vec![action.to_owned()],
        resources: vec![resource.to_owned()],
        ..Grant::default()
    }])
}

#[tokio::test]
async fn a_denied_call_answers_what_was_denied_and_is_recorded() {
    let world = World::new().await;
    let key = world
        .session(narrow("sagemaker:ListTrainingJobs", "*"))
        .await;
    let list = Ask::json("sagemaker", "SageMaker.ListTrainingJobs", "{}");
    assert_eq!(world.ask_as(&key, list).await.status, 200);
    let body = json!({ "TrainingJobName": "job" });
    let stop = Ask::json("sagemaker", "SageMaker.StopTrainingJob", body);
    let answer = world.ask_as(&key, stop).await;
    let got = (answer.status, answer.code());
    assert_eq!(got, (400, "AccessDeniedException".to_owned()));
    let account = world.assembly.identity.account();
    let resource = format!("arn:aws:sagemaker:us-east-1:{account}:training-job/job");
    let text = format!(
        "User: arn:aws:sts::{account}:assumed-role/R/guest is not authorized to perform: \
         sagemaker:StopTrainingJob on resource: {resource} because no identity-based policy \
         allows the sagemaker:StopTrainingJob action"
    );
    assert!(answer.text.contains(&text), "{}", answer.text);
    let events = world.events("StopTrainingJob").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["errorCode"], "AccessDeniedException");
    assert_eq!(events[0]["errorMessage"], text);
    assert_eq!(events[0]["userIdentity"]["accessKeyId"], key.id);
    assert_eq!(events[0]["requestParameters"]["trainingJobName"], "job");
}

#[tokio::test]
async fn a_key_for_one_folder_reaches_no_other() {
    let world = World::new().await;
    let bucket = &world.assembly.default_bucket;
    let key = world
        .session(narrow(
            "s3:PutObject",
            &format!("arn:aws:s3:::{bucket}/mine/*"),
        ))
        .await;
    // Keys are no paths: the dots lead nowhere.
    let cases = [
        ("mine/a", 200),
        ("mine/../a", 200),
        ("mine", 403),
        ("yours/a", 403),
    ];
    for (path, status) in cases {
        let ask = Ask::s3(Method::PUT, &format!("/{bucket}/{path}"), "x");
        let answer = world.ask_as(&key, ask).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    let beside = Ask::s3(Method::GET, &format!("/{bucket}/a"), "");
    assert_eq!(world.ask(beside).await.status, 404);
    let read = Ask::s3(Method::GET, &format!("/{bucket}/mine/a"), "");
    let answer = world.ask_as(&key, read).await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "AccessDenied".to_owned())
    );
}

#[tokio::test]
async fn a_change_is_recorded_once_with_who_made_it() {
    let world = World::new().await;
    let ask = Ask::s3(Method::PUT, "/bkt-one", "").with("user-agent", "tester/1");
    assert_eq!(world.ask(ask).await.status, 200);
    let events = world.events("CreateBucket").await;
    let ours: Vec<_> = events
        .iter()
        .filter(|event| event["requestParameters"]["bucketName"] == "bkt-one")
        .collect();
    assert_eq!(ours.len(), 1, "{events:?}");
    assert_eq!(ours[0]["userAgent"], "tester/1");
    assert_eq!(ours[0]["readOnly"], false);
    assert!(ours[0].get("errorCode").is_none());
    assert_eq!(
        ours[0]["additionalEventData"],
        json!({ "SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader" })
    );
}
