//! Processing and training jobs: created, run to their end whatever happens, described.
//!
//! Owns the tables `jobs`, `job_steps` and `job_metrics` and the directory in which jobs are
//! staged. A job is a row that [`Jobs::reconcile`] moves from phase to phase; each phase can be
//! taken up again after a crash, or ends the job with a reason. This crate must never know how
//! instances are isolated (that is the [`Launcher`](sightline_ports::Launcher)'s) nor how requests
//! and answers are spelled.
//!
//! Start at [`Jobs::create`], then `runner.rs` for what happens to a job.

mod archive;
mod claim;
mod collect;
mod config;
mod control;
mod limits;
mod log;
mod metrics;
mod outputs;
mod phase;
mod reconcile;
mod runner;
mod spec;
mod stage;
mod store;
mod transfer;
mod watch;
mod workspace;

pub use control::{CreateJob, JobView};
pub use metrics::MetricPoint;
pub use phase::{Outcome, Step};
pub use spec::{Distribution, Input, JobKind, JobSpec, MetricDefinition, Output, Program};

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sightline_identity::Identity;
use sightline_meta::resource::ResourceError;
use sightline_meta::tags::TagError;
use sightline_meta::{Meta, MetaError};
use sightline_objects::Objects;
use sightline_ports::{Clock, Launcher};
use sightline_telemetry::Telemetry;
use sightline_types::{Arn, ErrorKind};

/// The identity of a job: its name is unique within its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    /// The kind.
    pub kind: JobKind,
    /// The name.
    pub name: String,
}

/// What a job ran in, as recorded on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentUsed {
    /// Short name of the environment.
    pub name: String,
    /// SHA-256 of its contents' description.
    pub digest: String,
    /// Full interpreter version.
    pub interpreter: String,
    /// Every package as `name==version`.
    pub packages: Vec<String>,
    /// How it differs from what the image's name promises.
    pub substitutions: Vec<String>,
}

/// Why the engine refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job has this name.
    #[error("{} {} does not exist", .0.kind.resource_kind().0, .0.name)]
    NotFound(JobId),
    /// The name was used before; names are never free again.
    #[error(
        "Job name must be unique within an AWS account and region, \
         and a job with this name already exists ({0})"
    )]
    NameTaken(Arn),
    /// The job has ended and cannot be stopped.
    #[error("The request was rejected because the {kind} {name} is in status {status}")]
    Ended {
        /// `processing job` or `training job`.
        kind: &'static str,
        /// The job's name.
        name: String,
        /// How it ended.
        status: &'static str,
    },
    /// The request asks for something that cannot be done.
    #[error("{0}")]
    Invalid(String),
    /// An input names no object.
    #[error(
        "No S3 objects found under S3 URL \"{uri}\" given in input data source. Please ensure \
         that the bucket exists in the selected region ({region}), that objects exist under that \
         S3 prefix, and that the role \"{role}\" has \"s3:ListBucket\" permissions on bucket \
         \"{bucket}\"."
    )]
    NoObjects {
        /// The input's URI.
        uri: String,
        /// The server's region.
        region: String,
        /// The job's role.
        role: String,
        /// The bucket in the URI.
        bucket: String,
    },
    /// The page token is not valid.
    #[error("the page token is not valid")]
    InvalidToken,
    /// The object store refused.
    #[error("could not read or write an object")]
    Objects(#[from] sightline_objects::Error),
    /// The log store refused.
    #[error("could not write the job's log")]
    Telemetry(#[from] sightline_telemetry::Error),
    /// No key could be made for the job.
    #[error("could not make the job's credentials")]
    Identity(#[from] sightline_identity::Error),
    /// Another server moves the job.
    #[error("{} {} is moved by another server", .0.kind.resource_kind().0, .0.name)]
    Elsewhere(JobId),
    /// The job's directory could not be used.
    #[error("could not {action} the job's directory")]
    Workspace {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("could not reach the job store")]
    Meta(#[from] MetaError),
}

impl Error {
    /// Where this stands among all reasons for failing.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NameTaken(_) => ErrorKind::AlreadyExists,
            Self::Ended { .. } | Self::Invalid(_) | Self::NoObjects { .. } | Self::InvalidToken => {
                ErrorKind::Invalid
            }
            Self::Objects(source) => source.kind(),
            Self::Telemetry(source) => source.kind(),
            Self::Identity(source) => source.kind(),
            Self::Elsewhere(_) => ErrorKind::Conflict,
            Self::Workspace { .. } => ErrorKind::Internal,
            Self::Meta(source) => source.kind(),
        }
    }
}

impl From<ResourceError> for Error {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Exists(arn) => Self::NameTaken(arn),
            ResourceError::InvalidToken => Self::InvalidToken,
            ResourceError::Meta(source) => Self::Meta(source),
        }
    }
}

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        match error {
            TagError::TooMany(_) => Self::Invalid(error.to_string()),
            TagError::Meta(source) => Self::Meta(source),
        }
    }
}

/// Opens a unix socket at a path, on which the server answers one job; closed when dropped.
pub type OpenApiSocket = Arc<dyn Fn(&Path) -> io::Result<Box<dyn Any + Send + Sync>> + Send + Sync>;

/// What the engine works with.
#[derive(Clone)]
pub struct JobsOptions {
    /// The metadata store.
    pub meta: Meta,
    /// Makes each job's credentials.
    pub identity: Identity,
    /// Holds inputs and outputs.
    pub objects: Objects,
    /// Holds the logs.
    pub telemetry: Telemetry,
    /// Runs the instances.
    pub launcher: Arc<dyn Launcher>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where jobs are staged. Instances may run as another user, so each directory above it must
    /// let others pass.
    pub root: PathBuf,
    /// Lets a job reach the server.
    pub open_api_socket: OpenApiSocket,
    /// Jobs that run at once; further ones wait in the order of their creation.
    pub running_max: usize,
}

/// The jobs engine. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) shared: Arc<reconcile::Shared>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
