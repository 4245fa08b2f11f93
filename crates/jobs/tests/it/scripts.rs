//! Jobs to ask for, and what their instances do.

use std::collections::BTreeMap;
use std::sync::Arc;

use sightline_jobs::{
    Distribution, Input, JobId, JobKind, JobSpec, JobView, Outcome, Output, Program,
};
use sightline_ports::Exit;
use sightline_testkit::scripted::{Instance, ScriptedLauncher};
use tokio::sync::{Semaphore, mpsc};

/// A processing job of one instance that reads and leaves nothing.
pub(crate) fn processing(name: &str) -> JobSpec {
    JobSpec {
        kind: JobKind::Processing,
        name: name.to_owned(),
        image: "scripted:1".to_owned(),
        role: "arn:aws:iam::123456789012:role/R".to_owned(),
        program: Program::Command(vec!["run".to_owned()]),
        instances: 1,
        instance_type: "ml.m5.large".to_owned(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        artifact_path: None,
        variables: BTreeMap::new(),
        hyperparameters: BTreeMap::new(),
        metrics: Vec::new(),
        runtime_s_max: 3_600,
        network_isolation: false,
    }
}

/// A training job of one instance whose artifacts go below `s3://bkt/models`.
pub(crate) fn training(name: &str) -> JobSpec {
    JobSpec {
        kind: JobKind::Training,
        program: Program::OfImage,
        artifact_path: Some("s3://bkt/models".to_owned()),
        ..processing(name)
    }
}

/// An input at `/opt/ml/{path}` that every instance receives.
pub(crate) fn input(name: &str, uri: &str, path: &str) -> Input {
    Input {
        name: name.to_owned(),
        uri: uri.to_owned(),
        path: format!("/opt/ml/{path}"),
        distribution: Distribution::FullyReplicated,
        content_type: None,
    }
}

/// The output at `/opt/ml/processing/output`, kept below `s3://bkt/out`.
pub(crate) fn output() -> Output {
    Output {
        name: "out".to_owned(),
        uri: "s3://bkt/out".to_owned(),
        path: "/opt/ml/processing/output".to_owned(),
    }
}

pub(crate) fn id(spec: &JobSpec) -> JobId {
    JobId {
        kind: spec.kind,
        name: spec.name.clone(),
    }
}

/// The statuses in a job's history.
pub(crate) fn statuses(view: &JobView) -> Vec<&str> {
    view.steps.iter().map(|step| step.status.as_str()).collect()
}

/// Why a job failed.
pub(crate) fn reason(view: &JobView) -> &str {
    match &view.outcome {
        Some(Outcome::Failed(reason)) => reason,
        other => panic!("the job has not failed: {other:?}"),
    }
}

/// Instances that do this at once.
pub(crate) fn doing(
    script: impl Fn(&Instance) -> Exit + Send + Sync + 'static,
) -> ScriptedLauncher {
    ScriptedLauncher::new(move |instance| std::future::ready(script(&instance)))
}

/// Instances that do nothing.
pub(crate) fn idle() -> ScriptedLauncher {
    doing(|_| Exit::Code(0))
}

/// Instances that must not be started.
pub(crate) fn unused() -> ScriptedLauncher {
    ScriptedLauncher::new(async |_| panic!("an instance was started"))
}

/// Instances that have begun and wait to be let go.
pub(crate) struct Held {
    begun: mpsc::Receiver<Instance>,
    gate: Arc<Semaphore>,
}

impl Held {
    pub(crate) fn new(begun: mpsc::Receiver<Instance>, gate: Arc<Semaphore>) -> Self {
        Self { begun, gate }
    }

    /// Lets every instance end well, also those that begin later.
    pub(crate) fn release(&self) {
        self.gate.add_permits(1);
    }

    /// The next instance that runs.
    pub(crate) async fn next(&mut self) -> Instance {
        crate::world::soon(self.begun.recv()).await.unwrap()
    }
}

/// Instances that wait, and end with 143 when asked to end.
pub(crate) fn holding() -> (ScriptedLauncher, Held) {
    let (announce, begun) = mpsc::channel(16);
    let gate = Arc::new(Semaphore::new(0));
    let held = Held::new(begun, Arc::clone(&gate));
    let launcher = ScriptedLauncher::new(move |mut instance| {
        let (announce, gate) = (announce.clone(), Arc::clone(&gate));
        async move {
            announce.send(instance.clone()).await.unwrap();
            tokio::select! {
                _ = gate.acquire() => Exit::Code(0),
                () = instance.terminated() => Exit::Code(143),
            }
        }
    });
    (launcher, held)
}
