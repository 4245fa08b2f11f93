//! Environments in place of images: pinned Python packages, built once and shared read-only.
//!
//! An image URI is taken apart (`image`), looked up among the recipes (`recipe`), matched with
//! an interpreter of this host (`interpreter`) and, if nobody has done so before, built with
//! `uv` (`build`). What differs from the image's promise is put into words (`substitution`).

mod build;
mod command;
mod image;
mod interpreter;
mod lock;
mod manifest;
mod recipe;
mod substitution;
mod uv;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sightline_ports::{Clock, Environment, LaunchError, Progress};
use tokio::process::Command;
use tokio::sync::OnceCell;

use self::build::Plan;
use self::image::ImageName;
use self::interpreter::{Found, Search};
use self::manifest::Manifest;
pub use self::recipe::{RecipeError, Recipes};

/// Where interpreters of the system lie.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// How environments are made on this host. Nothing else is read from the server's surroundings.
#[derive(Clone, Debug)]
pub struct EnvironmentsConfig {
    /// Where environments, the installer and its downloads are kept. Several servers may share
    /// it. Everyone must be able to enter it when jobs run as other users.
    pub cache: PathBuf,
    /// Interpreters to use before those of the system.
    pub pythons: Vec<PathBuf>,
    /// The operator's `PATH`, searched for `uv`, and for `python3` unless jobs run as other users.
    pub search_path: Option<OsString>,
    /// The operator's home directory, for version managers and the installer's credentials.
    pub home: Option<PathBuf>,
    /// The `uv` to use in place of one that is found or installed.
    pub uv: Option<PathBuf>,
    /// Whether to do without any download.
    pub offline: bool,
    /// Whether to refuse an image of which not every promise can be kept.
    pub strict: bool,
    /// Whether jobs run as users that may read only what everyone may.
    pub jobs_are_other_users: bool,
    /// Variables for the installer: those that [`passes_to_installer`] lets through.
    pub variables: Vec<(OsString, OsString)>,
    /// The longest that a step of a build may take.
    pub build_timeout: Duration,
    /// The images that are known.
    pub recipes: Recipes,
}

/// Whether the installer may see the variable `name`: where packages come from, through which
/// proxy, and whom to trust. Everything else of the server's environment is kept from it.
#[must_use]
pub fn passes_to_installer(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].contains(&&*upper);
    let trust = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"].contains(&name);
    proxy || trust || name.starts_with("UV_") || name.starts_with("PIP_")
}

/// Turns image URIs into environments.
#[derive(Debug)]
pub struct Environments {
    workshop: Workshop,
    found: OnceCell<Found>,
}

/// What the steps of a build share.
#[derive(Debug)]
struct Workshop {
    config: EnvironmentsConfig,
    clock: Arc<dyn Clock>,
}

/// Why an environment could not be had.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Tool(#[from] command::Failed),
    #[error("could not {action}: {source}")]
    System {
        action: &'static str,
        source: io::Error,
    },
    #[error(
        "no Python 3 that jobs can use was found in /usr/bin or /usr/local/bin; install python3"
    )]
    NoInterpreter,
    #[error(
        "uv is not on this host, and {} cannot install it for lack of the venv module: \
         run `apt-get install python3-venv`, or install uv",
        python.display()
    )]
    NoVenv { python: PathBuf },
    #[error("uv is not on this host, and the server works offline")]
    NoInstallerOffline,
    #[error("jobs could not use the cache: {reason}; choose another directory for it")]
    HiddenCache { reason: interpreter::Unusable },
}

