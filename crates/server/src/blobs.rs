//! The store of objects' bytes that the configuration asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sightline_blob::{DirBlobStore, S3BlobConfig, S3BlobStore};
use sightline_config::{ObjectStore, Objects, Secret};
use sightline_ports::BlobStore;

use crate::StartError;

/// A store, and the directory of this host that it fills, if it fills one.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) directory: Option<PathBuf>,
}

/// Opens the store, which fails if what it needs is not said or is not there. `server` is what this
/// server is called among those that share it.
pub(crate) async fn open(
    settings: &Objects,
    data_dir: &Path,
    server: Option<&str>,
) -> Result<Opened, StartError> {
    match settings.store {
        ObjectStore::Dir => {
            let dir = settings.dir.clone();
            let dir = dir.unwrap_or_else(|| data_dir.join("blobs"));
            let store = match server {
                Some(server) => DirBlobStore::open_shared(&dir, server)?,
                None => DirBlobStore::open(&dir)?,
            };
            Ok(Opened {
                store: Arc::new(store),
                directory: Some(dir),
            })
        }
        ObjectStore::S3 => {
            let store = S3BlobStore::open(&bucket(settings)?).await;
            Ok(Opened {
                store: Arc::new(store.map_err(StartError::Bucket)?),
                directory: None,
            })
        }
    }
}

fn bucket(settings: &Objects) -> Result<S3BlobConfig, StartError> {
    let said = |key: &'static str, value: &Option<String>| {
        value.clone().ok_or(StartError::SettingMissing { key })
    };
    let secret = settings.s3_secret_access_key.as_ref();
    let missing = StartError::SettingMissing {
        key: "objects.s3_secret_access_key",
    };
    Ok(S3BlobConfig {
        endpoint: said("objects.s3_endpoint", &settings.s3_endpoint)?,
        region: settings.s3_region.clone(),
        bucket: said("objects.s3_bucket", &settings.s3_bucket)?,
        prefix: settings.s3_prefix.clone(),
        access_key_id: said("objects.s3_access_key_id", &settings.s3_access_key_id)?,
        secret_access_key: secret.ok_or(missing)?.reveal().to_owned(),
        session_token: settings
            .s3_session_token
            .as_ref()
            .map(|token| Secret::reveal(token).to_owned()),
        request_timeout: Duration::from_millis(settings.s3_request_timeout_ms),
    })
}
