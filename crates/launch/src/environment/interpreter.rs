//! The Python interpreters of this host that jobs can use.
//!
//! Configured ones come first, then those of the system. Whatever else lies on the host is left
//! alone: an old interpreter that happens to be there may vanish with its owner's next upgrade.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sightline_ports::Clock;
use tokio::process::Command;

use super::command;
use super::recipe::{EnvironmentRecipe, Python};

/// Starting an interpreter takes a fraction of a second; a version manager's shim, a little more.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// Prints what is needed to know about an interpreter, one fact for each line.
///
/// `_base_executable` leads out of a virtual environment, and `realpath` out of links, so that
/// the environment does not depend on either.
const PROBE: &str = "\
import os, platform, sys, sysconfig
print(sys.implementation.name)
print(platform.python_version())
print(os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable))
print(os.path.dirname(os.path.realpath(os.__file__)))
print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)
";

/// An interpreter that environments can be built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The program itself, with no link on the way.
    pub(super) path: PathBuf,
    /// Its whole version, such as `3.11.2`.
    pub(super) version: String,
    /// Its minor version.
    pub(super) python: Python,
}

/// Where to look for interpreters.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// Programs that the operator named.
    pub(super) configured: Vec<PathBuf>,
    /// Directories of the system.
    pub(super) directories: Vec<PathBuf>,
    /// The operator's own `PATH`, searched for `python3` unless jobs run as other users.
    pub(super) path: Option<OsString>,
    /// The operator's home directory, which version managers need.
    pub(super) home: Option<PathBuf>,
    /// Whether jobs run as users that may read only what everyone may.
    pub(super) jobs_are_other_users: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) configured: Vec<Interpreter>,
    pub(super) system: Vec<Interpreter>,
}

/// Why a program cannot serve as an interpreter.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Failed(#[from] command::Failed),
    #[error("it answers as no interpreter does")]
    Silent,
    #[error("it is {0}, and wheels are made for CPython with its global lock")]
    Kind(String),
    #[error("the users that jobs run as cannot read {}", .0.display())]
    Hidden(PathBuf),
}

/// A configured interpreter that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the configured interpreter {} cannot be used: {reason}", path.display())]
pub(super) struct BadChoice {
    path: PathBuf,
    reason: Unusable,
}

/// Finds the interpreters of this host. A configured one must be usable; others are passed over.
pub(super) async fn find(search: &Search, clock: &dyn Clock) -> Result<Found, BadChoice> {
    let mut found = Found::default();
    for path in &search.configured {
        match probe(path, search, clock).await {
            Ok(interpreter) => found.configured.push(interpreter),
            Err(reason) => {
                return Err(BadChoice {
                    path: path.clone(),
                    reason,
                });
            }
        }
    }
    let mut seen = BTreeSet::new();
    for path in system_programs(search) {
        // Several names of one program are started once only.
        if !seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
            continue;
        }
        match probe(&path, search, clock).await {
            Ok(interpreter) if !found.system.contains(&interpreter) => {
                found.system.push(interpreter);
            }
            Ok(_) => {}
            Err(reason) => {
                tracing::debug!(path = %path.display(), %reason, "interpreter passed over");
            }
        }
    }
    Ok(found)
}

/// The nearest of `candidates` that an interpreter can carry.
///
/// Among configured interpreters the recipe's order decides, because someone chose to have them.
/// Without one, the system's own `python3` decides, so that the choice does not change when an
/// unrelated interpreter appears on the host.
pub(super) fn choose<'a>(
    candidates: &[&'a EnvironmentRecipe],
    found: &Found,
) -> Option<(&'a EnvironmentRecipe, Interpreter)> {
    for recipe in candidates {
        if let Some(interpreter) = found
            .configured
            .iter()
            .find(|one| one.python == recipe.python)
        {
            return Some((recipe, interpreter.clone()));
        }
    }
    for interpreter in &found.system {
        if let Some(recipe) = candidates
            .iter()
            .find(|one| one.python == interpreter.python)
        {
            return Some((recipe, interpreter.clone()));
        }
    }
    None
}

impl Found {
    /// The interpreter that runs tools, whatever its version.
    pub(super) fn any(&self) -> Option<&Interpreter> {
        self.system.first().or(self.configured.first())
    }

    /// The versions found, for messages.
    pub(super) fn versions(&self) -> String {
        let all: Vec<_> = self
            .configured
            .iter()
            .chain(&self.system)
            .map(|one| &*one.version)
            .collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        }
    }
}

#[cfg(test)]
impl Interpreter {
    /// An interpreter that need not exist.
    pub(super) fn for_tests(path: &str, version: &str) -> Self {
        let python = minor_of(version).unwrap();
        Self {
            path: PathBuf::from(path),
            version: version.to_owned(),
            python,
        }
    }
}

