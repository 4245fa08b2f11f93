//! From a configuration to a server that listens, with its background loops.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sightline_config::Settings;
use sightline_identity::Identity;
use sightline_launch::{Environments, EnvironmentsConfig, Recipes, SandboxConfig, SandboxLauncher};
use sightline_ports::{Clock, Launcher as _, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::assembly::{Assembly, Ground, assemble};
use crate::clock_watch;
use crate::data_dir::{Credentials, DataDir, DataDirError, ServerFile};
use crate::listener::{self, PortOptions};
use crate::tls::{Tls, TlsError};

/// How long one step of building an environment may take.
const BUILD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How a server is set up. Everything is read once, by the binary, and passed down.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What file, variables and flags say.
    pub settings: Settings,
    /// Where everything that must last is kept.
    pub data_dir: PathBuf,
    /// Where jobs are staged. Jobs of a server that runs as root are other users, which must be
    /// able to pass through every directory above.
    pub jobs_dir: PathBuf,
    /// How environments are made.
    pub environments: EnvironmentSettings,
    /// The module that makes the SDK reach this server for STS.
    pub client_shim: &'static str,
}

/// How environments are made on this host.
#[derive(Clone, Debug)]
pub struct EnvironmentSettings {
    /// Where they are kept, shared by servers and kept when a data directory goes.
    pub cache_dir: PathBuf,
    /// Interpreters to use before those of the system.
    pub pythons: Vec<PathBuf>,
    /// The operator's `PATH`.
    pub search_path: Option<OsString>,
    /// The operator's home directory.
    pub home: Option<PathBuf>,
    /// Variables for the installer of packages.
    pub installer_variables: Vec<(OsString, OsString)>,
    /// Whether to do without downloads.
    pub offline: bool,
    /// Whether to refuse an image of which not every promise can be kept.
    pub strict: bool,
    /// Recipes of the operator's own, as TOML; empty for none.
    pub recipes: String,
}

impl EnvironmentSettings {
    /// The environments of this host.
    pub fn environments(&self, clock: &Arc<dyn Clock>) -> Result<Environments, StartError> {
        let config = EnvironmentsConfig {
            cache: self.cache_dir.clone(),
            pythons: self.pythons.clone(),
            search_path: self.search_path.clone(),
            home: self.home.clone(),
            uv: None,
            offline: self.offline,
            strict: self.strict,
            jobs_are_other_users: SandboxLauncher::jobs_are_other_users(),
            variables: self.installer_variables.clone(),
            build_timeout: BUILD_TIMEOUT,
            recipes: Recipes::with_embedded(&self.recipes)?,
        };
        Ok(Environments::new(config, Arc::clone(clock)))
    }
}

