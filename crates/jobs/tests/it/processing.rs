//! What processing jobs are shown and what becomes of what they leave.

use std::os::unix::fs::symlink;

use sightline_jobs::{Distribution, Input, Outcome, Output};
use sightline_ports::Exit;

use crate::scripts::{doing, id, idle, input, output, processing, reason, statuses};
use crate::world::World;

#[tokio::test]
async fn a_processing_job_goes_through_its_phases_and_its_outputs_become_objects() {
    let world = World::new(doing(|instance| {
        let text = instance.read("/opt/ml/processing/input/a.csv");
        instance.write("/opt/ml/processing/output/sub/b.csv", text.to_uppercase());
        Exit::Code(0)
    }))
    .await;
    world.put("s3://bkt/in/a.csv", "x,y").await;
    let mut spec = processing("job");
    spec.inputs = vec![input("raw", "s3://bkt/in", "processing/input")];
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(view.resource.status, "Completed");
    assert_eq!(
        statuses(&view),
        [
            "Starting",
            "Downloading",
            "Processing",
            "Uploading",
            "Completed"
        ]
    );
    assert!(view.steps.iter().all(|step| step.ended_at.is_some()));
    assert_eq!(view.environment.unwrap().name, "scripted");
    assert_eq!(world.get("s3://bkt/out/sub/b.csv").await, b"X,Y");
    assert_eq!(world.keys().await, ["in/a.csv", "out/sub/b.csv"]);
    world.until_nothing_is_staged().await;
}

#[tokio::test]
async fn of_instances_that_write_different_bytes_to_one_key_the_last_wins_with_a_warning() {
    let world = World::new(doing(|instance| {
        let text = format!("from {}", instance.number());
        instance.write("/opt/ml/processing/output/result", text);
        instance.write("/opt/ml/processing/output/same", "same");
        Exit::Code(0)
    }))
    .await;
    let mut spec = processing("job");
    spec.instances = 2;
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    world.ended(&id(&spec)).await;
    assert_eq!(world.get("s3://bkt/out/result").await, b"from 2");
    for number in [1, 2] {
        let log = world.log(&id(&spec), number).await;
        let warnings: Vec<_> = log.iter().filter(|line| line.contains("warning")).collect();
        assert_eq!(
            warnings,
            [
                "[sightline] warning: algo-1 and algo-2 wrote different bytes to \
              s3://bkt/out/result; those of algo-2 are kept"
            ]
        );
    }
}

#[tokio::test]
async fn each_object_of_a_sharded_input_goes_to_one_instance_and_one_may_go_without() {
    let world = World::new(doing(|instance| {
        let names = instance.list("/opt/ml/processing/input").join(" ");
        let file = format!("/opt/ml/processing/output/{}", instance.number());
        instance.write(&file, names);
        Exit::Code(0)
    }))
    .await;
    for name in ["a", "b"] {
        world.put(&format!("s3://bkt/in/{name}"), name).await;
    }
    let mut spec = processing("job");
    spec.instances = 3;
    spec.inputs = vec![Input {
        distribution: Distribution::ShardedByKey,
        ..input("raw", "s3://bkt/in", "processing/input")
    }];
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    for (number, names) in [(1, "a"), (2, "b"), (3, "")] {
        let got = world.get(&format!("s3://bkt/out/{number}")).await;
        assert_eq!(got, names.as_bytes(), "instance {number}");
    }
}

#[tokio::test]
async fn what_lies_within_an_input_is_shown_there() {
    let world = World::new(doing(|instance| {
        assert_eq!(
            instance.list("/opt/ml/processing/input"),
            ["a.csv", "code", "left"]
        );
        assert_eq!(
            instance.read("/opt/ml/processing/input/code/run.py"),
            "code"
        );
        instance.write("/opt/ml/processing/input/left/b.csv", "written");
        Exit::Code(0)
    }))
    .await;
    world.put("s3://bkt/in/a.csv", "x").await;
    world.put("s3://bkt/code/run.py", "code").await;
    let mut spec = processing("job");
    // The inner one is named first: order must not matter.
    spec.inputs = vec![
        input("code", "s3://bkt/code/run.py", "processing/input/code"),
        input("raw", "s3://bkt/in", "processing/input"),
    ];
    spec.outputs = vec![Output {
        path: "/opt/ml/processing/input/left".to_owned(),
        ..output()
    }];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(world.get("s3://bkt/out/b.csv").await, b"written");
}

#[tokio::test]
async fn a_missing_input_fails_the_job_in_the_words_of_aws() {
    let world = World::new(idle()).await;
    for (name, uri, bucket) in [
        ("no-key", "s3://bkt/absent", "bkt"),
        ("no-bucket", "s3://other-bucket/x", "other-bucket"),
    ] {
        let mut spec = processing(name);
        spec.inputs = vec![input("raw", uri, "processing/input")];
        world.create(spec.clone()).await;
        let view = world.ended(&id(&spec)).await;
        assert_eq!(
            reason(&view),
            format!(
                "ClientError: No S3 objects found under S3 URL \"{uri}\" given in input data \
                 source. Please ensure that the bucket exists in the selected region \
                 (us-east-1), that objects exist under that S3 prefix, and that the role \
                 \"arn:aws:iam::123456789012:role/R\" has \"s3:ListBucket\" permissions on \
                 bucket \"{bucket}\"."
            )
        );
        assert_eq!(statuses(&view), ["Starting", "Downloading", "Failed"]);
    }
}

#[tokio::test]
async fn a_link_among_the_outputs_is_not_followed_and_is_named_in_the_log() {
    let world = World::new(doing(|instance| {
        instance.write("/opt/ml/processing/output/file", "kept");
        let (_, link) = instance.resolve("/opt/ml/processing/output/link");
        symlink("/etc/passwd", link).unwrap();
        Exit::Code(0)
    }))
    .await;
    let mut spec = processing("job");
    spec.outputs = vec![output()];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
    assert_eq!(world.keys().await, ["out/file"]);
    let log = world.log(&id(&spec), 1).await;
    assert_eq!(log.last().unwrap(), "[sightline] not stored: link");
}

#[tokio::test]
async fn an_exit_message_is_cut_to_a_kilobyte_of_whole_characters() {
    let world = World::new(doing(|instance| {
        let text = format!("{}{}", instance.number(), "é".repeat(300));
        instance.write("/opt/ml/output/message", text);
        Exit::Code(0)
    }))
    .await;
    let mut spec = processing("job");
    spec.instances = 2;
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    // 601 bytes of the first, and of the second one digit and 211 characters of two bytes.
    let expected = format!("1{}2{}", "é".repeat(300), "é".repeat(211));
    assert_eq!(view.exit_message, Some(expected));
}

#[tokio::test]
async fn an_exit_message_that_is_no_text_fails_the_job() {
    let world = World::new(doing(|instance| {
        instance.write("/opt/ml/output/message", b"caf\xe9 au lait");
        Exit::Code(0)
    }))
    .await;
    let spec = processing("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(
        reason(&view),
        "ClientError: /opt/ml/output/message is not UTF-8"
    );
}
