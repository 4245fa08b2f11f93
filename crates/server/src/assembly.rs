//! Wiring: stores, engines and protocols over one data directory, up to the front door.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sightline_api::Operations;
use sightline_audit::{Audit, AuditOptions, Retention};
use sightline_catalog::Catalog;
use sightline_config::Settings;
use sightline_identity::Identity;
use sightline_jobs::{Jobs, JobsOptions, OpenApiSocket};
use sightline_meta::Meta;
use sightline_objects::{BucketName, Objects};
use sightline_ports::{BlobStore, Clock, Launcher, SystemClock};
use sightline_telemetry::Telemetry;
use sightline_types::Arn;
use tokio::sync::{Mutex, watch};

use crate::backup::HeldBlobs;
use crate::blobs::Opened;
use crate::health::Health;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::metrics::{Metrics, Sources};
use crate::own_request::own_request;
use crate::probe::Probes;
use crate::upkeep::{Leftovers, Upkeep};
use crate::{FrontDoor, StartError, blobs, listener, stores};

/// What a server stands on.
#[derive(Debug)]
pub struct Ground {
    /// Where everything that must last is kept, held by the caller.
    pub data_dir: PathBuf,
    /// What the server is called among those that share its database.
    pub server: Option<String>,
    /// Where jobs are staged.
    pub jobs_dir: PathBuf,
    /// What file, variables and flags say.
    pub settings: Settings,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Runs the instances of jobs.
    pub launcher: Arc<dyn Launcher>,
}

/// A server without its listener. Jobs wait until [`Jobs::reconcile`] runs.
#[derive(Debug)]
pub struct Assembly {
    /// Answers requests.
    pub front: Arc<FrontDoor>,
    /// Runs jobs.
    pub jobs: Jobs,
    /// Delivers the trail.
    pub audit: Audit,
    /// Knows keys and roles.
    pub identity: Identity,
    /// Keeps up with the servers that share the store.
    pub upkeep: Upkeep,
    /// The bucket that the SDK uses by default.
    pub default_bucket: String,
    /// The bytes of objects, of which none is removed while a backup runs.
    pub(crate) blobs: Arc<HeldBlobs>,
}

/// Puts a server together, making what a new data directory lacks.
pub async fn assemble(ground: Ground) -> Result<Assembly, StartError> {
    let (clock, data_dir, settings) = (ground.clock, ground.data_dir, ground.settings);
    let server = ground.server.as_deref();
    let stores = Stores::open(&data_dir, &settings, server, &clock).await?;
    let audit = stores.audit(&data_dir, &settings, &clock)?;
    let Stores {
        meta,
        identity,
        blobs,
        directory,
        objects,
    } = stores;
    if meta.server().is_some() && !objects.shares_blobs().await? {
        return Err(StartError::OtherBlobs);
    }
    let orphans = objects.collect_orphans().await?;
    if 0 < orphans {
        tracing::info!(orphans, "unfinished objects of an earlier run were removed");
    }
    let default_bucket = make_default_bucket(&objects, &identity, clock.as_ref()).await?;
    let telemetry = Telemetry::new(meta.clone(), Arc::clone(&clock));
    let limits = Limits::of(&settings);
    let door: Arc<OnceLock<Weak<FrontDoor>>> = Arc::default();
    let jobs = Jobs::new(JobsOptions {
        meta: meta.clone(),
        identity: identity.clone(),
        objects: objects.clone(),
        telemetry: telemetry.clone(),
        launcher: Arc::clone(&ground.launcher),
        clock: Arc::clone(&clock),
        root: make_jobs_dir(&ground.jobs_dir)?,
        open_api_socket: socket_opener(&door, limits.clone()),
        running_max: usize::try_from(settings.jobs.running_max).unwrap_or(usize::MAX),
    });
    let upkeep = Upkeep {
        meta: meta.clone(),
        identity: identity.clone(),
        objects: objects.clone(),
        clock: Arc::clone(&clock),
        leftovers: Leftovers::of(&settings.objects),
    };
    let services = services(&meta, &identity, objects, telemetry, (&jobs, &audit));
    let sources = Sources {
        meta: meta.clone(),
        audit: audit.clone(),
        jobs: jobs.clone(),
        blobs: Arc::clone(&blobs),
        directories: std::iter::once(data_dir).chain(directory).collect(),
    };
    let probes = probes(sources, ground.launcher, &settings, &clock);
    let hosts = Hosts::new(identity.region().as_str(), &settings.server.host_names);
    let guards = (limits, probes, hosts);
    let front = Arc::new(FrontDoor::new(services, &identity, meta, clock, guards));
    door.get_or_init(|| Arc::downgrade(&front));
    Ok(Assembly {
        front,
        jobs,
        audit,
        identity,
        upkeep,
        default_bucket,
        blobs,
    })
}