/// What a server says when it is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens.
    pub endpoint: String,
    /// Where its data is.
    pub data_dir: PathBuf,
    /// The account of everything in it.
    pub account: String,
    /// The bucket that the SDK uses by default.
    pub default_bucket: String,
    /// Sentences that say how jobs are isolated.
    pub isolation: Vec<String>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The metadata store cannot be opened.
    #[error("could not open the metadata store")]
    Meta(#[from] sightline_meta::MetaError),
    /// The blob store cannot be opened.
    #[error("could not open the object store")]
    Blob(#[from] sightline_ports::BlobError),
    /// The bucket that the objects' bytes are to lie in cannot be used.
    #[error(
        "could not use the bucket that objects.s3_endpoint and objects.s3_bucket name; check them, \
         the key, and that it may list, read, write and delete there"
    )]
    Bucket(#[source] sightline_ports::BlobError),
    /// A setting that others make necessary is not given.
    #[error("objects.store = \"s3\" needs {key} too")]
    SettingMissing {
        /// Its name.
        key: &'static str,
    },
    /// There is no metadata in a file that could be moved.
    #[error("{} keeps no metadata in a file of its own", .0.display())]
    NothingToMove(PathBuf),
    /// Another server on the database keeps its blobs elsewhere.
    #[error(
        "the other servers on this database keep objects elsewhere; give every server the same \
         directory or bucket under [objects]"
    )]
    OtherBlobs,
    /// Identity cannot be set up.
    #[error("could not set up keys and roles")]
    Identity(#[from] sightline_identity::Error),
    /// The trail of activity cannot be set up.
    #[error("could not set up the trail of activity")]
    Audit(#[from] sightline_audit::Error),
    /// The default bucket cannot be made.
    #[error("could not set up the default bucket")]
    Objects(#[from] sightline_objects::Error),
    /// The launcher cannot be set up.
    #[error("could not set up the launcher of jobs")]
    Launch(#[from] sightline_ports::LaunchError),
    /// The recipes of images are not readable.
    #[error("could not read the recipes of images")]
    Recipes(#[from] sightline_launch::RecipeError),
    /// TLS cannot be offered.
    #[error("could not set up TLS")]
    Tls(#[from] TlsError),
    /// The address cannot be listened at.
    #[error("could not listen at {address}; give another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory cannot be made.
    #[error("could not make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs a server until `shutdown` turns true.
pub async fn run(
    config: ServerConfig,
    shutdown: watch::Receiver<bool>,
    ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let data = DataDir::open(&config.data_dir)?;
    let environments = config.environments.environments(&clock)?;
    let sandbox = SandboxConfig::new(Arc::clone(&clock));
    let launcher = Arc::new(SandboxLauncher::new(sandbox, environments)?);
    let Assembly {
        front,
        jobs,
        audit,
        identity,
        upkeep,
        default_bucket,
        blobs,
    } = assemble(Ground {
        data_dir: data.path().to_owned(),
        server: Some(data.server_name()?).filter(|_| config.settings.metadata.url.is_some()),
        jobs_dir: config.jobs_dir,
        settings: config.settings.clone(),
        clock: Arc::clone(&clock),
        launcher: launcher.clone(),
    })
    .await?;
    let settings = config.settings;
    let tls = Tls::open(&settings, data.path(), &clock)?;
    let address = settings.server.listen;
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = format!("{scheme}://{}", listener.local_addr().map_err(failed)?);
    let own_authority = tls.as_ref().and_then(|tls| tls.own_authority());
    let server = ServerFile {
        endpoint: endpoint.clone(),
        pid: std::process::id(),
        region: identity.region().to_string(),
        account: identity.account().to_string(),
        default_bucket: default_bucket.clone(),
        authority: settings.tls.authority_file.clone().or(own_authority),
    };
    publish(&data, &identity, &server, config.client_shim).await?;
    launcher.self_test().await;
    let isolation = launcher.isolation();
    ready(&Ready {
        endpoint,
        data_dir: data.path().to_owned(),
        account: identity.account().to_string(),
        default_bucket,
        isolation,
    });
    let reconciler = jobs.reconcile(shutdown.clone());
    let deliverer = audit.reconcile(shutdown.clone());
    let port = PortOptions {
        settings: &settings,
        tls: tls.clone(),
    };
    let upkeep = upkeep.run(shutdown.clone());
    let served = listener::serve(listener, front, port, shutdown);
    tokio::select! {
        _ = async { tokio::join!(served, reconciler, deliverer, upkeep) } => {}
        () = keep_fresh(tls) => {}
        () = blobs.catch_up(clock.as_ref()) => {}
        () = clock_watch::watch(Arc::clone(&clock)) => {}
    }
    data.retract();
    Ok(())
}

/// Keeps the certificate fresh; without one there is nothing to do, for ever.
async fn keep_fresh(tls: Option<Arc<Tls>>) {
    match tls {
        Some(tls) => tls.keep_fresh().await,
        None => std::future::pending().await,
    }
}

async fn publish(
    data: &DataDir,
    identity: &Identity,
    server: &ServerFile,
    client_shim: &str,
) -> Result<(), StartError> {
    let root = identity.root_key().await?;
    let credentials = Credentials {
        access_key_id: root.id.clone(),
        secret_access_key: root.secret.reveal().to_owned(),
    };
    Ok(data.publish(server, &credentials, client_shim)?)
}
