//! Moving a data directory's metadata into a PostgreSQL database.

use std::path::Path;

use sightline_config::Settings;
use sightline_meta::transfer::{self, Moved};

use crate::StartError;
use crate::data_dir::DataDir;

/// Copies the metadata of a data directory, whose server must not run, into the empty database at
/// `url`. The directory stays as it is, so that its server can go on with it all the same.
pub fn migrate(data_dir: &Path, settings: &Settings, url: &str) -> Result<Moved, StartError> {
    let file = data_dir.join("meta.sqlite");
    if settings.metadata.url.is_some() || !file.is_file() {
        return Err(StartError::NothingToMove(data_dir.to_owned()));
    }
    let held = DataDir::open(data_dir)?;
    let moved = transfer::to_postgres(&file, url)?;
    drop(held);
    Ok(moved)
}
