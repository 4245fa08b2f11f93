//! What a host offers for sandboxes, and how an instance is put together from it.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit};
use sightline_ports::{Clock, Command, HostName, LaunchError, LaunchSpec, Limits, Mount, Network};

use super::SandboxConfig;
use super::arguments::{self, InstancePlan};
use super::bubblewrap::{self, Bubblewrap};
use super::cgroup::{Cgroups, Controller, Version};
use super::check;
use super::instance::{Instance, Sink};
use super::interpreter::{self, Interpreter};
use super::mount_points;
use super::ownership;
use super::self_test::{self, Isolation, SelfTest};
use super::spawn::{self, Held, ResourceLimits, Spawner};
use super::system::SystemView;
use super::uids::{UidLease, UidPool};

/// From this version on the kernel counts a user's processes per user namespace.
const PER_NAMESPACE_COUNTS: (u32, u32) = (5, 14);
/// bubblewrap's own processes, outside and inside, of each instance.
const OWN_PROCESSES: u64 = 2;
/// Without a control group, what one process may reserve beyond twice the memory limit: thread
/// stacks and arenas are reserved in full and used in small part.
const RESERVE_BYTES: u64 = 1 << 30;

/// What the self-test may use.
const TEST_LIMITS: Limits = Limits {
    memory_bytes: 256 << 20,
    cpu_milli: 1000,
    processes: 64,
    open_files: 64,
    file_bytes: 1 << 20,
};

/// This host.
#[derive(Debug)]
pub(super) struct Setup {
    bubblewrap: Result<Bubblewrap, String>,
    /// `None` when the server is an ordinary user, whose id all jobs share.
    uids: Option<Arc<UidPool>>,
    cgroups: Cgroups,
    system: SystemView,
    spawner: Arc<Spawner>,
    clock: Arc<dyn Clock>,
    counts_per_namespace: bool,
}

/// A job whose files are in place.
#[derive(Debug)]
pub(super) struct Ready {
    interpreter: Interpreter,
    user: Option<UidLease>,
}

impl Setup {
    pub(super) fn of_this_host(config: SandboxConfig) -> io::Result<Self> {
        Ok(Self {
            bubblewrap: Bubblewrap::find(&config.bubblewrap),
            uids: Self::lends_users().then(|| UidPool::new(config.uids, std::process::id())),
            cgroups: Cgroups::of_this_host(),
            system: SystemView::of_this_host(),
            spawner: Arc::new(Spawner::start()?),
            clock: config.clock,
            counts_per_namespace: kernel_version().is_some_and(|v| PER_NAMESPACE_COUNTS <= v),
        })
    }

    /// Only root can start processes of other users.
    pub(super) fn lends_users() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Checks and prepares everything on disk, and lends the job its user.
    pub(super) fn make_ready(&self, spec: &LaunchSpec) -> Result<Ready, LaunchError> {
        let interpreter = interpreter::locate(&spec.environment.path)?;
        let user = self.lend_user()?;
        let uid = user.as_ref().map(UidLease::uid);
        for (host, mounts) in &spec.instances {
            let plan = self.plan(spec, host, mounts, &interpreter);
            for source in arguments::sources(&plan) {
                reachable(&source, uid)?;
            }
        }
        for (_, mounts) in &spec.instances {
            mount_points::make(mounts)?;
            directory_exists(mounts, &spec.working_directory)?;
        }
        for (_, mounts) in &spec.instances {
            for mount in mounts.iter().filter(|mount| mount.writable) {
                ownership::hand_over(&mount.host, uid)
                    .map_err(system("hand a directory over to the job"))?;
            }
        }
        if let Network::Api { socket, .. } = &spec.network {
            ownership::hand_over_socket(socket, uid)
                .map_err(system("hand the API's socket over to the job"))?;
        }
        Ok(Ready { interpreter, user })
    }

    /// Sets up every instance, then lets all go, or ends all.
    pub(super) fn start(
        &self,
        spec: &LaunchSpec,
        ready: Ready,
    ) -> Result<(Vec<Instance>, Option<UidLease>), LaunchError> {
        let uid = ready.user.as_ref().map(UidLease::uid);
        let count = spec.instances.len() as u64;
        let mut waiting = Vec::new();
        for (host, mounts) in &spec.instances {
            let name = format!("{}-{}", spec.id, host.number());
            let group = self
                .cgroups
                .create(&name, &spec.limits)
                .map_err(system("make a control group"))?;
            let plan = self.plan(spec, host, mounts, &ready.interpreter);
            let held = self.hold(&plan, uid, &spec.limits, count)?;
            group
                .add(held.first_id)
                .map_err(system("put a process into its group"))?;
            waiting.push((held, group, host));
        }
        let mut instances = Vec::new();
        for (mut held, group, host) in waiting {
            held.release().map_err(system("release a sandbox"))?;
            let watched = self.watches_memory().then_some(spec.limits.memory_bytes);
            let instance = Instance::new(held, group, self.sink(spec, host), watched)
                .map_err(system("follow a sandbox"))?;
            instances.push(instance);
        }
        Ok((instances, ready.user))
    }

