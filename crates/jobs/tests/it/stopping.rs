//! Stopping jobs: on request, wherever they are, and at the limit of their time.

use std::sync::Arc;
use std::time::Duration;

use sightline_jobs::{JobKind, Outcome};
use sightline_meta::MetaError;
use sightline_ports::{Clock as _, Exit};
use sightline_testkit::scripted::ScriptedLauncher;
use tokio::sync::Semaphore;

use crate::scripts::{Held, doing, holding, id, idle, output, processing, statuses, unused};
use crate::world::World;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_queued_job_stops_at_once_although_there_is_no_room() {
    let (launcher, mut held) = holding();
    let world = World::with_room(launcher, 1).await;
    let (first, second) = (processing("first"), processing("second"));
    world.create(first.clone()).await;
    held.next().await;
    world.create(second.clone()).await;
    world.stop(&id(&second)).await.unwrap();
    let view = world.ended(&id(&second)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
    assert_eq!(statuses(&view), ["Stopping", "Stopped"]);
    assert_eq!(view.started_at, None);
    held.release();
    let view = world.ended(&id(&first)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_job_whose_environment_is_being_made_stops_at_once() {
    let launcher = unused().preparing(async |_| std::future::pending().await);
    let world = World::new(launcher).await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    world
        .until(&id(&spec), |view| statuses(view) == ["Starting"])
        .await;
    world.stop(&id(&spec)).await.unwrap();
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
    assert_eq!(statuses(&view), ["Starting", "Stopping", "Stopped"]);
}

#[tokio::test]
async fn a_running_job_is_asked_to_end_and_its_outputs_are_kept() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    let mut spec = processing("job");
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let instance = held.next().await;
    instance.write("/opt/ml/processing/output/partial", "half");
    world.stop(&id(&spec)).await.unwrap();
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
    assert_eq!(view.resource.status, "Stopped");
    assert_eq!(
        statuses(&view)[2..],
        ["Processing", "Stopping", "Uploading", "Stopped"]
    );
    assert_eq!(world.get("s3://bkt/out/partial").await, b"half");
}

#[tokio::test]
async fn a_program_that_does_not_end_when_asked_is_killed_after_the_grace() {
    let (launcher, mut held) = deaf_but(2);
    let world = World::new(launcher).await;
    let mut spec = processing("job");
    spec.instances = 2;
    world.create(spec.clone()).await;
    held.next().await;
    held.next().await;
    world.stop(&id(&spec)).await.unwrap();
    world.clock.until_asleep_for(GRACE).await;
    world.clock.advance(Duration::from_secs(100));
    // The end of one instance must not give the other more time.
    held.release();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.describe(&id(&spec)).await.resource.status, "Stopping");
    world.clock.advance(Duration::from_secs(20));
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
}

/// Instances that do not listen; the one with this number ends when let go.
fn deaf_but(number: u32) -> (ScriptedLauncher, Held) {
    let gate = Arc::new(Semaphore::new(0));
    let (announce, begun) = tokio::sync::mpsc::channel(16);
    let held = Held::new(begun, Arc::clone(&gate));
    let launcher = ScriptedLauncher::new(move |instance| {
        let (announce, gate) = (announce.clone(), Arc::clone(&gate));
        async move {
            announce.send(instance.clone()).await.unwrap();
            if instance.number() == number {
                drop(gate.acquire().await.unwrap());
                return Exit::Code(0);
            }
            std::future::pending().await
        }
    });
    (launcher, held)
}

#[tokio::test]
async fn a_job_that_runs_longer_than_it_may_is_stopped_and_says_so() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    let mut spec = processing("job");
    spec.runtime_s_max = 1_800;
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let instance = held.next().await;
    instance.write("/opt/ml/processing/output/partial", "half");
    let limit = Duration::from_secs(1_800);
    world.clock.until_asleep_for(limit).await;
    world.clock.advance(limit);
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::TimedOut));
    assert_eq!(view.resource.status, "Stopped");
    assert_eq!(*statuses(&view).last().unwrap(), "MaxRuntimeExceeded");
    assert_eq!(view.ended_at, Some(world.clock.now()));
    assert_eq!(world.get("s3://bkt/out/partial").await, b"half");
}

#[tokio::test]
async fn a_job_that_has_ended_refuses_to_stop() {
    for (exit, status) in [(0, "Completed"), (1, "Failed")] {
        let world = World::new(doing(move |_| Exit::Code(exit))).await;
        let spec = processing("job");
        world.create(spec.clone()).await;
        world.ended(&id(&spec)).await;
        let refused = world.stop(&id(&spec)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "The request was rejected because the processing job job is in status {status}"
            )
        );
    }
}

#[tokio::test]
async fn a_job_that_was_never_made_can_be_neither_stopped_nor_described() {
    let world = World::new(idle()).await;
    let id = id(&processing("job"));
    let text = "processing-job job does not exist";
    let refused = world.stop(&id).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
    let permit = world.permit("sagemaker:DescribeProcessingJob");
    let refused = world.jobs.describe(&permit, &id).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
}

/// As when the request comes between looking for work and taking it up, or to another server.
#[tokio::test]
async fn a_stop_that_stands_only_in_the_store_reaches_a_job_that_runs() {
    let (launcher, mut held) = holding();
    let world = World::new(launcher).await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    held.next().await;
    let stop = "UPDATE jobs SET stop_requested = 1";
    let stored: Result<_, MetaError> = world.meta.write(move |tx| tx.execute(stop, &[])).await;
    stored.unwrap();
    world.clock.until_asleep_for(Duration::from_secs(1)).await;
    world.clock.advance(Duration::from_secs(1));
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        (spec.kind, view.outcome),
        (JobKind::Processing, Some(Outcome::Stopped))
    );
}
