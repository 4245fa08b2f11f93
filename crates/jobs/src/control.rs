//! What users do to jobs: create, describe, list, stop.

use std::sync::Arc;

use serde_json::{Value, json};
use sightline_identity::Permit;
use sightline_meta::resource::{self, List, Resource};
use sightline_meta::{MetaError, Reader, tags};
use sightline_types::{Arn, Page, ResourceRef, Timestamp};

use crate::EnvironmentUsed;
use crate::metrics::Scanner;
use crate::phase::{self, Outcome, Phase, Step};
use crate::reconcile::Shared;
use crate::{Error, JobId, JobKind, JobSpec, Jobs, JobsOptions, MetricPoint, store, transfer};

/// Instances that one job may have: all of them share this host.
const INSTANCES_MAX: u32 = 16;

/// Directories that outputs and inputs of processing jobs must lie in.
const PROCESSING_ROOT: &str = "/opt/ml/processing/";

/// The directory that the channels of training jobs lie in.
const TRAINING_ROOT: &str = "/opt/ml/input/data/";

/// A job to be made.
#[derive(Clone, Debug)]
pub struct CreateJob {
    /// What the engine acts on.
    pub spec: JobSpec,
    /// The whole request, for describing the job later.
    pub document: Value,
    /// Tags that the job carries from the start.
    pub tags: Vec<(String, String)>,
}

/// A job as it is now.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The resource with its request.
    pub resource: Resource,
    /// What the engine acts on.
    pub spec: JobSpec,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// When its inputs began to be staged.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What its program left in `/opt/ml/output/message`.
    pub exit_message: Option<String>,
    /// Where the model of a training job is.
    pub artifact_uri: Option<String>,
    /// What it ran in.
    pub environment: Option<EnvironmentUsed>,
    /// Its history, oldest first; the last one lasts until the job has ended.
    pub steps: Vec<Step>,
    /// The last value of each metric, in order of name.
    pub metrics: Vec<MetricPoint>,
}

impl Jobs {
    /// Makes the engine. Nothing runs until [`Jobs::reconcile`] does.
    #[must_use]
    pub fn new(options: JobsOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(options)),
        }
    }

    /// Creates a job, to be run as soon as there is room, and gives its ARN.
    pub async fn create(&self, permit: &Permit, job: CreateJob) -> Result<Arn, Error> {
        permit.expect_action(match job.spec.kind {
            JobKind::Processing => "sagemaker:CreateProcessingJob",
            JobKind::Training => "sagemaker:CreateTrainingJob",
        });
        check(&job.spec)?;
        check_tags(&job.tags)?;
        self.check_inputs(permit, &job.spec).await?;
        let cx = permit.cx();
        let arn = job.spec.kind.arn(&job.spec.name, &cx.region, &cx.account);
        let now = self.shared.options.clock.now();
        let mut event = permit.event();
        event.resources.push(reference(job.spec.kind, &arn));
        event.response = Some(json!({ "arn": arn.as_str() }));
        let made = Resource {
            name: job.spec.name.clone(),
            arn: arn.clone(),
            status: phase::live_status(false).to_owned(),
            created_at: now,
            modified_at: now,
            document: job.document,
        };
        let (spec, job_tags) = (job.spec, job.tags);
        let meta = &self.shared.options.meta;
        let created: Result<(), Error> = meta
            .write(move |tx| {
                resource::create(tx, spec.kind.resource_kind(), &made)?;
                tags::put(tx, &made.arn, &job_tags)?;
                store::insert(tx, &spec, now)?;
                tx.record(&event)?;
                Ok(())
            })
            .await;
        created?;
        self.shared.wake.notify_one();
        Ok(arn)
    }

    /// A training job is refused at once when a channel names nothing, a processing job when it
    /// stages its inputs; so does AWS.
    async fn check_inputs(&self, permit: &Permit, spec: &JobSpec) -> Result<(), Error> {
        if spec.kind == JobKind::Training {
            for input in &spec.inputs {
                transfer::list(&self.shared.options, permit.cx(), spec, &input.uri).await?;
            }
        }
        Ok(())
    }

    /// The job as it is now.
    pub async fn describe(&self, permit: &Permit, id: &JobId) -> Result<JobView, Error> {
        permit.expect_action(match id.kind {
            JobKind::Processing => "sagemaker:DescribeProcessingJob",
            JobKind::Training => "sagemaker:DescribeTrainingJob",
        });
        let id = id.clone();
        self.shared
            .options
            .meta
            .read(move |reader| view(reader, &id))
            .await
    }

    /// One page of the jobs of a kind, each with its resource and, once ended, the time of that.
    pub async fn list(
        &self,
        permit: &Permit,
        kind: JobKind,
        wanted: List,
    ) -> Result<Page<(Resource, Option<Timestamp>)>, Error> {
        permit.expect_action(match kind {
            JobKind::Processing => "sagemaker:ListProcessingJobs",
            JobKind::Training => "sagemaker:ListTrainingJobs",
        });
        let page = self.shared.options.meta.read(move |reader| {
            let Page { items, next_token } = resource::list(reader, kind.resource_kind(), &wanted)?;
            let with_end = |resource: Resource| {
                let id = JobId {
                    kind,
                    name: resource.name.clone(),
                };
                let row = store::get(reader, &id)?;
                Ok((resource, row.and_then(|row| row.ended_at)))
            };
            let items = items
                .into_iter()
                .map(with_end)
                .collect::<Result<_, MetaError>>()?;
            Ok::<_, Error>(Page { items, next_token })
        });
        page.await
    }

    /// Asks a job to stop; it ends soon after, with its outputs kept.
    pub async fn stop(&self, permit: &Permit, id: &JobId) -> Result<(), Error> {
        permit.expect_action(match id.kind {
            JobKind::Processing => "sagemaker:StopProcessingJob",
            JobKind::Training => "sagemaker:StopTrainingJob",
        });
        let now = self.shared.options.clock.now();
        let mut event = permit.event();
        let cx = permit.cx();
        event.resources.push(reference(
            id.kind,
            &id.kind.arn(&id.name, &cx.region, &cx.account),
        ));
        let target = id.clone();
        let stopped: Result<(), Error> = self
            .shared
            .options
            .meta
            .write(move |tx| {
                let row = store::get(tx, &target)?.ok_or(Error::NotFound(target.clone()))?;
                if row.phase == Phase::Ended {
                    return Err(already_ended(row.outcome.as_ref(), &target));
                }
                if !row.stop_requested {
                    store::request_stop(tx, &target)?;
                    store::begin_step(tx, &target, "Stopping", "Stopping on request", now)?;
                    let status = phase::live_status(true);
                    let kind = target.kind.resource_kind();
                    resource::set_status(tx, kind, &target.name, status, now)?;
                }
                tx.record(&event)?;
                Ok(())
            })
            .await;
        stopped?;
        self.shared.request_stop(id);
        Ok(())
    }

    /// How many jobs stand in each phase but the last, for whoever watches the server; no
    /// protocol reaches it.
    pub async fn unfinished_by_phase(&self) -> Result<Vec<(&'static str, u64)>, Error> {
        let meta = &self.shared.options.meta;
        Ok(meta.read(store::count_unfinished).await?)
    }
}