    pub(super) fn sink(&self, spec: &LaunchSpec, host: &HostName) -> Sink {
        Sink {
            host: host.clone(),
            log: Arc::clone(&spec.log),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Runs the self-test's script in a sandbox.
    pub(super) fn self_test(&self) -> SelfTest {
        let checks = match self
            .run_script()
            .and_then(|output| self_test::read(&output))
        {
            Ok(checks) => checks,
            Err(LaunchError::Isolation(complaint)) => {
                return SelfTest {
                    isolation: Isolation::None(complaint),
                    checks: Vec::new(),
                };
            }
            Err(error) => {
                let isolation = Isolation::None(bubblewrap::advice(&error.to_string()));
                return SelfTest {
                    isolation,
                    checks: Vec::new(),
                };
            }
        };
        SelfTest {
            isolation: self_test::verdict(&checks, self.weaknesses()),
            checks,
        }
    }

    fn run_script(&self) -> Result<String, LaunchError> {
        let user = self.lend_user()?;
        let words = ["/bin/sh", "-c", self_test::SCRIPT].map(str::to_owned);
        let plan = InstancePlan {
            host: &HostName::numbered(1),
            environment: Path::new("/usr"),
            interpreter: &Interpreter::default(),
            system: &self.system,
            mounts: &[],
            command: &Command::Program(words.into()),
            variables: &[],
            working_directory: "/",
            memory_bytes: TEST_LIMITS.memory_bytes,
            network: &Network::None,
        };
        let uid = user.as_ref().map(UidLease::uid);
        let mut held = self
            .hold(&plan, uid, &TEST_LIMITS, 1)
            .map_err(|error| match error {
                LaunchError::Isolation(said) => LaunchError::Isolation(bubblewrap::advice(&said)),
                other @ (LaunchError::UnknownImage { .. }
                | LaunchError::Build { .. }
                | LaunchError::Refused(_)
                | LaunchError::System { .. }) => other,
            })?;
        held.release().map_err(system("release a sandbox"))?;
        let mut output = String::new();
        if let Some(mut pipe) = held.output.take() {
            pipe.read_to_string(&mut output)
                .map_err(system("read from a sandbox"))?;
        }
        Ok(output)
    }

    fn hold(
        &self,
        plan: &InstancePlan<'_>,
        uid: Option<u32>,
        limits: &Limits,
        instances: u64,
    ) -> Result<Held, LaunchError> {
        let bubblewrap = self
            .bubblewrap
            .as_ref()
            .map_err(|why| LaunchError::Isolation(why.clone()))?;
        let call = arguments::invocation(plan);
        let resources = self.resources(limits, uid.is_some(), instances);
        let held = spawn::hold(&self.spawner, &bubblewrap.path, &call, uid, resources)?;
        if uid.is_none() && !self.groups(Controller::Pids) && self.counts_per_namespace {
            limit_processes(held.first_id, limits).map_err(system("limit processes"))?;
        }
        Ok(held)
    }

    fn resources(&self, limits: &Limits, own_user: bool, instances: u64) -> ResourceLimits {
        let mut resources = vec![
            (Resource::Core, 0),
            (Resource::Nofile, u64::from(limits.open_files)),
            (Resource::Fsize, limits.file_bytes),
        ];
        if own_user && !self.groups(Controller::Pids) {
            let each = u64::from(limits.processes) + OWN_PROCESSES;
            resources.push((Resource::Nproc, each * instances));
        }
        if self.watches_memory() {
            let reserve = limits
                .memory_bytes
                .saturating_mul(2)
                .saturating_add(RESERVE_BYTES);
            resources.push((Resource::Data, reserve));
        }
        resources
    }

    fn plan<'a>(
        &'a self,
        spec: &'a LaunchSpec,
        host: &'a HostName,
        mounts: &'a [Mount],
        interpreter: &'a Interpreter,
    ) -> InstancePlan<'a> {
        InstancePlan {
            host,
            environment: &spec.environment.path,
            interpreter,
            system: &self.system,
            mounts,
            command: &spec.command,
            variables: &spec.variables,
            working_directory: &spec.working_directory,
            memory_bytes: spec.limits.memory_bytes,
            network: &spec.network,
        }
    }

