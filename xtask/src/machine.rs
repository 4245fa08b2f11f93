//! The machine that a chore runs on: its clock, its environment, its terminal, the checkout.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The top of the checkout: of the one that cargo works in, should several share a target folder.
pub(crate) fn root() -> PathBuf {
    let package = variable("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chore reports how long real steps took"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chore is configured by variables, as make is"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder that `scripts/setup` keeps its work in, by the same rule.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(cache) = variable("SIGHTLINE_CACHE") {
        return Ok(cache.into());
    }
    let home = || variable("HOME").map(|home| Path::new(&home).join(".cache"));
    let caches = variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    Ok(caches
        .context("neither SIGHTLINE_CACHE nor HOME is set")?
        .join("sightline"))
}

/// The interpreter of the client environment.
pub(crate) fn client_python() -> Result<PathBuf> {
    python_of("client")
}

/// The interpreter of the environment that `scripts/setup NAME` makes.
pub(crate) fn python_of(environment: &str) -> Result<PathBuf> {
    let told = Command::new(root().join("scripts/setup"))
        .arg(format!("{environment}-python"))
        .output()?;
    let path = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim());
    if !told.status.success() || !path.exists() {
        bail!("the {environment} environment is missing; run: scripts/setup {environment}");
    }
    Ok(path)
}

/// The server that the workspace builds, by default or where the caller says.
pub(crate) fn binary() -> PathBuf {
    let told = variable("SIGHTLINE_BIN").map(PathBuf::from);
    told.unwrap_or_else(|| target_dir().join("debug/sightline"))
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    let told = variable("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(told.unwrap_or_else(|| "target".into()))
}

/// Whether a person looks at what a chore writes.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person can also answer.
pub(crate) fn can_answer() -> bool {
    is_watched() && io::stdin().is_terminal()
}
