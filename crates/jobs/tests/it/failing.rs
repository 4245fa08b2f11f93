//! How jobs fail, and the reasons that they give.

use sightline_jobs::Outcome;
use sightline_ports::{Exit, LaunchError};
use sightline_testkit::scripted::ScriptedLauncher;

use crate::scripts::{doing, id, idle, output, processing, reason, statuses};
use crate::world::World;

/// The reason of a job of one instance that leaves this failure file and ends so.
async fn reason_of(failure: Option<&'static str>, exit: Exit) -> String {
    let world = World::new(doing(move |instance| {
        if let Some(text) = failure {
            instance.write("/opt/ml/output/failure", text);
        }
        instance.write("/opt/ml/processing/output/partial", "partial");
        exit
    }))
    .await;
    let mut spec = processing("job");
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.resource.status, "Failed");
    assert!(
        world.keys().await.is_empty(),
        "a failed job stores no output"
    );
    reason(&view).to_owned()
}

#[tokio::test]
async fn the_reason_is_what_the_program_left_and_its_exit_code() {
    assert_eq!(
        reason_of(Some("no such column: ü\n"), Exit::Code(3)).await,
        "AlgorithmError: no such column: ü, exit code: 3"
    );
    assert_eq!(
        reason_of(None, Exit::Code(139)).await,
        "AlgorithmError: See job logs for more information, exit code: 139"
    );
}

#[tokio::test]
async fn a_job_that_exceeds_its_memory_is_told_so() {
    assert_eq!(
        reason_of(Some("unrelated"), Exit::OutOfMemory).await,
        "ClientError: OutOfMemory: algo-1 was killed at the memory limit of ml.m5.large. Please \
         use an instance type with more memory, or reduce the size of job data processed on an \
         instance., exit code: 137"
    );
}

#[tokio::test]
async fn an_instance_that_was_lost_fails_the_job() {
    assert_eq!(
        reason_of(None, Exit::Lost).await,
        "InternalServerError: algo-1 was lost"
    );
}

#[tokio::test]
async fn the_first_instance_to_fail_stops_the_others_and_gives_the_reason() {
    let world = World::new(ScriptedLauncher::new(async |mut instance| {
        if instance.number() != 2 {
            instance.terminated().await;
        }
        let text = format!("{} has failed", instance.number());
        instance.write("/opt/ml/output/failure", text);
        instance.note("seen on the way");
        Exit::Code(10 + i32::try_from(instance.number()).unwrap())
    }))
    .await;
    let mut spec = processing("job");
    spec.instances = 3;
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(reason(&view), "AlgorithmError: 2 has failed, exit code: 12");
    let log = world.log(&id(&spec), 1).await;
    let notes = log
        .iter()
        .filter(|line| *line == "[sightline] seen on the way");
    assert_eq!(notes.count(), 3, "no instance's notes are lost");
}

#[tokio::test]
async fn an_image_that_has_no_environment_fails_the_job_with_what_to_do() {
    let launcher = idle().preparing(async |image| {
        let hint = "map it".to_owned();
        Err(LaunchError::UnknownImage { image, hint })
    });
    let world = World::new(launcher).await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        reason(&view),
        "ClientError: image \"scripted:1\" is not known here: map it"
    );
    assert_eq!(statuses(&view), ["Starting", "Failed"]);
}

#[tokio::test]
async fn a_launcher_that_panics_ends_its_job_and_no_other() {
    let launcher = idle().preparing(async |image| {
        assert_ne!(image, "cursed:1");
        Ok(())
    });
    let world = World::new(launcher).await;
    let mut cursed = processing("cursed");
    cursed.image = "cursed:1".to_owned();
    world.create(cursed.clone()).await;
    let view = world.ended(&id(&cursed)).await;
    assert_eq!(
        reason(&view),
        "InternalServerError: the server made a mistake in running this job; its log has more"
    );
    let spec = processing("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_does_not_hide_why_the_program_failed() {
    let world = World::new(doing(|instance| {
        instance.write("/opt/ml/output/message", b"caf\xe9 au lait");
        Exit::Code(3)
    }))
    .await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        reason(&view),
        "AlgorithmError: See job logs for more information, exit code: 3"
    );
}

#[tokio::test]
async fn an_output_that_became_a_link_is_told_and_not_followed() {
    let world = World::new(doing(|instance| {
        let (_, output) = instance.resolve("/opt/ml/processing/output");
        std::fs::remove_dir_all(&output).unwrap();
        std::os::unix::fs::symlink("/etc", &output).unwrap();
        Exit::Code(0)
    }))
    .await;
    let mut spec = processing("job");
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        reason(&view),
        "ClientError: /opt/ml/processing/output has been replaced by a symbolic link"
    );
    assert!(world.keys().await.is_empty());
}
