//! The metadata store of a test: a file in its directory, or a database of its own when the whole
//! run is to prove that PostgreSQL does as well.

use std::path::Path;

use sightline_meta::{Meta, MetaError, MetaOptions, PostgresOptions};

use crate::postgres::PostgresServer;

/// Set to `postgres` by `make test` for its second run of the tests that keep something.
const BACKEND: &str = "SIGHTLINE_TEST_METADATA";

/// Opens the store that belongs to the directory of a test; a second call opens the same one.
#[must_use]
pub fn open(dir: &Path) -> Meta {
    try_open(dir).expect("the store of a test opens")
}

/// The store that belongs to the directory of a test, as the server of this name opens it; needs
/// PostgreSQL, whose absence is the error.
pub fn open_as(dir: &Path, server: &str) -> Result<Meta, String> {
    let url = PostgresServer::shared()?.database(&dir.to_string_lossy())?;
    let options = PostgresOptions {
        url,
        server: Some(server.to_owned()),
    };
    Meta::open_postgres(&options).map_err(|error| error.to_string())
}

/// As [`open`], for tests of stores that cannot be opened.
pub fn try_open(dir: &Path) -> Result<Meta, MetaError> {
    if !is_postgres() {
        return Meta::open(&MetaOptions {
            path: dir.join("meta.sqlite"),
        });
    }
    let server = PostgresServer::shared().expect("PostgreSQL is installed for this run");
    let url = server.database(&dir.to_string_lossy());
    Meta::open_postgres(&PostgresOptions {
        url: url.expect("the database of a test can be made"),
        server: None,
    })
}

/// Whether this run is on PostgreSQL.
#[must_use]
pub fn is_postgres() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no other configuration"
    )]
    let backend = std::env::var_os(BACKEND);
    backend.is_some_and(|backend| backend == "postgres")
}
