//! A launcher with an environment made of the system's Python, and a place for a job's files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use sightline_launch::{Environments, EnvironmentsConfig, Recipes, SandboxConfig, SandboxLauncher};
use sightline_ports::{
    Command, Environment, HostName, InstanceLog, InstanceReport, LaunchSpec, Launcher as _, Limits,
    Mount, Network, SystemClock,
};
use sightline_types::Timestamp;
use tempfile::TempDir;

pub(crate) const PROBES: &str = include_str!("probes.py");
const PYTHON: &str = "/usr/bin/python3";

/// Everything that a test needs to run programs in sandboxes.
pub(crate) struct Rig {
    pub(crate) launcher: SandboxLauncher,
    root: PathBuf,
    /// Removes the root in the end.
    _guard: Option<TempDir>,
}

/// Keeps the lines of all instances.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<(HostName, String)>>);

/// One attempt of `probes.py`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) attempt: String,
    pub(crate) allowed: bool,
    pub(crate) why: String,
}

#[async_trait]
impl InstanceLog for Lines {
    async fn line(&self, host: &HostName, _at: Timestamp, text: String) {
        self.0.lock().unwrap().push((host.clone(), text));
    }
}

impl Lines {
    /// What the first instance printed itself.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.of(1)
            .into_iter()
            .filter(|line| !line.starts_with("[sightline]"))
            .collect()
    }

    pub(crate) fn of(&self, number: u32) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let own = lines.iter().filter(|(host, _)| host.number() == number);
        own.map(|(_, text)| text.clone()).collect()
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let guard = open_directory();
        let root = guard.path().to_path_buf();
        Self::with(root, Some(guard))
    }

    /// A rig whose files somebody else will remove.
    pub(crate) fn at(root: &Path) -> Self {
        Self::with(root.to_path_buf(), None)
    }

    fn with(root: PathBuf, guard: Option<TempDir>) -> Self {
        let rig = Self {
            launcher: launcher(),
            root,
            _guard: guard,
        };
        for name in ["job", "job/output", "input", "private", "env/bin"] {
            fs::create_dir_all(rig.path(name)).unwrap();
        }
        fs::set_permissions(rig.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(rig.path("private/database"), "secret").unwrap();
        fs::write(rig.path("input/data.csv"), "1,2\n").unwrap();
        fs::write(rig.path("input/probes.py"), PROBES).unwrap();
        symlink(PYTHON, rig.path("env/bin/python3")).unwrap();
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A job with one instance that runs `words`; its lines go to the second value.
    pub(crate) fn spec(&self, words: &[&str]) -> (LaunchSpec, Arc<Lines>) {
        let lines = Arc::new(Lines::default());
        let mount = |name: &str, inside: &str, writable| Mount {
            host: self.path(name),
            inside: inside.into(),
            writable,
        };
        let spec = LaunchSpec {
            id: "test-job".into(),
            environment: self.environment(),
            command: Command::Program(words.iter().map(|&word| word.into()).collect()),
            instances: vec![(
                HostName::numbered(1),
                vec![
                    mount("job", "/opt/ml", true),
                    mount("input", "/opt/ml/input", false),
                ],
            )],
            variables: vec![("GIVEN".into(), "value".into())],
            working_directory: "/opt/ml".into(),
            limits: generous(),
            network: Network::None,
            log: Arc::clone(&lines) as Arc<dyn InstanceLog>,
        };
        (spec, lines)
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment {
            asked: "example/image:1".into(),
            name: "system-python".into(),
            digest: "0123456789abcdef".into(),
            interpreter: "CPython of the system".into(),
            packages: Vec::new(),
            substitutions: vec!["it is the system's Python".into()],
            variables: Vec::new(),
            path: self.path("env"),
        }
    }

    pub(crate) async fn run_spec(&self, spec: LaunchSpec) -> InstanceReport {
        let mut job = self.launcher.start(spec).await.unwrap();
        let report = job.next_exit().await.unwrap();
        assert_eq!(job.next_exit().await, None);
        report
    }

    pub(crate) async fn run(&self, words: &[&str]) -> (InstanceReport, Arc<Lines>) {
        let (spec, lines) = self.spec(words);
        (self.run_spec(spec).await, lines)
    }

    /// Runs a group of `probes.py` in a sandbox.
    pub(crate) async fn attempts(&self, group: &[&str]) -> Vec<Attempt> {
        let words = [&["python3", "/opt/ml/input/probes.py"], group].concat();
        let (_, lines) = self.run(&words).await;
        attempts_in(&lines.printed())
    }

    /// Runs the same outside of any sandbox.
    pub(crate) fn attempts_outside(&self, group: &[&str]) -> Vec<Attempt> {
        let output = process::Command::new(PYTHON)
            .arg(self.path("input/probes.py"))
            .args(group)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        attempts_in(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }
}

/// A launcher for this host.
pub(crate) fn launcher() -> SandboxLauncher {
    launcher_with(SandboxConfig::new(Arc::new(SystemClock)))
}

/// Tests of the sandbox lay out their environment themselves, so these are never built.
pub(crate) fn launcher_with(config: SandboxConfig) -> SandboxLauncher {
    let environments = EnvironmentsConfig {
        cache: PathBuf::from("/nonexistent/environments"),
        pythons: Vec::new(),
        search_path: None,
        home: None,
        uv: None,
        offline: true,
        strict: false,
        jobs_are_other_users: SandboxLauncher::jobs_are_other_users(),
        variables: Vec::new(),
        build_timeout: Duration::from_secs(60),
        recipes: Recipes::embedded().unwrap(),
    };
    let environments = Environments::new(environments, Arc::new(SystemClock));
    SandboxLauncher::new(config, environments).unwrap()
}

pub(crate) fn generous() -> Limits {
    Limits {
        memory_bytes: 512 << 20,
        cpu_milli: 2000,
        processes: 128,
        open_files: 256,
        file_bytes: 64 << 20,
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A new directory that every user can enter.
pub(crate) fn open_directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("sightline-")
        .tempdir_in("/tmp")
        .unwrap();
    open_to_all(directory.path());
    directory
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Reads the attempts; fails unless the program came to its end, so that a probe that crashed
/// does not pass for one that was prevented.
fn attempts_in(lines: &[String]) -> Vec<Attempt> {
    let (last, attempts) = lines.split_last().expect("the probes printed something");
    assert_eq!(last, "end of probes", "{lines:#?}");
    let attempts: Vec<Attempt> = attempts
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!attempts.is_empty());
    attempts
}

/// Fails if any of `attempts` succeeded.
pub(crate) fn assert_prevented(attempts: &[Attempt]) {
    let allowed: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.allowed).collect();
    assert!(allowed.is_empty(), "allowed inside: {allowed:#?}");
}

/// Fails unless each of `names` was attempted and succeeded: a probe that never succeeds
/// anywhere shows nothing.
pub(crate) fn assert_allowed(attempts: &[Attempt], names: &[&str]) {
    for name in names {
        let found = attempts.iter().find(|attempt| attempt.attempt == *name);
        assert!(
            found.is_some_and(|attempt| attempt.allowed),
            "{name} outside: {found:?}"
        );
    }
}
