//! What is particular to training jobs: channels, artifacts, metrics.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use sightline_jobs::{Error, JobView, MetricDefinition, Outcome};
use sightline_ports::Exit;
use sightline_testkit::scripted::ScriptedLauncher;
use sightline_types::Timestamp;

use crate::scripts::{doing, id, idle, input, reason, statuses, training, unused};
use crate::world::{START, World};

fn unpacked(archive: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(archive))
        .entries()
        .unwrap()
    {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.insert(path, text);
    }
    found
}

#[tokio::test]
async fn a_training_job_whose_channel_names_nothing_is_refused_at_once() {
    let world = World::new(unused()).await;
    let mut spec = training("job");
    spec.inputs = vec![input("train", "s3://bkt/absent", "input/data/train")];
    let refused = world.try_create(spec.clone()).await.unwrap_err();
    assert!(matches!(&refused, Error::NoObjects { uri, .. } if uri == "s3://bkt/absent"));
    assert!(world.events(&id(&spec)).await.is_empty());
    // Nothing of it exists: the name is free.
    spec.inputs.clear();
    world.create(spec).await;
}

#[tokio::test]
async fn a_program_finds_its_channels_code_and_parameters() {
    let world = World::new(doing(|instance| {
        assert_eq!(instance.read("/opt/ml/input/data/train/a.csv"), "x");
        assert_eq!(
            instance.read("/opt/ml/input/source/sourcedir.tar.gz"),
            "code"
        );
        let config = |name: &str| {
            let text = instance.read(&format!("/opt/ml/input/config/{name}.json"));
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!(config("hyperparameters")["depth"], "3");
        assert_eq!(
            config("inputdataconfig")["train"]["TrainingInputMode"],
            "File"
        );
        assert_eq!(config("resourceconfig")["current_host"], "algo-1");
        assert_eq!(instance.variable("TRAINING_JOB_NAME"), Some("job"));
        Exit::Code(0)
    }))
    .await;
    world.put("s3://bkt/in/a.csv", "x").await;
    world.put("s3://bkt/code/sourcedir.tar.gz", "code").await;
    let mut spec = training("job");
    spec.inputs = vec![input("train", "s3://bkt/in", "input/data/train")];
    spec.hyperparameters = BTreeMap::from([
        ("depth".to_owned(), "3".to_owned()),
        (
            "sagemaker_submit_directory".to_owned(),
            "\"s3://bkt/code/sourcedir.tar.gz\"".to_owned(),
        ),
    ]);
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(view.outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_model_is_stored_even_if_empty_and_output_only_if_there_is_some() {
    let world = World::new(idle()).await;
    let spec = training("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    let uri = "s3://bkt/models/job/output/model.tar.gz";
    assert_eq!(view.artifact_uri.as_deref(), Some(uri));
    assert!(unpacked(&world.get(uri).await).is_empty());
    assert_eq!(world.keys().await, ["models/job/output/model.tar.gz"]);
}

#[tokio::test]
async fn the_model_and_the_output_of_all_instances_become_one_archive_each() {
    let world = World::new(doing(|instance| {
        let n = instance.number();
        instance.write(&format!("/opt/ml/model/part-{n}"), format!("{n}"));
        instance.write(&format!("/opt/ml/output/data/log-{n}"), format!("{n}"));
        Exit::Code(0)
    }))
    .await;
    let mut spec = training("job");
    spec.instances = 2;
    world.create(spec.clone()).await;
    world.ended(&id(&spec)).await;
    for (file, name) in [("model", "part"), ("output", "log")] {
        let uri = format!("s3://bkt/models/job/output/{file}.tar.gz");
        let expected = [1, 2].map(|n| (format!("{name}-{n}"), n.to_string()));
        assert_eq!(unpacked(&world.get(&uri).await), expected.into());
    }
}

#[tokio::test]
async fn a_failed_job_has_no_model() {
    let world = World::new(doing(|instance| {
        instance.write("/opt/ml/output/failure", "it diverged");
        Exit::Code(1)
    }))
    .await;
    let spec = training("job");
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    assert_eq!(reason(&view), "AlgorithmError: it diverged, exit code: 1");
    assert_eq!(view.artifact_uri, None);
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn metrics_in_the_log_become_their_last_values() {
    let lines = [
        "epoch=1 loss=0.5; acc=0.25;",
        "loss=none;",
        "epoch=2 loss=0.125;",
        "[sightline] loss=100;",
    ];
    let printing = ScriptedLauncher::new(move |instance| async move {
        for (line, seconds) in lines.into_iter().zip(1..) {
            let at = Timestamp::from_millis(START + 1_000 * seconds);
            instance.print(at, line).await;
        }
        Exit::Code(0)
    });
    let world = World::new(printing).await;
    let mut spec = training("job");
    let metric = |name: &str| MetricDefinition {
        name: name.to_owned(),
        regex: format!("{name}=(.*?);"),
    };
    spec.metrics = vec![metric("loss"), metric("acc"), metric("absent")];
    world.create(spec.clone()).await;
    let view = world.ended(&id(&spec)).await;
    let found: Vec<_> = view
        .metrics
        .iter()
        .map(|point| {
            (
                point.metric.as_str(),
                point.value,
                point.at.millis() - START,
            )
        })
        .collect();
    assert_eq!(found, [("acc", 0.25, 1_000), ("loss", 0.125, 3_000)]);
    let log = world.log(&id(&spec), 1).await;
    assert!(log.ends_with(&lines.map(str::to_owned)), "{log:?}");
}

#[tokio::test]
async fn metrics_are_kept_from_the_moment_that_the_program_has_ended() {
    let printing = ScriptedLauncher::new(async |instance| {
        instance
            .print(Timestamp::from_millis(START), "loss=2;")
            .await;
        Exit::Code(0)
    });
    let world = World::new(printing).await;
    let mut spec = training("job");
    spec.metrics = vec![MetricDefinition {
        name: "loss".to_owned(),
        regex: "loss=(.*?);".to_owned(),
    }];
    world.create(spec.clone()).await;
    let uploading = |view: &JobView| statuses(view).contains(&"Uploading");
    let view = world.until(&id(&spec), uploading).await;
    assert_eq!(view.metrics[0].value, 2.0);
}