fn probes(
    sources: Sources,
    launcher: Arc<dyn Launcher>,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Probes {
    Probes {
        metrics: Arc::new(Metrics::new(clock.now())),
        metrics_token: settings.server.metrics_token.clone(),
        health: Health {
            meta: sources.meta.clone(),
            blobs: sources.blobs.clone(),
            launcher,
            clock: Arc::clone(clock),
            directories: sources.directories.clone(),
            free_bytes_min: settings.server.free_disk_bytes,
            ending: watch::Sender::new(false),
            last: Mutex::default(),
        },
        sources,
    }
}

/// What lasts, opened.
struct Stores {
    meta: Meta,
    identity: Identity,
    blobs: Arc<HeldBlobs>,
    /// Where the blobs lie, if that is on this host.
    directory: Option<PathBuf>,
    objects: Objects,
}

impl Stores {
    async fn open(
        data_dir: &Path,
        settings: &Settings,
        server: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let meta = stores::open_meta(settings, data_dir, server)?;
        let region = settings.server.region.clone();
        let secret_key = settings.identity.secret_key_file.clone();
        let secret_key = secret_key.unwrap_or_else(|| data_dir.join("secret.key"));
        let identity = Identity::open(meta.clone(), region, &secret_key, clock.now()).await?;
        let Opened { store, directory } = blobs::open(&settings.objects, data_dir, server).await?;
        let blobs = Arc::new(HeldBlobs::new(store, data_dir));
        let store: Arc<dyn BlobStore> = blobs.clone();
        let small_bytes_max = usize::try_from(settings.objects.small_bytes_max).unwrap_or(0);
        let objects = Objects::new(meta.clone(), store, Arc::clone(clock))
            .with_small_bytes_max(small_bytes_max)
            .with_grace(Duration::from_secs(settings.objects.unnamed_grace_seconds));
        Ok(Self {
            meta,
            identity,
            blobs,
            directory,
            objects,
        })
    }

    fn audit(
        &self,
        data_dir: &Path,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Audit, StartError> {
        Ok(Audit::new(AuditOptions {
            meta: self.meta.clone(),
            identity: self.identity.clone(),
            objects: self.objects.clone(),
            clock: Arc::clone(clock),
            keys_dir: data_dir.join("audit"),
            delivery_interval: Duration::from_secs(settings.activity.delivery_seconds),
            digest_interval: Duration::from_secs(settings.activity.digest_seconds),
            retention: Retention::of(
                settings.activity.retention_days,
                settings.activity.bytes_max,
            ),
        })?)
    }
}

/// What the operator's tools are called among the servers on a database.
const TOOL: &str = "tool";

/// The audit engine over a data directory, for its operator; a server may run on it.
pub async fn open_audit(data_dir: &Path, settings: &Settings) -> Result<Audit, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Stores::open(data_dir, settings, Some(TOOL), &clock).await?;
    stores.audit(data_dir, settings, &clock)
}

fn services(
    meta: &Meta,
    identity: &Identity,
    objects: Objects,
    telemetry: Telemetry,
    (jobs, audit): (&Jobs, &Audit),
) -> Vec<Operations> {
    let s3 = Arc::new(sightline_api_s3::App {
        objects,
        identity: identity.clone(),
    });
    let sagemaker = Arc::new(sightline_api_sagemaker::App {
        jobs: jobs.clone(),
        catalog: Catalog::new(meta.clone()),
    });
    let aws = Arc::new(sightline_api_aws::App {
        identity: identity.clone(),
        telemetry,
        audit: audit.clone(),
    });
    let mut services = sightline_api_aws::operations(&aws, identity, meta);
    services.push(sightline_api_s3::operations(&s3, identity, meta));
    services.push(sightline_api_sagemaker::operations(
        &sagemaker, identity, meta,
    ));
    services
}

/// Lets a job reach the front door, which is made after the engine that asks for this.
fn socket_opener(door: &Arc<OnceLock<Weak<FrontDoor>>>, limits: Limits) -> OpenApiSocket {
    let door = Arc::clone(door);
    Arc::new(move |path: &Path| {
        let front = door.get().and_then(Weak::upgrade);
        let front = front.ok_or_else(|| std::io::Error::other("the server is not ready"))?;
        listener::open_job_socket(path, front, limits.clone())
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
    let cx = own_request(identity, clock, "CreateBucket").await?;
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
