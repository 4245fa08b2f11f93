//! What an environment's interpreter needs beside the environment itself.
//!
//! A virtual environment is not whole: its `bin/python3` is a link to an interpreter elsewhere,
//! whose library it uses, and both are named by absolute paths. The sandbox shows that
//! installation read-only under the same path, and nothing around it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use sightline_ports::LaunchError;

/// A chain of links longer than this is a loop.
const LINKS_MAX: usize = 16;

/// What must appear in the sandbox for the interpreter to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// Installations to show read-only: where each lies, and the path it must have inside.
    pub(super) installations: Vec<(PathBuf, PathBuf)>,
    /// Links on the way to them: path inside, and target.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

/// Follows `bin/python3` of the environment at `environment` to its installation.
pub(super) fn locate(environment: &Path) -> Result<Interpreter, LaunchError> {
    let mut found = Interpreter::default();
    let mut at = environment.join("bin/python3");
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&at) else {
            found.add_installation(environment, &at)?;
            if let Some(home) = home_of(environment) {
                found.add_installation(environment, &home.join("python3"))?;
            }
            return Ok(found);
        };
        let next = normal(&at.parent().unwrap_or(Path::new("/")).join(&target));
        if !in_view(environment, &at) {
            found.links.push((at, target));
        }
        at = next;
    }
    Err(refused(environment, "its bin/python3 is a loop of links"))
}

impl Interpreter {
    /// Adds the installation to which `program` (`<installation>/bin/<name>`) belongs.
    fn add_installation(&mut self, environment: &Path, program: &Path) -> Result<(), LaunchError> {
        if in_view(environment, program) {
            return Ok(());
        }
        let Some(inside) = program.parent().and_then(Path::parent) else {
            return Err(refused(environment, "its interpreter lies in no directory"));
        };
        let host = fs::canonicalize(inside).map_err(|source| LaunchError::System {
            action: "find the interpreter",
            source,
        })?;
        // Without this check, ~/bin/python3 would show the whole home directory to jobs.
        if !is_installation(&host) {
            let text = format!("{} is not a Python installation of its own", host.display());
            return Err(refused(environment, &text));
        }
        let entries = [(host.clone(), host.clone()), (host, inside.to_path_buf())];
        for entry in entries {
            if !self.installations.contains(&entry) && !in_view(environment, &entry.1) {
                self.installations.push(entry);
            }
        }
        Ok(())
    }
}

/// Whether the sandbox shows `path` anyway.
fn in_view(environment: &Path, path: &Path) -> bool {
    let system = ["/usr", "/bin", "/lib", "/lib64"];
    path.starts_with(environment) || system.iter().any(|root| path.starts_with(root))
}

/// Whether a standard library lies below `root`.
fn is_installation(root: &Path) -> bool {
    ["lib", "lib64"].iter().any(|lib| {
        let Ok(entries) = fs::read_dir(root.join(lib)) else {
            return false;
        };
        entries.flatten().any(|entry| {
            let named = entry.file_name().to_string_lossy().starts_with("python3");
            named && entry.path().join("os.py").is_file()
        })
    })
}

/// The directory that `pyvenv.cfg` names as the interpreter's own.
fn home_of(environment: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
    let home = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    })?;
    home.is_absolute().then(|| normal(&home))
}

/// Removes `.` and `..` by the text alone, as a link's target is read relative to its place.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

fn refused(environment: &Path, what: &str) -> LaunchError {
    LaunchError::Refused(format!(
        "environment {} cannot be used: {what}",
        environment.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn installation(root: &Path) {
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("lib/python3.11")).unwrap();
        fs::write(root.join("lib/python3.11/os.py"), "").unwrap();
        fs::write(root.join("bin/python3.11"), "").unwrap();
    }

    fn environment(root: &Path, target: &Path) -> PathBuf {
        let path = root.join("env");
        fs::create_dir_all(path.join("bin")).unwrap();
        symlink(target, path.join("bin/python")).unwrap();
        symlink("python", path.join("bin/python3")).unwrap();
        path
    }

    #[test]
    fn an_interpreter_of_the_system_needs_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let environment = environment(dir.path(), Path::new("/usr/bin/python3.11"));
        assert_eq!(locate(&environment).unwrap(), Interpreter::default());
    }

    #[test]
    fn an_installation_elsewhere_is_shown_where_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let python = root.join("python");
        installation(&python);
        let environment = environment(&root, &python.join("bin/python3.11"));
        let found = locate(&environment).unwrap();
        assert_eq!(found.installations, [(python.clone(), python)]);
        assert_eq!(found.links, []);
    }

    #[test]
    fn links_on_the_way_are_made_again_without_what_lies_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let python = root.join("python-3.11.7");
        installation(&python);
        symlink("python-3.11.7", root.join("python-3.11")).unwrap();
        fs::create_dir_all(root.join("home/bin")).unwrap();
        fs::write(root.join("home/secret"), "").unwrap();
        let link = root.join("home/bin/python3");
        symlink("../../python-3.11/bin/python3.11", &link).unwrap();
        let environment = environment(&root, &link);
        let found = locate(&environment).unwrap();
        let short = root.join("python-3.11");
        assert_eq!(
            found.installations,
            [(python.clone(), python.clone()), (python, short)]
        );
        assert_eq!(
            found.links,
            [(link, PathBuf::from("../../python-3.11/bin/python3.11"))]
        );
    }

    #[test]
    fn a_program_that_lies_among_other_things_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/python3.11"), "").unwrap();
        let environment = environment(dir.path(), &dir.path().join("bin/python3.11"));
        let error = locate(&environment).unwrap_err().to_string();
        assert!(
            error.contains("not a Python installation of its own"),
            "{error}"
        );
    }
}