/// Programs to try, the system's default first, then other versions, the newest first.
fn system_programs(search: &Search) -> Vec<PathBuf> {
    let mut defaults: Vec<PathBuf> = Vec::new();
    let mut versioned: Vec<(u32, PathBuf)> = Vec::new();
    for directory in &search.directories {
        defaults.push(directory.join("python3"));
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if let Some(minor) = minor_in_name(&entry.file_name()) {
                versioned.push((minor, entry.path()));
            }
        }
    }
    if let (false, Some(path)) = (search.jobs_are_other_users, &search.path) {
        defaults.extend(std::env::split_paths(path).map(|directory| directory.join("python3")));
    }
    // The sort is stable: of one version, the earlier directory stays first.
    versioned.sort_by_key(|(minor, _)| std::cmp::Reverse(*minor));
    defaults.retain(|path| path.is_absolute() && path.exists());
    defaults
        .into_iter()
        .chain(versioned.into_iter().map(|(_, path)| path))
        .collect()
}

/// The minor version in a name like `python3.11`.
fn minor_in_name(name: &OsStr) -> Option<u32> {
    name.to_str()?.strip_prefix("python3.")?.parse().ok()
}

async fn probe(path: &Path, search: &Search, clock: &dyn Clock) -> Result<Interpreter, Unusable> {
    let mut command = Command::new(path);
    // -I keeps the user's own site-packages and PYTHON* variables out of the answer.
    command.args(["-I", "-c", PROBE]).env_clear();
    if let Some(path) = &search.path {
        command.env("PATH", path);
    }
    if let Some(home) = &search.home {
        command.env("HOME", home);
    }
    let printed = command::run(command, PROBE_TIMEOUT, clock, &|_| ()).await?;
    let facts = read_facts(&printed)?;
    if search.jobs_are_other_users {
        for needed in [&facts.interpreter.path, &facts.library] {
            check_open_to_all(needed)?;
        }
    }
    Ok(facts.interpreter)
}

struct Facts {
    interpreter: Interpreter,
    library: PathBuf,
}

fn read_facts(printed: &str) -> Result<Facts, Unusable> {
    let lines: Vec<&str> = printed.lines().collect();
    let &[kind, version, path, library, free_threaded] = lines.as_slice() else {
        return Err(Unusable::Silent);
    };
    if kind != "cpython" {
        return Err(Unusable::Kind(kind.to_owned()));
    }
    if free_threaded != "0" {
        return Err(Unusable::Kind(format!("free-threaded {kind}")));
    }
    let python = minor_of(version).ok_or(Unusable::Silent)?;
    let interpreter = Interpreter {
        path: PathBuf::from(path),
        version: version.to_owned(),
        python,
    };
    Ok(Facts {
        interpreter,
        library: PathBuf::from(library),
    })
}

fn minor_of(version: &str) -> Option<Python> {
    let mut parts = version.split('.');
    Some(Python {
        major: parts.next()?.parse().ok()?,
        minor: parts.next()?.parse().ok()?,
    })
}

