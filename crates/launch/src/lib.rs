//! Runs jobs on this host: environments in place of images, sandboxes in place of containers.
//!
//! `environment` turns an image URI into an installed set of packages; `sandbox` runs programs
//! on it, cut off from the host. The crate implements [`sightline_ports::Launcher`] and knows
//! no API, no job states and no database. Start reading at `sandbox/mod.rs`.

mod environment;
mod sandbox;

pub use environment::{
    Environments, EnvironmentsConfig, RecipeError, Recipes, passes_to_installer,
};
pub use sandbox::{Check, Isolation, SandboxConfig, SandboxLauncher, SelfTest};
