//! The installer: found on this host, or installed once into the cache.

use std::path::{Path, PathBuf};

use sightline_ports::Progress;
use tokio::process::Command;

use super::command;
use super::interpreter::Found;
use super::lock::Lock;
use super::{EnvironmentsConfig, Failure, Workshop, build, lock};

/// What is installed when the host has none.
const VERSION: &str = "0.13.9";

/// The oldest version that knows every option used here.
const OLDEST: (u32, u32) = (0, 5);

impl Workshop {
    /// Makes the installer ready and says where it lies.
    pub(super) async fn uv(
        &self,
        found: &Found,
        progress: &dyn Progress,
    ) -> Result<PathBuf, Failure> {
        if let Some(configured) = &self.config.uv {
            return Ok(configured.clone());
        }
        for path in on_search_path(&self.config) {
            if self.is_recent_enough(&path).await {
                return Ok(path);
            }
        }
        let directory = self
            .config
            .cache
            .join("tools")
            .join(format!("uv-{VERSION}"));
        let program = directory.join("bin/uv");
        if program.is_file() {
            return Ok(program);
        }
        if self.config.offline {
            return Err(Failure::NoInstallerOffline);
        }
        let locks = self.lock_path("uv");
        let on_wait = || progress.step("waiting for another server that installs uv");
        let held = lock::acquire(&locks, self.config.build_timeout, &*self.clock, &on_wait)
            .await
            .map_err(|source| Failure::System {
                action: "lock the cache",
                source,
            })?;
        // Whoever held the lock before may have done the work.
        if !program.is_file() {
            progress.step(&format!("installing uv {VERSION} into the cache (once)"));
            self.install_uv(&directory, &held, found).await?;
        }
        Ok(program)
    }

    async fn is_recent_enough(&self, program: &Path) -> bool {
        let mut command = Command::new(program);
        command.arg("--version").env_clear();
        match self.run(command, &|_| ()).await {
            Ok(printed) => version_in(&printed).is_some_and(|version| version >= OLDEST),
            Err(reason) => {
                tracing::debug!(program = %program.display(), %reason, "uv passed over");
                false
            }
        }
    }

    async fn install_uv(
        &self,
        directory: &Path,
        held: &Lock,
        found: &Found,
    ) -> Result<(), Failure> {
        let python = found.any().ok_or(Failure::NoInterpreter)?;
        let mut ask = Command::new(&python.path);
        ask.args(["-I", "-c", "import ensurepip, venv"]).env_clear();
        if let Err(command::Failed::Status { .. }) = self.run(ask, &|_| ()).await {
            return Err(Failure::NoVenv {
                python: python.path.clone(),
            });
        }
        let share = |source| Failure::System {
            action: "share the lock",
            source,
        };
        let tools = self.config.cache.join("tools");
        let made = build::beside(&tools, "installing-uv-").await?;
        let venv = made.path().join("venv");
        let mut make = Command::new(&python.path);
        make.args(["-I", "-m", "venv"]).arg(&venv);
        self.builder_variables(&mut make);
        held.share(&mut make).map_err(share)?;
        self.run(make, &|_| ()).await?;
        let mut install = Command::new(venv.join("bin/python3"));
        install.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        install.args(["--only-binary", ":all:", &format!("uv=={VERSION}")]);
        self.builder_variables(&mut install);
        held.share(&mut install).map_err(share)?;
        self.run(install, &|_| ()).await?;
        // `uv` is one native program, which does not mind that the directory around it moves.
        let directory = directory.to_owned();
        build::blocking("put uv in its place", move || {
            build::replace(&venv, &directory)
        })
        .await
    }
}

fn on_search_path(config: &EnvironmentsConfig) -> Vec<PathBuf> {
    let directories = config.search_path.iter().flat_map(std::env::split_paths);
    directories
        .map(|at| at.join("uv"))
        .filter(|at| at.is_absolute() && at.is_file())
        .collect()
}

/// Reads `uv 0.13.9 (…)`.
fn version_in(printed: &str) -> Option<(u32, u32)> {
    let version = printed.strip_prefix("uv ")?.split_whitespace().next()?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_uv_prints() {
        assert_eq!(
            version_in("uv 0.13.9 (x86_64-unknown-linux-gnu)\n"),
            Some((0, 13))
        );
        assert_eq!(version_in("uv 1.0.0\n"), Some((1, 0)));
        assert_eq!(version_in("uvula 9.9\n"), None);
        assert_eq!(version_in(""), None);
    }
}
