//! Jobs after the server ended in each of their phases.

use sightline_jobs::{JobSpec, Outcome};
use sightline_meta::MetaError;
use sightline_ports::Exit;

use crate::scripts::{
    Held, doing, holding, id, idle, input, output, processing, reason, statuses, unused,
};
use crate::world::World;

/// A world with a job that reads `s3://bkt/in/a.csv`, and what that job is.
async fn with_input(world: World) -> (World, JobSpec) {
    world.put("s3://bkt/in/a.csv", "x").await;
    let mut spec = processing("job");
    spec.inputs = vec![input("raw", "s3://bkt/in", "processing/input")];
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    (world, spec)
}

/// The same, while the job runs and has left an output.
async fn while_it_runs() -> (World, JobSpec, Held) {
    let (launcher, mut held) = holding();
    let (world, spec) = with_input(World::new(launcher).await).await;
    let instance = held.next().await;
    instance.write("/opt/ml/processing/output/result", "whole");
    (world, spec, held)
}

/// Puts the job into the phase that it would be in had the server ended a little earlier or later.
async fn set(world: &World, change: &'static str) {
    let stored: Result<_, MetaError> = world.meta.write(move |tx| tx.execute(change, &[])).await;
    assert_eq!(stored.unwrap(), 1);
}

/// The phase and the outcome with which a job goes into its collection.
const COLLECTING: &str = "UPDATE jobs SET phase = 'collecting', outcome = '\"Completed\"'";

#[tokio::test]
async fn a_job_that_waited_for_room_is_run() {
    let (world, spec) = with_input(World::with_room(unused(), 0).await).await;
    let world = world.restarted(idle()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_job_whose_environment_was_being_made_starts_over() {
    let launcher = unused().preparing(async |_| std::future::pending().await);
    let (world, spec) = with_input(World::new(launcher).await).await;
    world
        .until(&id(&spec), |view| statuses(view) == ["Starting"])
        .await;
    let world = world.restarted(idle()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(
        statuses(&view),
        [
            "Starting",
            "Starting",
            "Downloading",
            "Processing",
            "Uploading",
            "Completed"
        ]
    );
}

#[tokio::test]
async fn a_job_whose_inputs_were_being_staged_starts_over_with_one_key() {
    let (world, spec, _held) = while_it_runs().await;
    let (launcher, mut held) = holding();
    set(&world, "UPDATE jobs SET phase = 'staging'").await;
    let world = world.restarted(launcher).await;
    let instance = held.next().await;
    assert_eq!(instance.read("/opt/ml/processing/input/a.csv"), "x");
    assert!(instance.list("/opt/ml/processing/output").is_empty());
    assert_eq!(
        world.temporary_keys().await,
        1,
        "the first attempt's key has ended"
    );
    held.release();
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(world.temporary_keys().await, 0);
}

#[tokio::test]
async fn a_job_that_ran_fails_with_that_reason_and_leaves_nothing() {
    let (world, spec, _held) = while_it_runs().await;
    let world = world.restarted(unused()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        reason(&view),
        "InternalServerError: the server ended while the job ran, and the job's instances with \
         it. Create the job again under another name."
    );
    assert_eq!(world.keys().await, ["in/a.csv"]);
    assert_eq!(world.temporary_keys().await, 0);
    world.until_nothing_is_staged().await;
}

#[tokio::test]
async fn a_job_whose_outputs_were_being_stored_goes_on_to_its_end() {
    let (world, spec, _held) = while_it_runs().await;
    set(&world, COLLECTING).await;
    let world = world.restarted(unused()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(world.get("s3://bkt/out/result").await, b"whole");
}

#[tokio::test]
async fn what_an_ended_job_left_behind_is_removed_at_the_next_start() {
    let (world, spec, held) = while_it_runs().await;
    let place = world.staged().pop().unwrap();
    held.release();
    world.ended(&id(&spec)).await;
    world.until_nothing_is_staged().await;
    // As when the server ends between the end of a job and the removal of its directory.
    std::fs::create_dir_all(place.join("inputs/0")).unwrap();
    let world = world.restarted(doing(|_| Exit::Code(0))).await;
    world.until_nothing_is_staged().await;
    let view = world.describe(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_job_that_was_being_stopped_is_stopped() {
    let (world, spec, _held) = while_it_runs().await;
    set(&world, "UPDATE jobs SET stop_requested = 1").await;
    let world = world.restarted(unused()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Stopped));
}
