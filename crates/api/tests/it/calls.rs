//! What happens around a handler, whatever the handler does.

use serde_json::json;
use sightline_meta::MetaError;
use sightline_types::ErrorKind;

use crate::tiny::{Behaviour, LOOK_AT_THING, MAKE_THING, World};

#[tokio::test]
async fn a_change_that_its_engine_forgets_to_record_is_recorded_all_the_same() {
    let world = World::new(Behaviour::Forget).await;
    let (status, body) = world.call(&MAKE_THING, json!({ "Name": "a" })).await;
    assert_eq!((status, body), (200, json!({ "Name": "a" })));
    let events = world.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].name.as_str(), events[0].read_only),
        ("MakeThing", false)
    );
    assert_eq!(events[0].source, "tiny.amazonaws.com");
    assert_eq!(events[0].access_key_id, world.key.id);
    assert!(events[0].resources[0].1.ends_with(":thing/a"), "{events:?}");
}

#[tokio::test]
async fn a_change_that_its_engine_records_is_recorded_once() {
    let world = World::new(Behaviour::Record).await;
    assert_eq!(world.call(&MAKE_THING, json!({ "Name": "a" })).await.0, 200);
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn nothing_succeeds_whose_event_cannot_be_stored() {
    let world = World::new(Behaviour::Forget).await;
    let broken: Result<_, MetaError> = world
        .meta
        .write(|tx| tx.execute("ALTER TABLE event_blocks RENAME TO gone", &[]))
        .await;
    broken.unwrap();
    for operation in [&MAKE_THING, &LOOK_AT_THING] {
        let (status, body) = world.call(operation, json!({ "Name": "a" })).await;
        assert_eq!((status, &body["__type"]), (500, &json!("InternalFailure")));
    }
}

#[tokio::test]
async fn a_look_is_recorded_as_one() {
    let world = World::new(Behaviour::Forget).await;
    assert_eq!(
        world.call(&LOOK_AT_THING, json!({ "Name": "a" })).await.0,
        200
    );
    let events = world.events().await;
    assert_eq!(
        (events[0].name.as_str(), events[0].read_only),
        ("LookAtThing", true)
    );
}

#[tokio::test]
async fn a_failure_is_recorded_as_the_caller_sees_it() {
    let world = World::new(Behaviour::Fail(ErrorKind::Conflict)).await;
    let (status, body) = world.call(&MAKE_THING, json!({ "Name": "a" })).await;
    assert_eq!(status, 400);
    assert_eq!(body["message"], "the thing is broken");
    let record = &world.events().await[0].record;
    assert_eq!(record["errorCode"], "ValidationException");
    assert_eq!(record["errorMessage"], "the thing is broken");
}

#[tokio::test]
async fn what_went_wrong_inside_the_server_is_not_shown() {
    for kind in [ErrorKind::Internal, ErrorKind::Unavailable] {
        let world = World::new(Behaviour::Fail(kind)).await;
        let (status, body) = world.call(&MAKE_THING, json!({ "Name": "a" })).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("broken"), "{body}");
    }
}

#[tokio::test]
async fn what_the_model_forbids_reaches_no_handler_and_is_recorded() {
    let world = World::new(Behaviour::Forget).await;
    for (input, said) in [
        (json!({}), "Member must not be null"),
        (
            json!({ "Name": "" }),
            "Member must have length greater than or equal to 1",
        ),
        (
            json!({ "Name": "123456789" }),
            "Member must have length less than or equal to 8",
        ),
    ] {
        let (status, body) = world.call(&MAKE_THING, input).await;
        assert_eq!(
            (status, &body["__type"]),
            (400, &json!("ValidationException"))
        );
        assert!(body["message"].as_str().unwrap().contains(said), "{body}");
        let record = &world.events().await[0].record;
        assert_eq!(record["errorCode"], "ValidationException");
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn what_the_caller_may_not_do_reaches_no_handler_and_is_recorded() {
    let world = World::with_a_guest(Behaviour::Forget).await;
    let input = json!({ "Name": "a" });
    assert_eq!(world.call(&LOOK_AT_THING, input.clone()).await.0, 200);
    assert_eq!(world.calls(), 1);
    let (status, body) = world.call(&MAKE_THING, input).await;
    assert_eq!(
        (status, &body["__type"]),
        (400, &json!("AccessDeniedException"))
    );
    let said = body["message"].as_str().unwrap();
    assert!(
        said.contains("perform: tiny:MakeThing on resource: arn:aws:tiny:"),
        "{said}"
    );
    assert_eq!(world.calls(), 1);
    let events = world.events().await;
    assert_eq!(events[0].record["errorCode"], "AccessDeniedException");
    assert_eq!(events[0].access_key_id, world.key.id);
}

#[tokio::test]
async fn an_operation_without_a_handler_is_named_and_refused() {
    let world = World::new(Behaviour::Forget).await;
    assert!(world.operations.without_handler().is_empty());
    let lacking = world.without_looking();
    assert_eq!(lacking.without_handler(), ["LookAtThing"]);
    let input = json!({ "Name": "a" });
    let (status, body) = world.call_on(&lacking, &LOOK_AT_THING, input).await;
    let code = json!("UnknownOperationException");
    assert_eq!((status, &body["__type"]), (400, &code));
    assert_eq!(world.events().await[0].record["errorCode"], code);
}

#[tokio::test]
async fn a_secret_reaches_the_handler_and_not_the_event() {
    let world = World::new(Behaviour::Forget).await;
    let input = json!({ "Name": "a", "Secret": "hunter2" });
    assert_eq!(world.call(&MAKE_THING, input).await.0, 200);
    let record = &world.events().await[0].record;
    assert_eq!(record["requestParameters"]["name"], "a");
    assert!(!record.to_string().contains("hunter2"), "{record}");
}
