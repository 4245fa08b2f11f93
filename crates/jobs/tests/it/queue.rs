//! Names, order and the record of what was done to jobs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sightline_jobs::{CreateJob, Error, Outcome};
use sightline_ports::Exit;

use crate::scripts::{doing, holding, id, idle, processing, statuses, training};
use crate::world::World;

#[tokio::test]
async fn jobs_without_room_wait_in_the_order_of_their_creation_and_all_end() {
    let order = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&order);
    let launcher = doing(move |instance| {
        let identity = instance.read("/opt/ml/metadata/resource-metadata.json");
        let identity: Value = serde_json::from_str(&identity).unwrap();
        let name = identity["ResourceName"].as_str().unwrap().to_owned();
        seen.lock().unwrap().push(name);
        Exit::Code(0)
    });
    let world = World::with_room(launcher, 1).await;
    // In an order that is not that of their names.
    let names = ["d", "b", "e", "a", "c"];
    for name in names {
        world.create(processing(name)).await;
        world.clock.advance(Duration::from_millis(1));
    }
    for name in names {
        let view = world.ended(&id(&processing(name))).await;
        assert_eq!(view.outcome, Some(Outcome::Completed), "{name}");
    }
    assert_eq!(*order.lock().unwrap(), names);
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_there_is_room_for() {
    let (launcher, mut held) = holding();
    let world = World::with_room(launcher, 2).await;
    for name in ["a", "b", "c"] {
        world.create(processing(name)).await;
        world.clock.advance(Duration::from_millis(1));
    }
    held.next().await;
    held.next().await;
    let third = world.describe(&id(&processing("c"))).await;
    assert_eq!(
        (third.resource.status.as_str(), third.steps.len()),
        ("InProgress", 0)
    );
    held.release();
    for name in ["a", "b", "c"] {
        world.ended(&id(&processing(name))).await;
    }
}

#[tokio::test]
async fn a_name_is_taken_for_ever_within_its_kind() {
    let world = World::new(idle()).await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    world.ended(&id(&spec)).await;
    let refused = world.try_create(spec.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::NameTaken(_)));
    assert_eq!(
        refused.to_string(),
        format!(
            "Job name must be unique within an AWS account and region, and a job with this name \
             already exists (arn:aws:sagemaker:us-east-1:{}:processing-job/job)",
            world.identity.account()
        )
    );
    world.create(training("job")).await;
}

#[tokio::test]
async fn creation_stop_and_end_are_recorded() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    held.next().await;
    world.stop(&id(&spec)).await.unwrap();
    world.ended(&id(&spec)).await;
    assert!(world.stop(&id(&spec)).await.is_err());
    let events = world.events(&id(&spec)).await;
    let named: Vec<_> = events
        .iter()
        .map(|event| (event.name.as_str(), event.user_name.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            ("CreateProcessingJob", "alice"),
            ("StopProcessingJob", "alice"),
            ("ProcessingJobStateChange", "job"),
        ]
    );
    assert_eq!(events[2].record["responseElements"]["status"], "Stopped");
}

#[tokio::test]
async fn a_job_that_carries_all_the_tags_it_can_still_says_what_it_ran_in() {
    let world = World::new(idle()).await;
    let spec = processing("job");
    let tags = (0..50)
        .map(|n| (format!("tag-{n}"), String::new()))
        .collect();
    let job = CreateJob {
        spec: spec.clone(),
        document: json!({}),
        tags,
    };
    let permit = world.permit("sagemaker:CreateProcessingJob");
    world.jobs.create(&permit, job).await.unwrap();
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    let used = view
        .environment
        .as_ref()
        .expect("it is known what it ran in");
    assert_eq!(used.packages, ["script==1"]);
    let message = &view.steps[statuses(&view)
        .iter()
        .position(|s| *s == "Starting")
        .unwrap()]
    .message;
    assert_eq!(
        message,
        "Environment scripted is ready: A closure runs instead of the image."
    );
}
