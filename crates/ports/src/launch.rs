//! Running a job's instances apart from the server and from each other.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use sightline_types::Timestamp;

/// What an image URI came to: pinned packages on a known interpreter, built once and cached.
///
/// Everything here is shown to the user, because it may differ from what the image's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The image URI as the request gave it.
    pub asked: String,
    /// Short name, such as `scikit-learn-1.1.3-py3.11`.
    pub name: String,
    /// SHA-256 over recipe, interpreter and platform, in hexadecimal: the cache key.
    pub digest: String,
    /// Full interpreter version, such as `CPython 3.11.2`.
    pub interpreter: String,
    /// Every installed package as `name==version`, sorted.
    pub packages: Vec<String>,
    /// One sentence for each way in which this is not what the image's name promises.
    pub substitutions: Vec<String>,
    /// Variables that programs in such an image find set; a job's own come before them.
    pub variables: Vec<(String, String)>,
    /// Where the environment lies on this host.
    pub path: PathBuf,
}

/// Told what a long preparation is doing, in short sentences for the job's status message.
pub trait Progress: Send + Sync {
    /// Says what happens now.
    fn step(&self, text: &str);
}

/// The name of one instance inside its job: `algo-1`, `algo-2`, and so on from one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(u32);

impl HostName {
    /// The name of the instance with this number, counted from one.
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// The number in the name.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "algo-{}", self.0)
    }
}

/// A directory or file of the host shown inside an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it lies on the host.
    ///
    /// When `writable`, the launcher may change the owner of everything in it and copies files
    /// that have other names elsewhere. Otherwise others must be able to read it, and in either
    /// case to pass every directory above it.
    pub host: PathBuf,
    /// Absolute path inside, at or below `/opt/ml`. Later mounts may lie inside earlier ones.
    pub inside: String,
    /// Whether the instance may write to it.
    pub writable: bool,
}

/// What an instance runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The image's own `train` program: script mode as the training toolkit defines it.
    Train,
    /// A program with its arguments; never empty.
    Program(Vec<String>),
}

/// How far an instance can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Its own loopback interface and nothing else.
    None,
    /// The same, and the server's API through this unix socket at `http://127.0.0.1:{port}`.
    Api {
        /// Where the server listens for this job; the launcher makes the job's user its owner.
        socket: PathBuf,
        /// The port on the instance's own loopback interface.
        port: u16,
    },
}

/// Upper bounds for each instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resident memory in bytes; beyond it the instance is killed and reported as out of memory.
    pub memory_bytes: u64,
    /// Processor time, in thousandths of a processor.
    pub cpu_milli: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Open files of each process.
    pub open_files: u32,
    /// Size of each written file in bytes.
    pub file_bytes: u64,
}

/// A job as a launcher sees it: instances that differ only in name and mounts.
#[derive(Clone)]
pub struct LaunchSpec {
    /// Unique among running jobs: `[a-z0-9-]`, at most 64 characters.
    pub id: String,
    /// What [`Launcher::prepare`] gave for the job's image.
    pub environment: Environment,
    /// What every instance runs.
    pub command: Command,
    /// The instances with their own mounts, in order of their numbers.
    pub instances: Vec<(HostName, Vec<Mount>)>,
    /// The environment of the program. The launcher adds `PATH` and `HOME` unless they are
    /// here, and nothing of the server's own.
    pub variables: Vec<(String, String)>,
    /// Working directory inside.
    pub working_directory: String,
    /// Bounds for each instance.
    pub limits: Limits,
    /// How far each instance reaches.
    pub network: Network,
    /// Receives what the instances print.
    pub log: Arc<dyn InstanceLog>,
}

/// Receives the lines of all instances of a job.
///
/// The launcher's own lines come first and begin with `[sightline]`: what runs, on what, how far
/// it is isolated and how its limits are enforced.
#[async_trait]
pub trait InstanceLog: Send + Sync {
    /// Takes one line without its line break. Waiting here slows the instance down.
    async fn line(&self, host: &HostName, at: Timestamp, text: String);
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code; death by signal `n` inside shows as `128 + n`.
    Code(i32),
    /// It was killed for exceeding its memory limit.
    OutOfMemory,
    /// It could not be followed to its end, for example because its supervisor was killed.
    Lost,
}

/// How one instance ended, and what was seen on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReport {
    /// Which instance.
    pub host: HostName,
    /// How it ended.
    pub exit: Exit,
    /// Facts worth a line in the log, such as a child killed for memory while the job went on.
    pub notes: Vec<String>,
}

/// How hard to ask for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM to the program.
    Terminate,
    /// An end to every process of the job, at once.
    Kill,
}

/// The instances of a started job. Dropping it kills them.
#[async_trait]
pub trait RunningJob: Send + Sync {
    /// Waits for the next instance to end; `None` once all have been reported.
    ///
    /// When it returns, every process of that instance is gone and all its lines are delivered.
    async fn next_exit(&mut self) -> Option<InstanceReport>;

    /// Sends `signal` to every instance that still runs.
    async fn signal(&mut self, signal: Signal);
}

/// Why a job could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// No rule maps the image to an environment.
    #[error("image {image:?} is not known here: {hint}")]
    UnknownImage {
        /// The URI as given.
        image: String,
        /// What to do about it.
        hint: String,
    },
    /// The environment could not be built; the text is the builder's own.
    #[error("the environment for image {image:?} could not be built: {reason}")]
    Build {
        /// The URI as given.
        image: String,
        /// What the builder said last.
        reason: String,
    },
    /// This machine lacks something that isolation needs.
    #[error("jobs cannot be isolated on this machine: {0}")]
    Isolation(String),
    /// The request cannot be carried out as it stands.
    #[error("{0}")]
    Refused(String),
    /// The system refused an operation.
    #[error("the launcher failed to {action}")]
    System {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Runs jobs as named instances, each isolated from the server, the host and other jobs.
///
/// Promises that the contract suite checks on each implementation: an instance sees its mounts,
/// the environment and a minimal system, and of the network only what [`Network`] grants; its
/// limits hold; a signal reaches the program; a kill leaves no process; lines arrive in order,
/// each once; the exit of every instance is reported.
#[async_trait]
pub trait Launcher: Send + Sync + std::fmt::Debug {
    /// Makes ready what `image` names. Builds at most once at a time for each environment.
    async fn prepare(
        &self,
        image: &str,
        progress: &dyn Progress,
    ) -> Result<Environment, LaunchError>;

    /// Starts every instance, or none.
    async fn start(&self, spec: LaunchSpec) -> Result<Box<dyn RunningJob>, LaunchError>;

    /// Sentences that say how jobs are isolated here and which limits are enforced by what.
    fn isolation(&self) -> Vec<String>;
}
