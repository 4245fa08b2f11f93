//! The assembly: configuration, wiring, listener, the front door and the background loops.
//!
//! The one crate that knows every other and the one that names an HTTP server. It holds no rule
//! of the product. Start at [`assemble`] for what a server is made of, and [`FrontDoor::answer`] for
//! what happens to a request.

mod app;
mod assembly;
pub mod backup;
mod blobs;
mod claim;
mod clock_watch;
mod data_dir;
pub mod doctor;
mod exchange;
mod form;
mod framing;
mod front_door;
mod gate;
mod health;
mod hosts;
mod limits;
mod listener;
mod metrics;
mod migrate;
mod newcomers;
mod own_request;
mod patience;
mod payload;
mod peer;
mod places;
mod preflight;
mod probe;
mod route;
mod stores;
mod tls;
mod upkeep;

pub use app::{EnvironmentSettings, Ready, ServerConfig, StartError, run};
pub use assembly::{Assembly, Ground, assemble, open_audit};
pub use data_dir::{
    Credentials, DataDir, DataDirError, ServerFile, client_shim, read_credentials, read_server,
    sdk_config, trust_bundle, write_credentials,
};
pub use front_door::FrontDoor;
pub use listener::{PortOptions, serve};
pub use migrate::migrate;
pub use peer::Peer;
pub use sightline_audit::{Audit, KeptFrom};
pub use tls::{Tls, TlsError};
pub use upkeep::Upkeep;
