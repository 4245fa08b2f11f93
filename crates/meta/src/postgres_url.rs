//! The URL of a database: where it is, and how the way there is protected.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::MetaError;
use crate::error::chain;
use crate::postgres_tls::Encryption;

/// Where a database is, and how connections to it are protected.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) config: Config,
    /// `None` where connections are not encrypted.
    pub(crate) encryption: Option<Encryption>,
}

/// Reads a URL, and refuses what would not be kept.
///
/// `sslmode` and `sslrootcert` are libpq's, but `require` verifies as `verify-full` does.
pub(crate) fn parse(url: &str, bounds: (Duration, Duration)) -> Result<Address, MetaError> {
    let Split { rest, mode, roots } = split(url)?;
    let mut config: Config = rest
        .parse()
        .map_err(|error: tokio_postgres::Error| MetaError::Url(chain(&error)))?;
    let encryption = match mode.as_deref() {
        Some("require" | "verify-full") => {
            config.ssl_mode(SslMode::Require);
            let roots = roots.ok_or_else(|| {
                refused("an encrypted connection needs sslrootcert, a file with the authority that the database's certificate is by")
            })?;
            Some(Encryption::trusting(&roots)?)
        }
        Some("disable" | "prefer") | None => {
            if roots.is_some() {
                return Err(refused("sslrootcert needs sslmode=verify-full"));
            }
            let near = config.get_hosts().iter().all(is_this_host);
            if mode.as_deref() != Some("disable") && !near {
                return Err(refused(
                    "a connection to another host is encrypted with sslmode=verify-full and \
                     sslrootcert; on a network that you trust, say sslmode=disable",
                ));
            }
            config.ssl_mode(SslMode::Disable);
            None
        }
        Some(other) => {
            let text =
                format!("sslmode={other} is not offered: disable, require and verify-full are");
            return Err(MetaError::Url(text));
        }
    };
    let (connect_timeout, answer_timeout) = bounds;
    // After a fail-over some hosts of a list are read-only.
    config
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .connect_timeout(connect_timeout)
        .tcp_user_timeout(answer_timeout);
    if config.get_application_name().is_none() {
        config.application_name("sightline");
    }
    Ok(Address { config, encryption })
}

/// A URL without the two parameters that the driver does not know in full.
struct Split {
    rest: String,
    mode: Option<String>,
    roots: Option<PathBuf>,
}

fn split(url: &str) -> Result<Split, MetaError> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| refused("a parameter is not UTF-8"))?;
        match name {
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => roots = Some(PathBuf::from(value.as_ref())),
            _ => others.push(pair),
        }
    }
    let joint = if others.is_empty() { "" } else { "?" };
    let rest = format!("{place}{joint}{}", others.join("&"));
    Ok(Split { rest, mode, roots })
}

fn refused(text: &str) -> MetaError {
    MetaError::Url(text.to_owned())
}

fn is_this_host(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}
