//! The sandbox: bubblewrap, a seccomp filter and limits around each instance of a job.
//!
//! An instance is a bubblewrap process with the job's program in namespaces of its own. What it
//! sees is decided in `arguments`, what it may call in `seccomp`, how much it may use in
//! `cgroup`; `spawn` starts it, `instance` follows it to its end. A server that runs as root
//! lends each job a user id that nothing else on the host has; bubblewrap never runs as root,
//! because root inside a namespace is still the owner of the host's files in `/proc`.
//!
//! What must be so on the host: the paths of mounts, environments and sockets can be reached by
//! the job's user, so every directory above them is passable for others when the server is root;
//! what is mounted read-only can be read by others.

mod arguments;
mod bubblewrap;
mod cgroup;
mod check;
mod instance;
mod interpreter;
mod job;
mod lines;
mod mount_points;
mod ownership;
mod processes;
mod seccomp;
mod self_test;
mod setup;
mod spawn;
mod system;
mod uids;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use sightline_ports::{
    Clock, Environment, LaunchError, LaunchSpec, Launcher, Network, Progress, RunningJob,
};
use tokio::sync::OnceCell;

use crate::environment::Environments;

pub use self_test::{Check, Isolation, SelfTest};

use job::SandboxJob;
use setup::Setup;

/// Prefix of the lines that the launcher itself writes into an instance's log.
const PREFIX: &str = "[sightline]";
/// Enough of a digest to tell environments apart by eye.
const DIGEST_SHOWN: usize = 12;

/// How the sandbox is set up on this host.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Where to look for `bwrap`, in order.
    pub bubblewrap: Vec<PathBuf>,
    /// User ids for jobs of a server that runs as root; no account of the host may be in it.
    pub uids: RangeInclusive<u32>,
    /// Gives the times of log lines.
    pub clock: Arc<dyn Clock>,
}

/// Runs the instances of jobs in sandboxes on this host.
#[derive(Debug)]
pub struct SandboxLauncher {
    setup: Arc<Setup>,
    environments: Environments,
    tested: OnceCell<SelfTest>,
}

impl SandboxConfig {
    /// The usual places and ids.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let places = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];
        Self {
            bubblewrap: places.map(PathBuf::from).into(),
            uids: 200_000..=265_535,
            clock,
        }
    }
}

impl SandboxLauncher {
    /// Looks at this host. What is missing is told by [`Self::self_test`] and when a job starts.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(config: SandboxConfig, environments: Environments) -> Result<Self, LaunchError> {
        let setup = Setup::of_this_host(config).map_err(|source| LaunchError::System {
            action: "start its thread",
            source,
        })?;
        Ok(Self {
            setup: Arc::new(setup),
            environments,
            tested: OnceCell::new(),
        })
    }

    /// Whether jobs will run as users of their own, who can read only what everyone may.
    #[must_use]
    pub fn jobs_are_other_users() -> bool {
        Setup::lends_users()
    }

    /// Tries once whether sandboxes hold here, and remembers the result.
    pub async fn self_test(&self) -> &SelfTest {
        self.tested
            .get_or_init(|| async {
                let setup = Arc::clone(&self.setup);
                let tested = tokio::task::spawn_blocking(move || setup.self_test()).await;
                tested.unwrap_or_else(|error| SelfTest {
                    isolation: Isolation::None(format!("the self-test failed: {error}")),
                    checks: Vec::new(),
                })
            })
            .await
    }

    /// What every instance's log begins with.
    fn preamble(&self, spec: &LaunchSpec) -> Vec<String> {
        let environment = &spec.environment;
        let digest = environment
            .digest
            .get(..DIGEST_SHOWN)
            .unwrap_or(&environment.digest);
        let network = match &spec.network {
            Network::None => "none".to_owned(),
            Network::Api { port, .. } => {
                format!("none, except the server's API at http://127.0.0.1:{port}")
            }
        };
        let mut lines = self.isolation();
        lines.push(format!(
            "environment: {} (digest {digest}), {}",
            environment.name, environment.interpreter
        ));
        lines.extend(
            environment
                .substitutions
                .iter()
                .map(|text| format!("substitution: {text}")),
        );
        lines.push(format!("network: {network}"));
        lines.push(self.setup.limits_in_words(&spec.limits));
        lines
            .into_iter()
            .map(|line| format!("{PREFIX} {line}"))
            .collect()
    }
}

#[async_trait]
impl Launcher for SandboxLauncher {
    async fn prepare(
        &self,
        image: &str,
        progress: &dyn Progress,
    ) -> Result<Environment, LaunchError> {
        self.environments.prepare(image, progress).await
    }

    async fn start(&self, spec: LaunchSpec) -> Result<Box<dyn RunningJob>, LaunchError> {
        check::spec(&spec)?;
        if let Isolation::None(why) = &self.self_test().await.isolation {
            return Err(LaunchError::Isolation(why.clone()));
        }
        let spec = Arc::new(spec);
        let (setup, wanted) = (Arc::clone(&self.setup), Arc::clone(&spec));
        let ready = blocking(move || setup.make_ready(&wanted)).await?;
        let preamble = self.preamble(&spec);
        for (host, _) in &spec.instances {
            let sink = self.setup.sink(&spec, host);
            for line in &preamble {
                sink.line(line.clone()).await;
            }
        }
        let (setup, wanted) = (Arc::clone(&self.setup), Arc::clone(&spec));
        let (instances, user) = blocking(move || setup.start(&wanted, ready)).await?;
        Ok(Box::new(SandboxJob::follow(instances, user)))
    }

    fn isolation(&self) -> Vec<String> {
        let mut lines = vec![self.setup.launcher_in_words()];
        match self.tested.get().map(|tested| &tested.isolation) {
            None => lines.push("isolation: not tested yet".into()),
            Some(Isolation::Full) => lines.push("isolation: full".into()),
            Some(Isolation::Reduced(why)) => {
                lines.push(format!("isolation: reduced: {}", why.join("; ")));
            }
            Some(Isolation::None(why)) => lines.push(format!("isolation: none: {why}")),
        }
        lines
    }
}

/// Runs file system and process work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LaunchError> + Send + 'static,
) -> Result<T, LaunchError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LaunchError::System {
            action: "finish its work",
            source: std::io::Error::other(error),
        })?
}