    fn lend_user(&self) -> Result<Option<UidLease>, LaunchError> {
        let Some(pool) = &self.uids else {
            return Ok(None);
        };
        let lease = pool.lend();
        lease
            .map(Some)
            .ok_or_else(|| LaunchError::Refused("all user ids for jobs are in use".into()))
    }

    fn groups(&self, controller: Controller) -> bool {
        self.cgroups.version(controller).is_some()
    }

    fn watches_memory(&self) -> bool {
        !self.groups(Controller::Memory)
    }

    /// What is weaker here than it could be.
    fn weaknesses(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.uids.is_none() {
            found.push(
                "the server is not root, so all jobs run as its own user and are kept apart by \
                 namespaces alone"
                    .into(),
            );
        }
        if self.watches_memory() {
            found.push(
                "no control group is available, so memory is watched rather than capped".into(),
            );
        }
        if !self.groups(Controller::Cpu) {
            found.push("processor time is not limited".into());
        }
        found
    }

    pub(super) fn launcher_in_words(&self) -> String {
        match &self.bubblewrap {
            Ok(found) => format!(
                "launcher: sandbox (bubblewrap {}; own user, process, IPC, host name, network \
                 and mount namespaces; system call filter)",
                found.version
            ),
            Err(why) => format!("launcher: sandbox, unusable: {why}"),
        }
    }

    pub(super) fn limits_in_words(&self, limits: &Limits) -> String {
        let by = |controller, otherwise| match self.cgroups.version(controller) {
            Some(Version::One) => "by cgroup v1",
            Some(Version::Two) => "by cgroup v2",
            None => otherwise,
        };
        let counted = self.uids.is_some() || self.counts_per_namespace;
        let processes = if counted { "by rlimit" } else { "not enforced" };
        format!(
            "limits: memory {} MiB {}, {} processes {}, {}.{:03} processors {}, \
             {} open files and {} MiB per file by rlimit",
            limits.memory_bytes >> 20,
            by(Controller::Memory, "by a watchdog every 200 ms"),
            limits.processes,
            by(Controller::Pids, processes),
            limits.cpu_milli / 1000,
            limits.cpu_milli % 1000,
            by(Controller::Cpu, "not enforced"),
            limits.open_files,
            limits.file_bytes >> 20,
        )
    }
}

/// Counts from inside the sandbox's own user namespace, so the user's other processes do not
/// matter.
fn limit_processes(first: u32, limits: &Limits) -> io::Result<()> {
    let most = Some(u64::from(limits.processes) + 1);
    let process = rustix::process::Pid::from_raw(first.cast_signed());
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    rustix::process::prlimit(process, Resource::Nproc, limit)?;
    Ok(())
}

/// bubblewrap makes the directories down to a mount, and none beside it.
fn directory_exists(mounts: &[Mount], inside: &str) -> Result<(), LaunchError> {
    let exists = match check::on_host(mounts, inside) {
        Some(host) => host.is_dir(),
        None => {
            let above = |mount: &Mount| Path::new(&mount.inside).starts_with(inside);
            !Path::new(inside).starts_with(check::JOB_ROOT)
                || inside == check::JOB_ROOT
                || mounts.iter().any(above)
        }
    };
    if exists {
        return Ok(());
    }
    Err(LaunchError::Refused(format!(
        "working directory {inside:?} does not exist"
    )))
}

/// An ordinary server shows what it can reach itself; a job's own user may reach less.
fn reachable(source: &Path, uid: Option<u32>) -> Result<(), LaunchError> {
    let shown = source.display();
    let why = match uid.map(|uid| (uid, ownership::obstacle(source, uid))) {
        Some((_, None)) => return Ok(()),
        Some((uid, Some(obstacle))) => {
            format!("{} is missing or closed to user {uid}", obstacle.display())
        }
        None if source.exists() => return Ok(()),
        None => "it is missing".to_owned(),
    };
    Err(LaunchError::Refused(format!(
        "{shown} cannot be shown to the job: {why}"
    )))
}

/// The first two numbers of the kernel's version.
fn kernel_version() -> Option<(u32, u32)> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut parts = text.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn system(action: &'static str) -> impl Fn(io::Error) -> LaunchError {
    move |source| LaunchError::System { action, source }
}
