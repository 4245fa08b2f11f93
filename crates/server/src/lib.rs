//! The assembly: configuration, wiring, listener, the front door and the background loops.
//!
//! The one crate that knows every other and the one that names an HTTP server. It holds no rule
//! of the product. Start at [`assemble`] for what a server is made of, and [`FrontDoor::answer`] for
//! what happens to a request.

mod app;
mod assembly;
mod claim;
mod data_dir;
mod front_door;
mod limits;
mod listener;
mod payload;
mod route;

pub use app::{EnvironmentSettings, Ready, ServerConfig, StartError, run};
pub use assembly::{Assembly, Ground, assemble};
pub use data_dir::{
    Credentials, DataDir, DataDirError, ServerFile, client_shim, read_credentials, read_server,
    sdk_config,
};
pub use front_door::FrontDoor;
