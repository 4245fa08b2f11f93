//! Builds an environment beside its place and puts it there when it is whole.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sightline_ports::Progress;
use tempfile::TempDir;
use tokio::process::Command;

use super::interpreter::{self, Found, Interpreter};
use super::lock::Lock;
use super::manifest::{self, Manifest};
use super::recipe::EnvironmentRecipe;
use super::{Failure, Workshop, lock};

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) recipe: &'a EnvironmentRecipe,
    pub(super) interpreter: &'a Interpreter,
    pub(super) digest: &'a str,
}

/// The program that installs, and the right to.
#[derive(Debug)]
struct Installer {
    uv: PathBuf,
    held: Lock,
}

impl Workshop {
    /// Builds what `plan` says, unless someone else has done so by the time it is this one's turn.
    pub(super) async fn build(
        &self,
        plan: Plan<'_>,
        found: &Found,
        progress: &dyn Progress,
    ) -> Result<Manifest, Failure> {
        self.make_directories().await?;
        let place = self.place(plan.digest);
        let name = &plan.recipe.name;
        let on_wait = || {
            progress.step(&format!(
                "environment {name} is being built already; waiting for it"
            ))
        };
        let path = self.lock_path(plan.digest);
        let held = lock::acquire(&path, self.config.build_timeout, &*self.clock, &on_wait)
            .await
            .map_err(|source| Failure::System {
                action: "lock the environment",
                source,
            })?;
        if let Some(manifest) = Manifest::load(&place, plan.digest).await {
            return Ok(manifest);
        }
        let uv = self.uv(found, progress).await?;
        self.build_locked(plan, &Installer { uv, held }, progress)
            .await
    }

    async fn build_locked(
        &self,
        plan: Plan<'_>,
        installer: &Installer,
        progress: &dyn Progress,
    ) -> Result<Manifest, Failure> {
        let started = self.clock.now();
        let name = &plan.recipe.name;
        progress.step(&format!(
            "environment {name} is not built yet: installing {} packages on CPython {}, once",
            plan.recipe.packages.len(),
            plan.interpreter.version,
        ));
        let prefix = format!("building-{}-", plan.digest);
        let place = self.place(plan.digest);
        let environments = self.config.cache.join("environments");
        let made = beside(&environments, &prefix).await?;
        let environment = made.path().join("environment");
        self.install(plan, installer, &environment, progress)
            .await?;
        let packages = self.installed(installer, &environment).await?;
        let at = environment.clone();
        let size_bytes = blocking("open the environment to all", move || open_to_all(&at)).await?;
        let manifest = Manifest {
            digest: plan.digest.to_owned(),
            name: name.clone(),
            interpreter: format!("CPython {}", plan.interpreter.version),
            interpreter_path: plan.interpreter.path.clone(),
            packages,
            size_bytes,
            built_at: self.clock.now(),
        };
        let written = manifest.clone();
        blocking("complete the environment", move || {
            complete(&environment, &written, &place)?;
            made.close()
        })
        .await?;
        progress.step(&format!(
            "environment {name} is ready: {} MB in {} s",
            size_bytes / 1_000_000,
            self.clock.now().since(started).as_secs(),
        ));
        Ok(manifest)
    }

    async fn install(
        &self,
        plan: Plan<'_>,
        installer: &Installer,
        environment: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let said = |line: &str| {
            if let Some(words) = worth_telling(line) {
                progress.step(&format!("environment {}: {words}", plan.recipe.name));
            }
        };
        let mut make = self.uv_command(installer)?;
        // Relocatable, because it moves to its place once it is whole.
        make.args([
            "venv",
            "--no-project",
            "--relocatable",
            "--quiet",
            "--python",
        ]);
        make.arg(&plan.interpreter.path).arg(environment);
        self.run(make, &said).await?;
        let mut install = self.uv_command(installer)?;
        install.args(["pip", "install", "--only-binary", ":all:", "--no-deps"]);
        // Jobs see the environment read-only: bytecode that is missing now stays missing.
        install.args(["--compile-bytecode", "--link-mode", "copy", "--no-color"]);
        install.arg("--python").arg(environment.join("bin/python3"));
        install.args(plan.recipe.packages.iter().map(ToString::to_string));
        self.run(install, &said).await?;
        let mut check = self.uv_command(installer)?;
        check
            .args(["pip", "check", "--quiet", "--python"])
            .arg(environment.join("bin/python3"));
        self.run(check, &said).await?;
        Ok(())
    }

    async fn installed(
        &self,
        installer: &Installer,
        environment: &Path,
    ) -> Result<Vec<String>, Failure> {
        let mut list = self.uv_command(installer)?;
        list.args(["pip", "freeze", "--quiet", "--python"])
            .arg(environment.join("bin/python3"));
        let printed = self.run(list, &|_| ()).await?;
        let mut packages: Vec<_> = printed.lines().map(str::to_owned).collect();
        packages.sort_unstable();
        Ok(packages)
    }