impl Environments {
    /// Environments as `config` says; nothing is touched before the first is asked for.
    #[must_use]
    pub fn new(config: EnvironmentsConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            workshop: Workshop { config, clock },
            found: OnceCell::new(),
        }
    }

    /// Makes ready what `image` names. Of callers that ask at once for what is not there yet,
    /// in this process or another, one builds and the others wait for it.
    pub async fn prepare(
        &self,
        image: &str,
        progress: &dyn Progress,
    ) -> Result<Environment, LaunchError> {
        let config = &self.workshop.config;
        let unknown = |hint| LaunchError::UnknownImage {
            image: image.to_owned(),
            hint,
        };
        let failed = |reason: String| LaunchError::Build {
            image: image.to_owned(),
            reason,
        };
        let name: ImageName = image
            .parse()
            .map_err(|reason: image::NotAnImage| unknown(reason.to_string()))?;
        let promised = config
            .recipes
            .image(&name)
            .ok_or_else(|| unknown(self.hint(&name)))?;
        let found = self.found().await?;
        let machine = std::env::consts::ARCH;
        let candidates = config.recipes.candidates(promised, machine);
        let Some((recipe, interpreter)) = interpreter::choose(&candidates, found) else {
            let pythons: Vec<_> = candidates
                .iter()
                .map(|one| one.python.to_string())
                .collect();
            return Err(failed(format!(
                "it can be had for Python {} on {machine}, and this host has {}",
                pythons.join(", "),
                found.versions(),
            )));
        };
        let substitutions = substitution::sentences(promised, recipe, &interpreter);
        if config.strict && !substitutions.is_empty() {
            return Err(LaunchError::Refused(format!(
                "image {image:?} cannot be had exactly, and substitutes are refused: {}",
                substitutions.join("; "),
            )));
        }
        let digest = manifest::digest(recipe, &interpreter, machine);
        let path = self.workshop.place(&digest);
        let manifest = match Manifest::load(&path, &digest).await {
            Some(manifest) => manifest,
            None => {
                let plan = Plan {
                    recipe,
                    interpreter: &interpreter,
                    digest: &digest,
                };
                let built = self.workshop.build(plan, found, progress).await;
                built.map_err(|failure| failed(self.workshop.explain(&failure)))?
            }
        };
        Ok(Environment {
            asked: image.to_owned(),
            name: manifest.name,
            digest,
            interpreter: manifest.interpreter,
            packages: manifest.packages,
            substitutions,
            variables: promised.variables.clone().into_iter().collect(),
            path,
        })
    }

    /// Makes the installer ready without building anything, and says where it lies.
    pub async fn prepare_installer(&self, progress: &dyn Progress) -> Result<PathBuf, LaunchError> {
        let found = self.found().await?;
        let refused = |failure: Failure| LaunchError::Refused(self.workshop.explain(&failure));
        self.workshop.make_directories().await.map_err(refused)?;
        self.workshop.uv(found, progress).await.map_err(refused)
    }

    async fn found(&self) -> Result<&Found, LaunchError> {
        let config = &self.workshop.config;
        let refused = |reason: String| LaunchError::Refused(reason);
        self.found
            .get_or_try_init(|| async {
                let search = Search {
                    configured: config.pythons.clone(),
                    directories: SYSTEM_DIRECTORIES.map(PathBuf::from).to_vec(),
                    path: config.search_path.clone(),
                    home: config.home.clone(),
                    jobs_are_other_users: config.jobs_are_other_users,
                };
                let found = interpreter::find(&search, &*self.workshop.clock)
                    .await
                    .map_err(|error| refused(error.to_string()))?;
                // An error is not remembered, so an interpreter installed later is found.
                match found.any() {
                    Some(_) => Ok(found),
                    None => Err(refused(Failure::NoInterpreter.to_string())),
                }
            })
            .await
    }

    fn hint(&self, name: &ImageName) -> String {
        let known = self.workshop.config.recipes.known().join(", ");
        format!(
            "no environment stands in for {name}; known by repository and tag, \
             in any account and region, are {known}. To map it, write a recipe and start the \
             server with --recipes FILE; docs/environments.md shows one"
        )
    }
}

impl Workshop {
    async fn run(
        &self,
        command: Command,
        said: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<String, command::Failed> {
        command::run(command, self.config.build_timeout, &*self.clock, said).await
    }

    /// Gives `command` the variables that the operator meant for the installer, and no others.
    fn builder_variables(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/bin:/bin");
        if let Some(home) = &self.config.home {
            command.env("HOME", home);
        }
        let known = |name: &str| {
            self.config
                .variables
                .iter()
                .find(|(known, _)| known == name)
        };
        command.envs(
            self.config
                .variables
                .iter()
                .map(|(name, value)| (name, value)),
        );
        // Sites with a package index of their own have told pip; uv has another name for it.
        if let (Some((_, index)), None) = (known("PIP_INDEX_URL"), known("UV_DEFAULT_INDEX")) {
            command.env("UV_DEFAULT_INDEX", index);
        }
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.config.cache.join("locks").join(name)
    }

    fn explain(&self, failure: &Failure) -> String {
        let offline = if self.config.offline {
            " (the server works offline)"
        } else {
            ""
        };
        format!("{failure}{offline}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_installer_needs_is_passed_on() {
        for name in [
            "UV_DEFAULT_INDEX",
            "PIP_INDEX_URL",
            "https_proxy",
            "NO_PROXY",
            "SSL_CERT_FILE",
        ] {
            assert!(passes_to_installer(name), "{name}");
        }
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "SIGHTLINE_ROOT_KEY",
            "PATH",
            "LD_PRELOAD",
            "PYTHONPATH",
        ] {
            assert!(!passes_to_installer(name), "{name}");
        }
    }
}