pub(crate) fn reference(kind: JobKind, arn: &Arn) -> ResourceRef {
    ResourceRef {
        kind: kind.resource_type().to_owned(),
        name: arn.to_string(),
    }
}

fn already_ended(outcome: Option<&Outcome>, id: &JobId) -> Error {
    Error::Ended {
        kind: match id.kind {
            JobKind::Processing => "processing job",
            JobKind::Training => "training job",
        },
        name: id.name.clone(),
        status: outcome.map_or("Completed", Outcome::status),
    }
}

fn view(reader: &Reader<'_>, id: &JobId) -> Result<JobView, Error> {
    let missing = || Error::NotFound(id.clone());
    let resource = resource::get(reader, id.kind.resource_kind(), &id.name)?.ok_or_else(missing)?;
    let row = store::get(reader, id)?.ok_or_else(missing)?;
    let ended = row.phase == Phase::Ended;
    Ok(JobView {
        resource,
        spec: row.spec,
        outcome: row.outcome.filter(|_| ended),
        started_at: row.started_at,
        ended_at: row.ended_at,
        exit_message: row.exit_message,
        artifact_uri: row.artifact_uri,
        environment: row.environment,
        steps: store::steps(reader, id)?,
        metrics: store::last_metrics(reader, id)?,
    })
}

/// Keys are given once, and those that begin with `aws:` are not the caller's to give.
fn check_tags(tags: &[(String, String)]) -> Result<(), Error> {
    for (index, (key, _)) in tags.iter().enumerate() {
        if key.starts_with("aws:") {
            let text = format!("the tag key {key:?} begins with the reserved prefix aws:");
            return Err(Error::Invalid(text));
        }
        if tags[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(Error::Invalid(format!(
                "the tag key {key:?} is given twice"
            )));
        }
    }
    Ok(())
}

/// Refuses what could never run, before anything of it exists.
fn check(spec: &JobSpec) -> Result<(), Error> {
    if INSTANCES_MAX < spec.instances {
        let text = format!("a job has at most {INSTANCES_MAX} instances on this server");
        return Err(Error::Invalid(text));
    }
    Scanner::new(&spec.metrics).map_err(|error| Error::Invalid(error.to_string()))?;
    if matches!(&spec.program, crate::Program::Command(words) if words.is_empty()) {
        return Err(Error::Invalid(
            "a container entrypoint must not be empty".to_owned(),
        ));
    }
    let inputs = spec
        .inputs
        .iter()
        .map(|input| (&input.name, &input.path, &input.uri));
    let outputs = spec
        .outputs
        .iter()
        .map(|output| (&output.name, &output.path, &output.uri));
    let mut paths = Vec::new();
    for (name, path, uri) in inputs.chain(outputs) {
        transfer::parse(uri)?;
        check_path(spec.kind, name, path)?;
        if paths.contains(&path.trim_end_matches('/')) {
            return Err(Error::Invalid(format!(
                "two inputs or outputs have the path {path}"
            )));
        }
        paths.push(path.trim_end_matches('/'));
    }
    if let Some(uri) = spec.model_uri() {
        transfer::parse(&uri)?;
    }
    if let Some(uri) = spec.source_archive() {
        transfer::parse(&uri)?;
    }
    Ok(())
}

fn check_path(kind: JobKind, name: &str, path: &str) -> Result<(), Error> {
    let root = match kind {
        JobKind::Processing => PROCESSING_ROOT,
        JobKind::Training => TRAINING_ROOT,
    };
    let below_root = path.starts_with(root);
    let plain = path
        .split('/')
        .skip(1)
        .all(|part| !matches!(part, "." | ".."))
        && !path.contains("//")
        && !path.chars().any(char::is_control);
    if below_root && plain {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the local path {path:?} of {name:?} must lie below {root} and must not contain '..'"
    )))
}
