//! A [`Launcher`] whose instances are closures of a test, over real directories.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sightline_ports::{
    Environment, Exit, HostName, InstanceReport, LaunchError, LaunchSpec, Launcher, Mount,
    Progress, RunningJob, Signal,
};
use sightline_types::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

type Eventual<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Script = Arc<dyn Fn(Instance) -> Eventual<Exit> + Send + Sync>;
type Preparation = Box<dyn Fn(String) -> Eventual<Result<(), LaunchError>> + Send + Sync>;

/// Starts scripts in place of programs.
///
/// A script sees what a program would: the mounts, the variables, signals. SIGTERM is only told
/// to it; a kill takes it down at its next step and is reported as 137.
pub struct ScriptedLauncher {
    script: Script,
    preparation: Option<Preparation>,
}

impl fmt::Debug for ScriptedLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedLauncher").finish_non_exhaustive()
    }
}

impl ScriptedLauncher {
    /// A launcher each of whose instances does this and ends so.
    pub fn new<F, Fut>(script: F) -> Self
    where
        F: Fn(Instance) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Exit> + Send + 'static,
    {
        Self {
            script: Arc::new(move |instance| Box::pin(script(instance))),
            preparation: None,
        }
    }

    /// The same, doing this, given the image, before an environment is ready.
    #[must_use]
    pub fn preparing<F, Fut>(self, preparation: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), LaunchError>> + Send + 'static,
    {
        Self {
            preparation: Some(Box::new(move |image| Box::pin(preparation(image)))),
            ..self
        }
    }
}

#[async_trait]
impl Launcher for ScriptedLauncher {
    async fn prepare(
        &self,
        image: &str,
        progress: &dyn Progress,
    ) -> Result<Environment, LaunchError> {
        progress.step("making the scripted environment");
        if let Some(preparation) = &self.preparation {
            preparation(image.to_owned()).await?;
        }
        Ok(Environment {
            asked: image.to_owned(),
            name: "scripted".to_owned(),
            digest: "0".repeat(64),
            interpreter: "a closure".to_owned(),
            packages: vec!["script==1".to_owned()],
            substitutions: vec!["A closure runs instead of the image.".to_owned()],
            path: PathBuf::new(),
            variables: Vec::new(),
        })
    }

    async fn start(&self, spec: LaunchSpec) -> Result<Box<dyn RunningJob>, LaunchError> {
        let signals = watch::Sender::new(None);
        let mut instances = JoinSet::new();
        let spec = Arc::new(spec);
        for (host, mounts) in &spec.instances {
            let notes = Arc::<Mutex<Vec<String>>>::default();
            let instance = Instance {
                host: host.clone(),
                mounts: mounts.clone(),
                spec: Arc::clone(&spec),
                signals: signals.subscribe(),
                notes: Arc::clone(&notes),
            };
            let mut killed = signals.subscribe();
            let (host, script) = (host.clone(), (self.script)(instance));
            instances.spawn(async move {
                let exit = tokio::select! {
                    exit = script => exit,
                    Ok(_) = killed.wait_for(|signal| *signal == Some(Signal::Kill)) => Exit::Code(137),
                };
                let notes = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
                InstanceReport { host, exit, notes }
            });
        }
        Ok(Box::new(ScriptedJob { signals, instances }))
    }

    fn isolation(&self) -> Vec<String> {
        vec!["Scripts are not isolated.".to_owned()]
    }
}

/// The instances of one job; dropping it ends them.
struct ScriptedJob {
    signals: watch::Sender<Option<Signal>>,
    instances: JoinSet<InstanceReport>,
}

#[async_trait]
impl RunningJob for ScriptedJob {
    async fn next_exit(&mut self) -> Option<InstanceReport> {
        match self.instances.join_next().await? {
            Ok(report) => Some(report),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn signal(&mut self, signal: Signal) {
        self.signals.send_replace(Some(signal));
    }
}

/// What a script has in hand: one instance, seen from inside.
#[derive(Clone)]
pub struct Instance {
    host: HostName,
    mounts: Vec<Mount>,
    spec: Arc<LaunchSpec>,
    signals: watch::Receiver<Option<Signal>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instance").field(&self.host).finish()
    }
}

impl Instance {
    /// The number in its name, from one.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.host.number()
    }

    /// What was launched.
    #[must_use]
    pub fn spec(&self) -> &LaunchSpec {
        &self.spec
    }

    /// The value of a variable of the program's environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.spec.variables.iter();
        let found = variables.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the instance may write at a path, and where that path lies on the host.
    ///
    /// A mount within another needs a place to be mounted on; that it is there is asserted.
    #[must_use]
    pub fn resolve(&self, inside: &str) -> (bool, PathBuf) {
        let mut found = None;
        for mount in &self.mounts {
            if let Some((_, place)) = resolve_in(found.as_ref(), &mount.inside) {
                assert!(place.exists(), "nothing to mount {} on", mount.inside);
            }
            if below(inside, &mount.inside).is_some() {
                found = Some(mount.clone());
            }
        }
        resolve_in(found.as_ref(), inside).expect("the path lies below a mount")
    }

    /// Writes a file, making the directories above it.
    pub fn write(&self, inside: &str, bytes: impl AsRef<[u8]>) {
        let (writable, path) = self.resolve(inside);
        assert!(writable, "{inside} is read-only");
        let parent = path.parent().expect("a file has a directory");
        fs::create_dir_all(parent).expect("the directory can be made");
        fs::write(path, bytes).expect("the file can be written");
    }

    /// The text of a file.
    #[must_use]
    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.resolve(inside).1).expect("the file can be read")
    }

    /// The names in a directory, in order.
    #[must_use]
    pub fn list(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.resolve(inside).1).expect("the directory can be read");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.expect("the directory can be read").file_name();
            name.to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Prints a line.
    pub async fn print(&self, at: Timestamp, line: &str) {
        self.spec.log.line(&self.host, at, line.to_owned()).await;
    }

    /// Adds a fact to the report.
    pub fn note(&self, text: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(text.to_owned());
    }

    /// Returns once the instance has been asked to end.
    pub async fn terminated(&mut self) {
        self.signals
            .wait_for(Option::is_some)
            .await
            .expect("the job outlives its instances");
    }
}

fn resolve_in(mount: Option<&Mount>, inside: &str) -> Option<(bool, PathBuf)> {
    let mount = mount?;
    let rest = below(inside, &mount.inside)?;
    Some((mount.writable, mount.host.join(rest)))
}

/// The part of `path` below `parent`, empty for the parent itself.
fn below<'p>(path: &'p str, parent: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(parent.trim_end_matches('/'))?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest),
        None => rest.is_empty().then_some(""),
    }
}
