//! Checks of a launch specification before anything of it reaches bubblewrap.
//!
//! Names and paths come from users. A name that could be read as an option, a path that leaves
//! `/opt/ml` and a text that ends an argument early are refused here, once.

use std::path::{Path, PathBuf};

use sightline_ports::{Command, LaunchError, LaunchSpec, Mount, Network};

/// Where a job's own files appear.
pub(super) const JOB_ROOT: &str = "/opt/ml";

/// bubblewrap 0.8 takes 9,000 arguments in all.
const VARIABLES_MAX: usize = 1024;
const MOUNTS_MAX: usize = 512;
/// Linux refuses a single argument or variable beyond 128 KiB.
const TEXT_BYTES_MAX: usize = 128 * 1024 - 1;
/// bubblewrap itself is given a dozen descriptors.
const OPEN_FILES_MIN: u32 = 32;
const INSTANCES_MAX: usize = 256;

/// Refuses a specification that is not well formed.
pub(super) fn spec(spec: &LaunchSpec) -> Result<(), LaunchError> {
    job_id(&spec.id)?;
    at_most("instances", spec.instances.len(), INSTANCES_MAX)?;
    if spec.instances.is_empty() {
        return refuse("a job needs at least one instance");
    }
    for (position, (host, mounts)) in spec.instances.iter().enumerate() {
        if u64::from(host.number()) != position as u64 + 1 {
            return refuse("instances must be numbered from one, in order");
        }
        at_most("mounts", mounts.len(), MOUNTS_MAX)?;
        for mount in mounts {
            job_path(&mount.inside)?;
            host_path(&mount.host)?;
        }
    }
    at_most("variables", spec.variables.len(), VARIABLES_MAX)?;
    for (name, value) in &spec.variables {
        variable(name, value)?;
    }
    command(&spec.command)?;
    absolute(&spec.working_directory)?;
    host_path(&spec.environment.path)?;
    match &spec.network {
        Network::None => {}
        Network::Api { socket, .. } => host_path(socket)?,
    }
    let limits = &spec.limits;
    if limits.memory_bytes == 0 || limits.cpu_milli == 0 || limits.processes == 0 {
        return refuse("memory, processor and process limits must be above zero");
    }
    if limits.open_files < OPEN_FILES_MIN {
        return refuse(&format!(
            "an instance needs at least {OPEN_FILES_MIN} open files"
        ));
    }
    Ok(())
}

/// Where the working directory lies on the host, if one of `mounts` shows it.
pub(super) fn on_host(mounts: &[Mount], inside: &str) -> Option<PathBuf> {
    mounts.iter().rev().find_map(|mount| {
        let rest = Path::new(inside).strip_prefix(&mount.inside).ok()?;
        Some(if rest.as_os_str().is_empty() {
            mount.host.clone()
        } else {
            mount.host.join(rest)
        })
    })
}

fn job_id(id: &str) -> Result<(), LaunchError> {
    let chars_ok = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if chars_ok && (1..=64).contains(&id.len()) && !id.starts_with('-') {
        return Ok(());
    }
    refuse(&format!("job id {id:?} is not 1 to 64 of [a-z0-9-]"))
}

/// A path inside must lie at or below `/opt/ml` and be written in its shortest form.
fn job_path(path: &str) -> Result<(), LaunchError> {
    absolute(path)?;
    if Path::new(path).starts_with(JOB_ROOT) {
        return Ok(());
    }
    refuse(&format!("path {path:?} does not lie under {JOB_ROOT}"))
}

fn absolute(path: &str) -> Result<(), LaunchError> {
    let Some(rest) = path.strip_prefix('/') else {
        return refuse(&format!("path {path:?} is not absolute"));
    };
    let plain = rest.is_empty()
        || rest
            .strip_suffix('/')
            .unwrap_or(rest)
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255);
    if plain && path.len() <= 4096 && !path.chars().any(char::is_control) {
        return Ok(());
    }
    refuse(&format!(
        "path {path:?} holds an empty part, `.`, `..` or a control character"
    ))
}

/// The server chose this path; a mistake there must not become another argument.
fn host_path(path: &Path) -> Result<(), LaunchError> {
    let plain = path.is_absolute()
        && !path.as_os_str().as_encoded_bytes().contains(&0)
        && !path.components().any(|part| part.as_os_str() == "..");
    if plain {
        return Ok(());
    }
    refuse(&format!("host path {path:?} is not absolute and plain"))
}

fn variable(name: &str, value: &str) -> Result<(), LaunchError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return refuse(&format!(
            "variable {name:?} has a name or value that cannot be passed on"
        ));
    }
    if TEXT_BYTES_MAX < name.len() + value.len() + 1 {
        return refuse(&format!(
            "variable {name:?} is longer than {TEXT_BYTES_MAX} bytes"
        ));
    }
    Ok(())
}

fn command(command: &Command) -> Result<(), LaunchError> {
    let Command::Program(words) = command else {
        return Ok(());
    };
    if words.first().is_none_or(String::is_empty) {
        return refuse("the command is empty");
    }
    let passable = |word: &String| !word.contains('\0') && word.len() <= TEXT_BYTES_MAX;
    if words.iter().all(passable) {
        return Ok(());
    }
    refuse("a word of the command holds a NUL or is too long")
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), LaunchError> {
    if count <= max {
        return Ok(());
    }
    refuse(&format!("{count} {what} are more than {max}"))
}

fn refuse<T>(text: &str) -> Result<T, LaunchError> {
    Err(LaunchError::Refused(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_stay_below_the_job_root() {
        for path in [
            "/opt/ml",
            "/opt/ml/input/data/a b",
            "/opt/ml/processing/x/",
            "/opt/ml/--ro",
        ] {
            assert!(job_path(path).is_ok(), "{path:?}");
        }
        let bad = [
            "",
            "opt/ml/x",
            "/opt/mlx",
            "/opt/ml/../../etc",
            "/opt/ml/./x",
            "/opt/ml//x",
            "/etc",
            "/opt/ml/x\n--bind",
            "/opt/ml/x\0/etc",
            "/opt/ml/\u{7f}",
            "--bind",
            "/",
            "/opt",
        ];
        for path in bad {
            assert!(job_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn job_ids_cannot_be_options_or_paths() {
        for id in ["a", "train-1", &"x".repeat(64)] {
            assert!(job_id(id).is_ok(), "{id:?}");
        }
        for id in ["", "-x", "a/b", "..", "A", "a\n", "a b", &"x".repeat(65)] {
            assert!(job_id(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn variables_cannot_end_early_or_name_two() {
        assert!(variable("SM_HP_MAX-ITER", "two\nlines=ok").is_ok());
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0--bind")] {
            assert!(variable(name, value).is_err(), "{name:?}");
        }
        assert!(variable("A", &"x".repeat(TEXT_BYTES_MAX)).is_err());
    }

    #[test]
    fn a_path_is_found_in_the_last_mount_that_shows_it() {
        let mount = |host: &str, inside: &str| Mount {
            host: host.into(),
            inside: inside.into(),
            writable: false,
        };
        let mounts = [mount("/w/ml", "/opt/ml"), mount("/w/code", "/opt/ml/code")];
        let at = |inside| on_host(&mounts, inside);
        assert_eq!(at("/opt/ml/code"), Some("/w/code".into()));
        assert_eq!(at("/opt/ml/code/sub"), Some("/w/code/sub".into()));
        assert_eq!(at("/opt/ml/codex"), Some("/w/ml/codex".into()));
        assert_eq!(at("/tmp"), None);
    }
}
