//! What happens to one job, from its queue to its end.
//!
//! Each phase is entered in the store before it is begun. Preparing and staging start over after
//! a crash, collecting goes on with what lies in the job's directory, and a job whose instances
//! ran when the server ended has lost them and fails with that reason.

use std::sync::Arc;

use sightline_meta::tags::{self, TagError};
use sightline_meta::{MetaError, resource};
use sightline_ports::{Environment, Exit, HostName, InstanceReport, Launcher};
use sightline_types::{
    Caller, Cx, ErrorKind, Event, EventOutcome, OperationName, Recorded, RequestId, Timestamp,
};
use tokio::sync::watch::{Receiver, channel};

use crate::control::reference;
use crate::log::JobLog;
use crate::phase::{Outcome, Phase};
use crate::reconcile::Shared;
use crate::store::{self, JobRow};
use crate::watch::{Watched, turned_true, watch};
use crate::workspace::{Workspace, off_the_runtime};
use crate::{EnvironmentUsed, Error, JobId, JobKind, JobSpec, outputs, stage};

const LOST_OUTPUTS: &str = "InternalServerError: the server that ran the job was lost before the \
                            job's outputs were stored. Create the job again under another name.";

const LOST: &str = "InternalServerError: the server ended while the job ran, and the job's \
                    instances with it. Create the job again under another name.";

/// Why a job does not go on to its next phase.
pub(crate) enum Interrupt {
    /// It ends like this.
    End(Outcome),
    /// The store failed; the job stays as it is and is taken up again.
    Broken(Error),
}

impl From<MetaError> for Interrupt {
    fn from(error: MetaError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Error> for Interrupt {
    fn from(error: Error) -> Self {
        let not_now = error.kind() == ErrorKind::Unavailable;
        if not_now || matches!(error, Error::Meta(_) | Error::Elsewhere(_)) {
            return Self::Broken(error);
        }
        let ours = matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable);
        let reason = chain(&error);
        if ours {
            tracing::error!(%reason, "a job failed inside the server");
            return Self::failed(format!("InternalServerError: {reason}"));
        }
        Self::failed(format!("ClientError: {reason}"))
    }
}

impl Interrupt {
    pub(crate) fn failed(reason: String) -> Self {
        Self::End(Outcome::Failed(reason))
    }
}

/// An error and its causes in one line: job reasons are all that their reader has.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Moves a job to its end. An error leaves the row unfinished.
pub(crate) async fn run(shared: &Shared, id: &JobId, stop: Receiver<bool>) -> Result<(), Error> {
    let wanted = id.clone();
    let row = shared
        .options
        .meta
        .read(move |reader| store::get(reader, &wanted))
        .await?;
    let Some(row) = row.filter(|row| row.phase != Phase::Ended) else {
        return Ok(());
    };
    let mut runner = Runner::new(shared, &row, stop).await?;
    let outcome = match runner.advance(&row).await {
        Ok(outcome) | Err(Interrupt::End(outcome)) => outcome,
        Err(Interrupt::Broken(error)) => return Err(error),
    };
    runner.end(outcome).await
}

/// Ends a job whose runner panicked: it would panic again.
pub(crate) async fn end_after_panic(shared: &Shared, id: &JobId) {
    let reason = "InternalServerError: the server made a mistake in running this job; \
                  its log has more";
    let outcome = Outcome::Failed(reason.to_owned());
    if let Err(error) = end(shared, id, outcome).await {
        tracing::error!(job = %id.name, %error, "a job could not be ended");
    }
}

/// One job on its way.
pub(crate) struct Runner<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) id: JobId,
    pub(crate) spec: JobSpec,
    pub(crate) cx: Arc<Cx>,
    pub(crate) workspace: Workspace,
    pub(crate) log: Arc<JobLog>,
    stop: Receiver<bool>,
}

impl<'s> Runner<'s> {
    async fn new(shared: &'s Shared, row: &JobRow, stop: Receiver<bool>) -> Result<Self, Error> {
        let cx = Arc::new(platform_cx(shared, &row.spec));
        let permit = shared.options.identity.platform_permit(
            &cx,
            "logs:PutLogEvents",
            sightline_telemetry::Telemetry::group_arn(
                &cx.region,
                &cx.account,
                row.spec.kind.log_group(),
            ),
        );
        let log = JobLog::open(
            &shared.options.telemetry,
            &permit,
            &row.spec,
            row.created_at,
        )
        .await?;
        Ok(Self {
            shared,
            id: row.id.clone(),
            spec: row.spec.clone(),
            cx,
            workspace: Workspace::of(&shared.options.root, &row.id),
            log: Arc::new(log),
            stop,
        })
    }

