//! Wiring: stores, engines, protocols and background loops, from a configuration to a server.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sightline_audit::Audit;
use sightline_blob::DirBlobStore;
use sightline_catalog::Catalog;
use sightline_identity::Identity;
use sightline_jobs::{Jobs, JobsOptions, OpenApiSocket};
use sightline_launch::{Environments, EnvironmentsConfig, Recipes, SandboxConfig, SandboxLauncher};
use sightline_meta::{Meta, MetaOptions};
use sightline_objects::{BucketName, Objects};
use sightline_ports::{Clock, Launcher as _, SystemClock};
use sightline_telemetry::Telemetry;
use sightline_types::{Arn, Cx, OperationName, Recorded, Region, RequestId};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::data_dir::{Credentials, DataDir, DataDirError, ServerFile};
use crate::{FrontDoor, listener};

/// Jobs that run at once. Each has an interpreter or two; more would only take turns.
const RUNNING_JOBS_MAX: usize = 4;

/// How long one step of building an environment may take.
const BUILD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How a server is set up. Everything is read once, by the binary, and passed down.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where everything that must last is kept.
    pub data_dir: PathBuf,
    /// Where jobs are staged. Jobs of a server that runs as root are other users, which must be
    /// able to pass through every directory above.
    pub jobs_dir: PathBuf,
    /// How environments are made.
    pub environments: EnvironmentSettings,
    /// The region that clients sign for.
    pub region: Region,
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
            strict: false,
            jobs_are_other_users: SandboxLauncher::jobs_are_other_users(),
            variables: self.installer_variables.clone(),
            build_timeout: BUILD_TIMEOUT,
            recipes: Recipes::embedded()?,
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
    /// Identity cannot be set up.
    #[error("could not set up keys and roles")]
    Identity(#[from] sightline_identity::Error),
    /// The default bucket cannot be made.
    #[error("could not set up the default bucket")]
    Objects(#[from] sightline_objects::Error),
    /// The launcher cannot be set up.
    #[error("could not set up the launcher of jobs")]
    Launch(#[from] sightline_ports::LaunchError),
    /// The recipes of images are not readable.
    #[error("could not read the recipes of images")]
    Recipes(#[from] sightline_launch::RecipeError),
    /// The address cannot be listened at.
    #[error("could not listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory cannot be made.
    #[error("could not make the directory {}: {source}", path.display())]
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
    let meta = Meta::open(&MetaOptions {
        path: data.path().join("meta.sqlite"),
    })?;
    let identity = Identity::open(meta.clone(), config.region.clone(), clock.now()).await?;
    let blobs = Arc::new(DirBlobStore::open(&data.path().join("blobs"))?);
    let objects = Objects::new(meta.clone(), blobs, Arc::clone(&clock));
    let orphans = objects.collect_orphans().await?;
    if 0 < orphans {
        tracing::info!(orphans, "unfinished objects of an earlier run were removed");
    }
    let default_bucket = make_default_bucket(&objects, &identity, clock.as_ref()).await?;
    let environments = config.environments.environments(&clock)?;
    let sandbox = SandboxConfig::new(Arc::clone(&clock));
    let launcher = Arc::new(SandboxLauncher::new(sandbox, environments)?);
    let telemetry = Telemetry::new(meta.clone(), Arc::clone(&clock));
    let door: Arc<OnceLock<Weak<FrontDoor>>> = Arc::default();
    let jobs = Jobs::new(JobsOptions {
        meta: meta.clone(),
        identity: identity.clone(),
        objects: objects.clone(),
        telemetry: telemetry.clone(),
        launcher: launcher.clone(),
        clock: Arc::clone(&clock),
        root: make_jobs_dir(&config.jobs_dir)?,
        open_api_socket: socket_opener(&door),
        running_max: RUNNING_JOBS_MAX,
    });
    let services = services(&meta, &identity, objects, telemetry, &jobs);
    let front = Arc::new(FrontDoor::new(
        services,
        identity.clone(),
        meta,
        Arc::clone(&clock),
    ));
    door.get_or_init(|| Arc::downgrade(&front));
    let failed = |source| StartError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
    publish(
        &data,
        &identity,
        &endpoint,
        &default_bucket,
        config.client_shim,
    )
    .await?;
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
    tokio::join!(listener::serve(listener, front, shutdown), reconciler);
    data.retract();
    Ok(())
}

fn services(
    meta: &Meta,
    identity: &Identity,
    objects: Objects,
    telemetry: Telemetry,
    jobs: &Jobs,
) -> Vec<sightline_api::Operations> {
    let s3 = Arc::new(sightline_api_s3::App { objects });
    let sagemaker = Arc::new(sightline_api_sagemaker::App {
        jobs: jobs.clone(),
        catalog: Catalog::new(meta.clone()),
    });
    let aws = Arc::new(sightline_api_aws::App {
        identity: identity.clone(),
        telemetry,
        audit: Audit::new(meta.clone()),
    });
    let mut services = sightline_api_aws::operations(&aws, identity, meta);
    services.push(sightline_api_s3::operations(&s3, identity, meta));
    services.push(sightline_api_sagemaker::operations(
        &sagemaker, identity, meta,
    ));
    services
}

/// Lets a job reach the front door, which is made after the engine that asks for this.
fn socket_opener(door: &Arc<OnceLock<Weak<FrontDoor>>>) -> OpenApiSocket {
    let door = Arc::clone(door);
    Arc::new(move |path: &Path| {
        let front = door.get().and_then(Weak::upgrade);
        let front = front.ok_or_else(|| std::io::Error::other("the server is not ready"))?;
        listener::open_job_socket(path, front)
    })
}

/// The bucket has the name that the SDK would give it by itself.
async fn make_default_bucket(
    objects: &Objects,
    identity: &Identity,
    clock: &dyn Clock,
) -> Result<String, StartError> {
    let (region, account) = (identity.region(), identity.account());
    let name = format!("sagemaker-{region}-{account}");
    let bucket: BucketName = name.parse().map_err(sightline_objects::Error::from)?;
    let root = identity.root_key().await?;
    let cx = Arc::new(Cx {
        request_id: RequestId::random(),
        received_at: clock.now(),
        account: account.clone(),
        region: region.clone(),
        caller: root.caller.clone(),
        source: "sightline".to_owned(),
        user_agent: "sightline".to_owned(),
        operation: OperationName {
            source: "s3.amazonaws.com",
            name: "CreateBucket",
            read_only: false,
        },
        parameters: None,
        recorded: Recorded::default(),
    });
    let arn = Arn::s3(bucket.as_str(), None);
    let permit = identity.platform_permit(&cx, "s3:ListBucket", arn.clone());
    match objects.head_bucket(&permit, &bucket).await {
        Ok(_) => return Ok(name),
        Err(sightline_objects::Error::BucketNotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let permit = identity.platform_permit(&cx, "s3:CreateBucket", arn);
    let location = (region.as_str() != "us-east-1").then_some(region.as_str());
    objects.create_bucket(&permit, &bucket, location).await?;
    Ok(name)
}

fn make_jobs_dir(path: &Path) -> Result<PathBuf, StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    let make = || {
        std::fs::create_dir_all(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711))?;
        path.canonicalize()
    };
    make().map_err(|source| StartError::Directory {
        path: path.to_owned(),
        source,
    })
}

async fn publish(
    data: &DataDir,
    identity: &Identity,
    endpoint: &str,
    default_bucket: &str,
    client_shim: &str,
) -> Result<(), StartError> {
    let root = identity.root_key().await?;
    let server = ServerFile {
        endpoint: endpoint.to_owned(),
        pid: std::process::id(),
        region: identity.region().to_string(),
        account: identity.account().to_string(),
        default_bucket: default_bucket.to_owned(),
    };
    let credentials = Credentials {
        access_key_id: root.id.clone(),
        secret_access_key: root.secret.reveal().to_owned(),
    };
    Ok(data.publish(&server, &credentials, client_shim)?)
}
