//! Where things are when nothing else is said. The one module that reads the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use sightline_launch::passes_to_installer;

/// Where root's servers stage jobs: jobs run as other users, which root's home keeps out.
const ROOT_JOBS: &str = "/var/lib/sightline/jobs";

/// Where root's servers keep environments, for the same reason.
const ROOT_CACHE: &str = "/var/cache/sightline";

/// The option that nearly every command has.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataDirOption {
    /// Where the server keeps its data [variable: SIGHTLINE_DATA_DIR] [default: ~/.local/share/sightline].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// The variables that name the data directory, the stronger one first.
const DATA_DIR_VARIABLES: [&str; 2] = ["SIGHTLINE_SERVER_DATA_DIR", "SIGHTLINE_DATA_DIR"];

impl DataDirOption {
    /// The directory given, or the default one.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let told = DATA_DIR_VARIABLES.into_iter().find_map(variable);
        let given = self.data_dir.clone().or_else(|| told.map(PathBuf::from));
        if let Some(given) = given {
            return Ok(std::path::absolute(given)?);
        }
        let base = match variable("XDG_DATA_HOME").filter(|path| Path::new(path).is_absolute()) {
            Some(base) => PathBuf::from(base),
            None => home()
                .context("there is no HOME; give --data-dir")?
                .join(".local/share"),
        };
        Ok(base.join("sightline"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the environment is read"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The names of all variables that are UTF-8.
pub(crate) fn variable_names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

/// The variables that may be the configuration's; a value that is not UTF-8 is refused.
pub(crate) fn configuration_variables() -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for name in variable_names().filter(|name| name.starts_with("SIGHTLINE_")) {
        let Some(value) = variable(&name) else {
            continue;
        };
        let Ok(value) = value.into_string() else {
            bail!("the variable {name} is not UTF-8");
        };
        variables.push((name, value));
    }
    Ok(variables)
}

pub(crate) fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

/// The variables that the installer of packages may see.
pub(crate) fn installer_variables() -> Vec<(OsString, OsString)> {
    let passes = |name: &OsString| name.to_str().is_some_and(passes_to_installer);
    std::env::vars_os()
        .filter(|(name, _)| passes(name))
        .collect()
}

/// The text of the operator's recipes; empty if there are none.
pub(crate) fn recipes(file: Option<&Path>) -> Result<String> {
    let Some(file) = file else {
        return Ok(String::new());
    };
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Where environments are kept.
pub(crate) fn cache_dir(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(std::path::absolute(given)?);
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(ROOT_CACHE));
    }
    let base = match variable("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute()) {
        Some(base) => PathBuf::from(base),
        None => home()
            .context("there is no HOME; give --cache-dir")?
            .join(".cache"),
    };
    Ok(base.join("sightline"))
}

/// Where jobs are staged. One data directory has one such place, which no other has.
pub(crate) fn jobs_dir(given: Option<&Path>, data_dir: &Path) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(std::path::absolute(given)?);
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(data_dir.join("jobs"));
    }
    let name = data_dir.to_string_lossy();
    let digest = sightline_wire::sigv4::sha256(name.as_bytes()).to_string();
    Ok(Path::new(ROOT_JOBS).join(digest.get(..16).unwrap_or(&digest)))
}
