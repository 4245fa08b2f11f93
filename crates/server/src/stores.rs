//! Opening the metadata store, alone or together with other servers.

use std::path::Path;

use sightline_config::Settings;
use sightline_meta::{Meta, MetaOptions, PostgresOptions};

use crate::StartError;

/// The metadata store: a file in the data directory, or the database that the settings name.
pub(crate) fn open_meta(
    settings: &Settings,
    data_dir: &Path,
    server: Option<&str>,
) -> Result<Meta, StartError> {
    let Some(url) = &settings.metadata.url else {
        let path = data_dir.join("meta.sqlite");
        return Ok(Meta::open(&MetaOptions { path })?);
    };
    Ok(Meta::open_postgres(&PostgresOptions {
        url: url.reveal().to_owned(),
        server: server.map(str::to_owned),
    })?)
}