    fn uv_command(&self, installer: &Installer) -> Result<Command, Failure> {
        let mut command = Command::new(&installer.uv);
        self.builder_variables(&mut command);
        command.env("UV_CACHE_DIR", self.config.cache.join("uv"));
        // The interpreter was chosen already, and no project's settings apply.
        command
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_NO_CONFIG", "1");
        if self.config.offline {
            command.env("UV_OFFLINE", "1");
        }
        command.current_dir(&self.config.cache);
        let share = |source| Failure::System {
            action: "share the lock",
            source,
        };
        installer.held.share(&mut command).map_err(share)?;
        Ok(command)
    }

    /// Makes the directories of the cache, and checks that jobs will be able to look into them.
    pub(super) async fn make_directories(&self) -> Result<(), Failure> {
        let cache = self.config.cache.clone();
        blocking("make the cache directory", move || {
            for directory in ["", "environments", "locks", "tools"].map(|name| cache.join(name)) {
                fs::create_dir_all(&directory)?;
                // The server's umask may have closed it.
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
            }
            Ok(())
        })
        .await?;
        if self.config.jobs_are_other_users {
            interpreter::check_open_to_all(&self.config.cache)
                .map_err(|reason| Failure::HiddenCache { reason })?;
        }
        Ok(())
    }

    /// Where the environment with this digest lies.
    pub(super) fn place(&self, digest: &str) -> PathBuf {
        self.config.cache.join("environments").join(digest)
    }
}

/// What a line of the installer's output tells someone who waits; its lists of packages and
/// directories tell nothing.
fn worth_telling(line: &str) -> Option<String> {
    let (first, rest) = line.split_once(' ')?;
    match first {
        "Downloading" => Some(format!("downloading {rest}")),
        "Prepared" => Some(format!("downloaded {rest}")),
        "Installed" => Some(format!("installed {rest}")),
        "Bytecode" => Some(rest.to_owned()),
        _ => None,
    }
}

/// A directory to build in, on the file system of the place that the result is meant for. The
/// caller holds the lock that goes with `prefix`.
pub(super) async fn beside(parent: &Path, prefix: &str) -> Result<TempDir, Failure> {
    let (parent, prefix) = (parent.to_owned(), prefix.to_owned());
    blocking("make a directory in the cache", move || {
        remove_leftovers(&parent, &prefix)?;
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent)
    })
    .await
}

pub(super) async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other);
    done.flatten()
        .map_err(|source| Failure::System { action, source })
}

/// Removes what builds that were killed have left. Whoever holds the lock is the only builder,
/// and no installer of an earlier one runs any more, so everything with the prefix is a leftover.
fn remove_leftovers(parent: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(prefix);
        if ours && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(path = %entry.path().display(), %error, "leftover stays");
        }
    }
    Ok(())
}

/// Lets everyone read what lies below `root`, whatever the server's umask, and nobody but the
/// owner write it. Gives the size of all files.
fn open_to_all(root: &Path) -> io::Result<u64> {
    let found = fs::symlink_metadata(root)?;
    if found.is_symlink() {
        return Ok(0);
    }
    let mode = found.permissions().mode() & 0o777;
    let runs = if mode & 0o100 == 0 { 0 } else { 0o111 };
    let open = (mode | 0o444 | runs) & !0o022;
    if open != mode {
        fs::set_permissions(root, fs::Permissions::from_mode(open))?;
    }
    if !found.is_dir() {
        return Ok(found.len());
    }
    let mut size_bytes = 0;
    for entry in fs::read_dir(root)? {
        size_bytes += open_to_all(&entry?.path())?;
    }
    Ok(size_bytes)
}

/// Writes the manifest and moves the environment to its place, on disk before it is visible.
fn complete(environment: &Path, manifest: &Manifest, place: &Path) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
    let path = environment.join(manifest::FILE_NAME);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    rustix::fs::syncfs(fs::File::open(environment)?)?;
    replace(environment, place)
}

/// Moves the directory `made` to `place`, where an unusable one may lie.
pub(super) fn replace(made: &Path, place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::rename(made, place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_installers_progress_is_told_without_its_lists() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(worth_telling(line).as_deref(), expected, "{line}");
        };
        check(
            "Downloading pandas (11.5MiB)",
            Some("downloading pandas (11.5MiB)"),
        );
        check(
            "Prepared 16 packages in 3.07s",
            Some("downloaded 16 packages in 3.07s"),
        );
        check(
            "Installed 16 packages in 2.19s",
            Some("installed 16 packages in 2.19s"),
        );
        check(
            "Bytecode compiled 3542 files in 6.07s",
            Some("compiled 3542 files in 6.07s"),
        );
        check(" Downloaded pandas", None);
        check(" + pandas==1.5.3", None);
        check("Using Python 3.11.2 environment at: x", None);
    }

    #[test]
    fn a_tight_umask_does_not_hide_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("environment");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/tool"), "12345").unwrap();
        fs::write(root.join("data"), "123").unwrap();
        symlink("/nonexistent", root.join("link")).unwrap();
        let set = |path: &str, mode: u32| {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        set("bin/tool", 0o700);
        set("data", 0o620);
        set("bin", 0o700);
        set("", 0o700);
        assert_eq!(open_to_all(&root).unwrap(), 8);
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("bin/tool"), 0o755);
        assert_eq!(mode("data"), 0o644);
        assert_eq!(mode("bin"), 0o755);
        assert_eq!(mode(""), 0o755);
    }
}