/// Checks that a user with no rights of its own can read `path`: the sandbox drops to one, and a
/// directory that is closed on the way hides what lies below.
pub(super) fn check_open_to_all(path: &Path) -> Result<(), Unusable> {
    let hidden = |at: &Path| Unusable::Hidden(at.to_path_buf());
    let path = fs::canonicalize(path).map_err(|_| hidden(path))?;
    let readable = |at: &Path, bits: u32| {
        fs::metadata(at).is_ok_and(|found| found.permissions().mode() & bits == bits)
    };
    if !readable(&path, 0o005) {
        return Err(hidden(&path));
    }
    match path
        .ancestors()
        .skip(1)
        .find(|directory| !readable(directory, 0o001))
    {
        Some(directory) => Err(hidden(directory)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use sightline_ports::SystemClock;

    use super::super::recipe::Recipes;
    use super::*;

    /// A program that answers the probe as an interpreter of `version` would.
    fn pretend(path: &Path, kind: &str, version: &str) {
        let at = path.display();
        let library = path.parent().unwrap().display();
        let script = format!("#!/bin/sh\nprintf '%s\\n' {kind} {version} {at} {library} 0\n");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A directory that everyone can read, as far as its parents allow.
    fn open_directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    fn search(root: &Path) -> Search {
        Search {
            configured: Vec::new(),
            directories: vec![root.join("usr"), root.join("local")],
            path: None,
            home: None,
            jobs_are_other_users: true,
        }
    }

    fn versions(found: &[Interpreter]) -> Vec<&str> {
        found.iter().map(|one| &*one.version).collect()
    }

    #[tokio::test]
    async fn the_systems_default_comes_before_newer_ones() {
        let dir = open_directory();
        pretend(&dir.path().join("usr/python3.9"), "cpython", "3.9.2");
        pretend(&dir.path().join("usr/python3.12"), "cpython", "3.12.1");
        pretend(&dir.path().join("local/python3.10"), "cpython", "3.10.4");
        pretend(&dir.path().join("local/python3-config"), "cpython", "3.1.0");
        symlink("python3.9", dir.path().join("usr/python3")).unwrap();
        let found = find(&search(dir.path()), &SystemClock).await.unwrap();
        assert_eq!(versions(&found.system), ["3.9.2", "3.12.1", "3.10.4"]);
    }

    #[tokio::test]
    async fn what_jobs_cannot_read_or_wheels_do_not_fit_is_passed_over() {
        let dir = open_directory();
        pretend(&dir.path().join("usr/python3.12"), "pypy", "3.12.1");
        pretend(&dir.path().join("usr/python3.11"), "cpython", "3.11.2");
        let closed = dir.path().join("local");
        pretend(&closed.join("python3.10"), "cpython", "3.10.4");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let mut search = search(dir.path());
        assert_eq!(
            versions(&find(&search, &SystemClock).await.unwrap().system),
            ["3.11.2"]
        );
        search.jobs_are_other_users = false;
        let found = find(&search, &SystemClock).await.unwrap();
        assert_eq!(versions(&found.system), ["3.11.2", "3.10.4"]);
    }

    #[tokio::test]
    async fn a_configured_interpreter_that_jobs_cannot_read_is_an_error() {
        let dir = open_directory();
        let closed = dir.path().join("home");
        pretend(&closed.join("python3.7"), "cpython", "3.7.16");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let mut search = search(dir.path());
        search.configured = vec![closed.join("python3.7")];
        let error = find(&search, &SystemClock).await.unwrap_err().to_string();
        let place = fs::canonicalize(&closed).unwrap();
        assert!(
            error.contains(&format!("cannot read {}", place.display())),
            "{error}"
        );
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
        let found = find(&search, &SystemClock).await;
        assert!(found.is_err(), "the library's directory cannot be listed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            versions(&find(&search, &SystemClock).await.unwrap().configured),
            ["3.7.16"]
        );
    }

    #[tokio::test]
    async fn the_operators_path_counts_only_when_jobs_run_as_the_operator() {
        let dir = open_directory();
        pretend(&dir.path().join("bin/python3"), "cpython", "3.13.0");
        let mut search = search(dir.path());
        search.path = Some(OsString::from(format!(
            "relative:{}/bin:/usr/bin:/bin",
            dir.path().display()
        )));
        assert_eq!(find(&search, &SystemClock).await.unwrap().system, []);
        search.jobs_are_other_users = false;
        let found = find(&search, &SystemClock).await.unwrap();
        assert_eq!(
            found.system.first().map(|one| &*one.version),
            Some("3.13.0")
        );
    }

    #[tokio::test]
    async fn a_real_interpreter_in_a_virtual_environment_leads_to_its_base() {
        let dir = open_directory();
        let mut search = search(dir.path());
        search.directories = vec![PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")];
        let found = find(&search, &SystemClock).await.unwrap();
        let system = found.any().unwrap().clone();
        assert_eq!(fs::canonicalize(&system.path).unwrap(), system.path);
        fs::create_dir_all(dir.path().join("venv/bin")).unwrap();
        let home = system.path.parent().unwrap().display();
        fs::write(
            dir.path().join("venv/pyvenv.cfg"),
            format!("home = {home}\n"),
        )
        .unwrap();
        let link = dir.path().join("venv/bin/python3");
        symlink(&system.path, &link).unwrap();
        assert_eq!(probe(&link, &search, &SystemClock).await.unwrap(), system);
    }

    #[test]
    fn a_configured_interpreter_decides_and_else_the_systems_default() {
        let recipes = Recipes::embedded().unwrap();
        let image = "sagemaker-scikit-learn:0.20.0-cpu-py3".parse().unwrap();
        let candidates = recipes.candidates(recipes.image(&image).unwrap(), "x86_64");
        let python = |version: &str| Interpreter::for_tests("/usr/bin/python3", version);
        let check = |configured: &[&str], system: &[&str], expected: Option<&str>| {
            let found = Found {
                configured: configured.iter().map(|version| python(version)).collect(),
                system: system.iter().map(|version| python(version)).collect(),
            };
            let chosen = choose(&candidates, &found).map(|(recipe, _)| &*recipe.name);
            assert_eq!(chosen, expected, "{configured:?} {system:?}");
        };
        check(
            &[],
            &["3.11.2", "3.12.1", "3.9.2"],
            Some("scikit-learn-1.4.2-py3.11"),
        );
        check(&[], &["3.6.1", "3.12.1"], Some("scikit-learn-1.4.2-py3.12"));
        check(
            &["3.9.2", "3.7.16"],
            &["3.11.2"],
            Some("scikit-learn-0.20.0-py3.7"),
        );
        check(&["3.6.15"], &["3.11.2"], Some("scikit-learn-1.4.2-py3.11"));
        check(&["3.6.15"], &["3.5.0"], None);
        check(&[], &[], None);
    }
}
