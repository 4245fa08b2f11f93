//! The server's own certificate authority, made at first start, and the certificate it signs.
//!
//! ```text
//! tls/ca.pem         what clients must trust
//! tls/ca.key         signs the server's certificate; its owner's alone
//! tls/server.pem     the server's certificate
//! tls/server.key     its owner's alone
//! tls/server.json    names and end of the certificate
//! ```

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};
use sightline_types::Timestamp;

use super::{Files, TlsError};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long the authority lasts. Who trusts it has to be told of another.
const AUTHORITY_DAYS: u32 = 3_650;

/// How long a certificate lasts: less than the 398 days that the strictest clients take.
const CERTIFICATE_DAYS: u32 = 365;

/// With less time left a certificate is replaced.
const RENEW_DAYS: u32 = 30;

/// How far clocks of clients may be behind.
const SKEW_DAYS: u32 = 2;

/// The server's own certificate authority.
#[derive(Debug)]
pub(super) struct Authority {
    directory: PathBuf,
    names: BTreeSet<String>,
}

/// What is remembered of the certificate.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    names: BTreeSet<String>,
    not_after_millis: i64,
}

/// Every name under which clients of this host may call the server.
pub(super) fn names(configured: &[String], listen: IpAddr) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let host = rustix::system::uname();
    names.extend(host.nodename().to_str().ok().map(str::to_owned));
    if !listen.is_unspecified() {
        names.insert(listen.to_string());
    }
    names.extend(configured.iter().cloned());
    names.retain(|name| !name.is_empty());
    names
}

impl Authority {
    pub(super) fn new(directory: &Path, names: BTreeSet<String>) -> Self {
        Self {
            directory: directory.to_owned(),
            names,
        }
    }

    /// What clients must trust.
    pub(super) fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The files of a certificate that holds for these names, made if there is none that does.
    pub(super) fn ensure(&self, now: Timestamp) -> Result<Files, TlsError> {
        let files = Files {
            certificate: self.directory.join("server.pem"),
            key: self.directory.join("server.key"),
        };
        let made_path = self.directory.join("server.json");
        let made = fs::read(&made_path).ok();
        let made: Option<Made> = made.and_then(|text| serde_json::from_slice(&text).ok());
        let renewal = now.plus(DAY * RENEW_DAYS).millis();
        let holds =
            made.is_some_and(|made| made.names == self.names && renewal < made.not_after_millis);
        if holds && files.certificate.is_file() && files.key.is_file() {
            return Ok(files);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed("create", &self.directory))?;
        let issuer = self.issuer(now)?;
        let key = KeyPair::generate().map_err(make)?;
        let certificate = self.params(now)?.signed_by(&key, &issuer).map_err(make)?;
        let made = Made {
            names: self.names.clone(),
            not_after_millis: now.plus(DAY * CERTIFICATE_DAYS).millis(),
        };
        let made =
            serde_json::to_string(&made).map_err(|error| TlsError::Make(error.to_string()))?;
        write(&files.key, &key.serialize_pem())?;
        write(&files.certificate, &certificate.pem())?;
        write(&made_path, &made)?;
        Ok(files)
    }

    /// The authority, made at first start. Its name and key say the same at every start.
    fn issuer(&self, now: Timestamp) -> Result<Issuer<'static, KeyPair>, TlsError> {
        let key_path = self.directory.join("ca.key");
        let (key, fresh) = match fs::read_to_string(&key_path) {
            Ok(text) => (KeyPair::from_pem(&text).map_err(make)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (KeyPair::generate().map_err(make)?, true)
            }
            Err(source) => return Err(failed("read", &key_path)(source)),
        };
        let mut params = CertificateParams::default();
        let digest = sightline_wire::sigv4::sha256(key.public_key_raw()).to_string();
        let name = format!("Sightline {}", digest.get(..8).unwrap_or_default());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lasts(&mut params, now, AUTHORITY_DAYS)?;
        if fresh || !self.certificate().is_file() {
            let certificate = params.self_signed(&key).map_err(make)?;
            write(&key_path, &key.serialize_pem())?;
            write(&self.certificate(), &certificate.pem())?;
        }
        Ok(Issuer::new(params, key))
    }

    fn params(&self, now: Timestamp) -> Result<CertificateParams, TlsError> {
        let names: Vec<String> = self.names.iter().cloned().collect();
        let mut params = CertificateParams::new(names).map_err(make)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Sightline");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        lasts(&mut params, now, CERTIFICATE_DAYS)?;
        Ok(params)
    }
}

fn lasts(params: &mut CertificateParams, now: Timestamp, days: u32) -> Result<(), TlsError> {
    let skew = i64::try_from((DAY * SKEW_DAYS).as_millis()).unwrap_or_default();
    let (year, month, day) = date(Timestamp::from_millis(now.millis().saturating_sub(skew)))?;
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = date(now.plus(DAY * days))?;
    params.not_after = rcgen::date_time_ymd(year, month, day);
    Ok(())
}

fn date(day: Timestamp) -> Result<(i32, u8, u8), TlsError> {
    let text = day.format("%Y-%m-%d");
    let mut parts = text.splitn(3, '-');
    let year = parts.next().and_then(|year| year.parse().ok());
    let month = parts.next().and_then(|month| month.parse().ok());
    let day = parts.next().and_then(|day| day.parse().ok());
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => Ok((year, month, day)),
        _ => Err(TlsError::Make(format!("{text} is not a day"))),
    }
}

fn make(error: rcgen::Error) -> TlsError {
    TlsError::Make(error.to_string())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::File {
        action,
        path,
        source,
    }
}

/// Writes a file that only its owner reads, in one step.
fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(failed("write", path))
}