    fn now(&self) -> Timestamp {
        self.shared.options.clock.now()
    }

    async fn advance(&mut self, row: &JobRow) -> Result<Outcome, Interrupt> {
        let outcome = match (row.phase, &row.outcome) {
            // What was asked for has happened, if not in the way that was meant.
            (Phase::Running, _) if row.stop_requested => {
                return Err(Interrupt::End(Outcome::Stopped));
            }
            (Phase::Running, _) => return Err(Interrupt::failed(LOST.to_owned())),
            (
                Phase::Collecting,
                Some(Outcome::Completed | Outcome::Stopped | Outcome::TimedOut),
            ) if !self.workspace.exists() => {
                return Err(Interrupt::failed(LOST_OUTPUTS.to_owned()));
            }
            (Phase::Collecting, Some(outcome)) => outcome.clone(),
            _ => {
                self.end_earlier_key(row).await?;
                self.execute().await?
            }
        };
        if !matches!(outcome, Outcome::Failed(_)) {
            outputs::store(self).await?;
        }
        Ok(outcome)
    }

    /// Ends the key of an attempt that the end of the server cut short.
    async fn end_earlier_key(&self, row: &JobRow) -> Result<(), Error> {
        if let Some(key) = &row.session_key_id {
            self.shared.options.identity.end_session(key).await?;
        }
        Ok(())
    }

    /// Everything up to the end of the instances.
    async fn execute(&mut self) -> Result<Outcome, Interrupt> {
        self.enter(Phase::Preparing).await?;
        let environment = self.prepare().await?;
        self.enter(Phase::Staging).await?;
        tokio::select! {
            fetched = stage::fetch(self) => fetched?,
            () = turned_true(self.stop.clone()) => return Err(Interrupt::End(Outcome::Stopped)),
        }
        let staged = stage::lay_out(self, environment).await?;
        self.enter(Phase::Running).await?;
        let launched = self.shared.options.launcher.start(staged.launch).await;
        let running = launched.map_err(|error| Interrupt::failed(launch_reason(&error)))?;
        let (clock, limit) = (&self.shared.options.clock, self.spec.runtime_max());
        let watched = watch(clock.as_ref(), limit, self.stop.clone(), running).await;
        drop(staged.keep_open);
        self.finish_running(watched).await
    }

    /// Enters a phase, unless the job shall stop.
    async fn enter(&self, phase: Phase) -> Result<(), Interrupt> {
        if *self.stop.borrow() {
            return Err(Interrupt::End(Outcome::Stopped));
        }
        self.set_phase(phase).await
    }

    async fn set_phase(&self, phase: Phase) -> Result<(), Interrupt> {
        let (id, now) = (self.id.clone(), self.now());
        let moved = self.shared.change(&self.id, move |tx| {
            store::enter(tx, &id, phase, now)?;
            // The time of the last change moves with the phase; the status stays.
            let kind = id.kind.resource_kind();
            if let Some(found) = resource::get(tx, kind, &id.name)? {
                resource::set_status(tx, kind, &id.name, &found.status, now)?;
            }
            Ok::<(), MetaError>(())
        });
        Ok(moved.await?)
    }

    async fn prepare(&mut self) -> Result<Environment, Interrupt> {
        let (progress, mut steps) = channel(String::new());
        let launcher = Arc::clone(&self.shared.options.launcher);
        let image = self.spec.image.clone();
        let prepared = prepare_with(launcher.as_ref(), &image, Steps(progress));
        tokio::pin!(prepared);
        let environment = loop {
            tokio::select! {
                done = &mut prepared => break done,
                Ok(()) = steps.changed() => {
                    let text = steps.borrow_and_update().clone();
                    self.say_step(&text).await?;
                }
                () = turned_true(self.stop.clone()) => {
                    return Err(Interrupt::End(Outcome::Stopped));
                }
            }
        };
        let environment = environment.map_err(|error| Interrupt::failed(launch_reason(&error)))?;
        self.record_environment(&environment).await?;
        Ok(environment)
    }

    async fn say_step(&self, text: &str) -> Result<(), Interrupt> {
        self.log.say(self.now(), text).await;
        let (id, message) = (self.id.clone(), text.to_owned());
        let said = self.shared.change(&self.id, move |tx| {
            store::set_step_message(tx, &id, &message)
        });
        Ok(said.await?)
    }

    /// Keeps on the job what it runs in, and says so where users look: status message and tags.
    async fn record_environment(&self, environment: &Environment) -> Result<(), Interrupt> {
        let used = EnvironmentUsed {
            name: environment.name.clone(),
            digest: environment.digest.clone(),
            interpreter: environment.interpreter.clone(),
            packages: environment.packages.clone(),
            substitutions: environment.substitutions.clone(),
        };
        let mut own_tags = vec![("sightline:environment".to_owned(), used.name.clone())];
        let mut message = format!("Environment {} is ready", used.name);
        if !used.substitutions.is_empty() {
            own_tags.push(("sightline:substituted".to_owned(), "true".to_owned()));
            message.push_str(": ");
            message.push_str(&used.substitutions.join(" "));
        }
        if let Some(isolation) = self.isolation() {
            message.push_str(&format!(". Isolation: {isolation}"));
            own_tags.push(("sightline:isolation".to_owned(), tag_value(&isolation)));
        }
        let id = self.id.clone();
        let arn = self
            .spec
            .kind
            .arn(&id.name, &self.cx.region, &self.cx.account);
        let recorded = self.shared.change(&self.id, move |tx| {
            store::set_environment(tx, &id, &used)?;
            store::set_step_message(tx, &id, &message)
        });
        recorded.await?;
        let meta = &self.shared.options.meta;
        let tagged: Result<(), TagError> =
            meta.write(move |tx| tags::put(tx, &arn, &own_tags)).await;
        match tagged {
            // A job that carries fifty tags of its own has no room for these.
            Err(TagError::TooMany(_)) | Ok(()) => Ok(()),
            Err(TagError::Meta(error)) => Err(error.into()),
        }
    }

    /// How far the launcher says that jobs are kept apart here.
    fn isolation(&self) -> Option<String> {
        let sentences = self.shared.options.launcher.isolation();
        let level = sentences
            .iter()
            .find_map(|text| text.strip_prefix("isolation: "));
        level.map(str::to_owned)
    }

    async fn finish_running(&self, watched: Watched) -> Result<Outcome, Interrupt> {
        for note in &watched.notes {
            self.log.say(self.now(), note).await;
        }
        let outcome = match (watched.ending, watched.failed) {
            (Some(ending), _) => ending,
            (None, Some(report)) => Outcome::Failed(self.exit_reason(&report)),
            (None, None) => Outcome::Completed,
        };
        let message = match (self.spec.kind, &outcome) {
            // A message that cannot be read must not hide why the program failed.
            (JobKind::Processing, Outcome::Failed(_)) => outputs::exit_message(self).ok().flatten(),
            (JobKind::Processing, _) => outputs::exit_message(self)?,
            (JobKind::Training, _) => None,
        };
        let (id, now, stored) = (self.id.clone(), self.now(), outcome.clone());
        let points = self.log.take_points();
        let recorded = self.shared.change(&self.id, move |tx| {
            store::set_outcome(tx, &id, &stored, message.as_deref())?;
            store::add_metrics(tx, &id, &points)?;
            store::enter(tx, &id, Phase::Collecting, now)
        });
        recorded.await?;
        Ok(outcome)
    }

    /// Why an instance failed, as AWS words it.
    fn exit_reason(&self, report: &InstanceReport) -> String {
        match report.exit {
            Exit::OutOfMemory => format!(
                "ClientError: OutOfMemory: {} was killed at the memory limit of {}. Please use \
                 an instance type with more memory, or reduce the size of job data processed on \
                 an instance., exit code: 137",
                report.host, self.spec.instance_type
            ),
            Exit::Lost => format!("InternalServerError: {} was lost", report.host),
            Exit::Code(code) => {
                let said = outputs::failure_text(self, &report.host);
                let said = said.unwrap_or_else(|| "See job logs for more information".to_owned());
                format!("AlgorithmError: {said}, exit code: {code}")
            }
        }
    }

    async fn end(self, outcome: Outcome) -> Result<(), Error> {
        self.log.close().await;
        end(self.shared, &self.id, outcome).await
    }
}

/// Ends a job for good: status, history, event, key and directory.
async fn end(shared: &Shared, id: &JobId, outcome: Outcome) -> Result<(), Error> {
    let options = &shared.options;
    let wanted = id.clone();
    let row = options
        .meta
        .read(move |reader| store::get(reader, &wanted))
        .await?;
    let Some(row) = row else { return Ok(()) };
    if let Some(key) = &row.session_key_id {
        options.identity.end_session(key).await?;
    }
    let workspace = Workspace::of(&options.root, id);
    let now = options.clock.now();
    let cx = Arc::new(platform_cx(shared, &row.spec));
    let mut event = Event::of(&cx, EventOutcome::Success);
    event.resources.push(reference(
        id.kind,
        &id.kind.arn(&id.name, &cx.region, &cx.account),
    ));
    event.response = Some(serde_json::json!({
        "status": outcome.status(),
        "environment": row.environment,
    }));
    let job = id.clone();
    let ended = shared.change(id, move |tx| {
        // It may be recorded already, if the answer to that was lost.
        if store::get(tx, &job)?.is_none_or(|row| row.phase == Phase::Ended) {
            return Ok(());
        }
        store::end(tx, &job, &outcome, now)?;
        let kind = job.kind.resource_kind();
        resource::set_status(tx, kind, &job.name, outcome.status(), now)?;
        tx.record(&event)
    });
    ended.await?;
    // Only now: a collection that goes on after a crash must find all that was written.
    if let Err(error) = off_the_runtime("remove", move || workspace.remove()).await {
        tracing::error!(%error, "a job's directory stays until the next start");
    }
    Ok(())
}

/// A text as the value of a tag, which takes 256 characters and not all kinds.
fn tag_value(text: &str) -> String {
    let kept = |c: char| {
        if c.is_alphanumeric() || " _.:/=+-@".contains(c) {
            c
        } else {
            '-'
        }
    };
    text.chars().map(kept).take(256).collect()
}

/// The context of what the platform does for a job.
fn platform_cx(shared: &Shared, spec: &JobSpec) -> Cx {
    let options = &shared.options;
    let (account, region) = (options.identity.account(), options.identity.region());
    let name = match spec.kind {
        JobKind::Processing => "ProcessingJobStateChange",
        JobKind::Training => "TrainingJobStateChange",
    };
    Cx {
        request_id: RequestId::random(),
        received_at: options.clock.now(),
        account: account.clone(),
        region: region.clone(),
        caller: Caller {
            arn: format!(
                "arn:aws:sts::{account}:assumed-role/{}/{}",
                spec.role_name(),
                spec.name
            ),
            user_id: format!("{}:{}", spec.role_name(), spec.name),
            user_name: spec.name.clone(),
            access_key_id: String::new(),
            session_began: None,
        },
        source: "sagemaker.amazonaws.com".to_owned(),
        tls: None,
        signed: None,
        user_agent: "sagemaker.amazonaws.com".to_owned(),
        operation: OperationName {
            source: "sagemaker.amazonaws.com",
            name,
            read_only: false,
        },
        parameters: None,
        recorded: Recorded::default(),
    }
}

/// Hands the sentences of a preparation to whoever watches.
struct Steps(tokio::sync::watch::Sender<String>);

impl sightline_ports::Progress for Steps {
    fn step(&self, text: &str) {
        self.0.send_replace(text.to_owned());
    }
}

async fn prepare_with(
    launcher: &dyn Launcher,
    image: &str,
    steps: Steps,
) -> Result<Environment, sightline_ports::LaunchError> {
    launcher.prepare(image, &steps).await
}

fn launch_reason(error: &sightline_ports::LaunchError) -> String {
    use sightline_ports::LaunchError;
    let class = match error {
        LaunchError::UnknownImage { .. } | LaunchError::Refused(_) => "ClientError",
        LaunchError::Build { .. } | LaunchError::Isolation(_) | LaunchError::System { .. } => {
            "InternalServerError"
        }
    };
    format!("{class}: {}", chain(error))
}

/// The hosts of a job in order of their numbers.
pub(crate) fn hosts(spec: &JobSpec) -> impl Iterator<Item = HostName> + use<> {
    (1..=spec.instances).map(HostName::numbered)
}
