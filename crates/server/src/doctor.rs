//! Looking at a host and a data directory before, or while, a server runs on them.
//!
//! Each finding is one line: what was looked at, whether it is well, and what to do if not. The
//! doctor changes nothing but for a file that it writes and removes to time the disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, geteuid, getrlimit};
use sightline_config::Settings;
use sightline_launch::{Isolation, SandboxConfig, SandboxLauncher};
use sightline_ports::Clock;
use sightline_types::Timestamp;
use tokio::time::Instant;

use crate::app::EnvironmentSettings;
use crate::{Tls, read_server};

/// Files of a data directory that hold secrets in the clear. The directory keeps others out of the
/// database, and the secrets in that are sealed.
const SECRET_FILES: [&str; 4] = ["credentials", "secret.key", "tls/ca.key", "tls/server.key"];

/// How often a write is made durable to time it.
const SYNCS: usize = 15;

/// A disk that takes longer makes every change feel slow.
const SYNC_TIME_GOOD: Duration = Duration::from_millis(20);

/// How far the file system's clock may be from the host's.
const SKEW_MAX: Duration = Duration::from_secs(2);

/// No host's clock is right that says an earlier time: 2025-01-01.
const EARLIEST_MILLIS: i64 = 1_735_689_600_000;

/// Open files that a server needs beside those of its connections.
const FILES_BESIDE: u64 = 512;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The server works, and something is less good than it could be.
    Warn,
    /// Something will not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what to do if it is not well.
    pub text: String,
}

/// What is looked at.
#[derive(Debug)]
pub struct Patient<'a> {
    /// What file, variables and flags say.
    pub settings: &'a Settings,
    /// The data directory, which may not exist yet.
    pub data_dir: &'a Path,
    /// How environments are made.
    pub environments: &'a EnvironmentSettings,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

fn ok(subject: &'static str, text: impl Into<String>) -> Finding {
    finding(subject, Verdict::Ok, text)
}

fn warn(subject: &'static str, text: impl Into<String>) -> Finding {
    finding(subject, Verdict::Warn, text)
}

fn fail(subject: &'static str, text: impl Into<String>) -> Finding {
    finding(subject, Verdict::Fail, text)
}

fn finding(subject: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding {
        subject,
        verdict,
        text: text.into(),
    }
}

/// Looks at everything.
pub async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let place = existing(patient.data_dir);
    let mut findings = vec![
        isolation(patient).await,
        python(patient),
        owner(patient.data_dir),
        secrets(patient),
        space(&place, patient.settings.server.free_disk_bytes),
    ];
    findings.extend(disk(&place, patient.clock.as_ref()));
    findings.push(port(patient));
    findings.push(tls(patient));
    findings.push(open_files(patient.settings));
    if patient.settings.metadata.url.is_none() {
        findings.push(database(patient.data_dir));
    }
    findings
}

/// The directory itself, or the nearest one above it that exists.
fn existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

async fn isolation(patient: &Patient<'_>) -> Finding {
    let subject = "isolation";
    let sandbox = SandboxConfig::new(Arc::clone(&patient.clock));
    let environments = match patient.environments.environments(&patient.clock) {
        Ok(environments) => environments,
        Err(error) => return fail(subject, format!("the recipes are not readable: {error}")),
    };
    let launcher = match SandboxLauncher::new(sandbox, environments) {
        Ok(launcher) => launcher,
        Err(error) => return fail(subject, error.to_string()),
    };
    match &launcher.self_test().await.isolation {
        Isolation::Full => ok(subject, "full: namespaces, limits and filters hold"),
        Isolation::Reduced(why) => warn(subject, format!("reduced: {}", why.join("; "))),
        Isolation::None(why) => fail(subject, format!("none, so jobs are refused: {why}")),
    }
}

fn python(patient: &Patient<'_>) -> Finding {
    let subject = "python";
    let configured = &patient.environments.pythons;
    if let Some(missing) = configured.iter().find(|path| !path.is_file()) {
        let text = format!(
            "{} does not exist; change environments.pythons",
            missing.display()
        );
        return fail(subject, text);
    }
    let search = patient.environments.search_path.clone().unwrap_or_default();
    let found = std::env::split_paths(&search)
        .map(|folder| folder.join("python3"))
        .find(|path| path.is_file());
    match found.or_else(|| configured.first().cloned()) {
        Some(path) => ok(subject, path.display().to_string()),
        None => fail(
            subject,
            "there is no python3 on the PATH; install it, or give --python",
        ),
    }
}

fn owner(data_dir: &Path) -> Finding {
    let subject = "data directory";
    let shown = data_dir.display();
    let about = match fs::metadata(data_dir) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return ok(
                subject,
                format!("{shown} does not exist yet; the first start makes it"),
            );
        }
        Err(error) => return fail(subject, format!("{shown}: {error}")),
    };
    if about.uid() != geteuid().as_raw() {
        let text = format!(
            "{shown} belongs to user {}; run the server as that user",
            about.uid()
        );
        return fail(subject, text);
    }
    if about.mode() & 0o077 != 0 {
        return fail(
            subject,
            format!("{shown} is open to others; chmod 700 {shown}"),
        );
    }
    ok(subject, format!("{shown} is its owner's alone"))
}

fn secrets(patient: &Patient<'_>) -> Finding {
    let subject = "secret files";
    let mut paths: Vec<PathBuf> = SECRET_FILES
        .iter()
        .map(|name| patient.data_dir.join(name))
        .collect();
    let settings = patient.settings;
    paths.extend(settings.identity.secret_key_file.clone());
    paths.extend(settings.tls.key_file.clone());
    for path in paths {
        let shown = path.display();
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        if about.mode() & 0o077 != 0 {
            return fail(
                subject,
                format!("{shown} is open to others; chmod 600 {shown}"),
            );
        }
        if about.uid() != geteuid().as_raw() {
            let text = format!("{shown} belongs to user {}", about.uid());
            return fail(subject, text);
        }
    }
    ok(subject, "those that exist are their owner's alone")
}

fn space(place: &Path, free_bytes_min: u64) -> Finding {
    let (subject, shown) = ("disk space", place.display());
    let system = match rustix::fs::statvfs(place) {
        Ok(system) => system,
        Err(error) => return fail(subject, format!("{shown}: {error}")),
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let text = format!("{free} bytes free at {shown}");
    if free < free_bytes_min {
        let text = format!("{text}, and server.free_disk_bytes demands {free_bytes_min}");
        return fail(subject, text);
    }
    if system.f_files != 0 && system.f_favail < system.f_files / 100 {
        return warn(subject, format!("{text}, but less than 1 % of its files"));
    }
    ok(subject, text)
}

/// Times writes that must be durable, and compares the file system's clock with the host's.
fn disk(place: &Path, clock: &dyn Clock) -> Vec<Finding> {
    let path = place.join(format!(".sightline-doctor-{}", std::process::id()));
    let timed = time_syncs(&path, clock);
    // What could not be made is not there to be removed.
    let removed = fs::remove_file(&path);
    match timed.and_then(|timed| removed.map(|()| timed)) {
        Ok((took, skew)) => vec![sync_finding(took), skew_finding(skew, clock.now())],
        Err(error) => {
            let text = format!("{} cannot be written: {error}", place.display());
            vec![fail("disk", text)]
        }
    }
}

fn time_syncs(path: &Path, clock: &dyn Clock) -> io::Result<(Duration, Duration)> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_all()?;
        times.push(began.elapsed());
    }
    let written = file.metadata()?;
    let millis = written
        .mtime()
        .saturating_mul(1_000)
        .saturating_add(written.mtime_nsec() / 1_000_000);
    let (there, here) = (Timestamp::from_millis(millis), clock.now());
    times.sort_unstable();
    let median = times.get(SYNCS / 2).copied().unwrap_or_default();
    Ok((median, there.since(here).max(here.since(there))))
}

fn sync_finding(took: Duration) -> Finding {
    let text = format!("a durable write takes {took:?} (median of {SYNCS})");
    if SYNC_TIME_GOOD < took {
        return warn(
            "disk speed",
            format!("{text}; a faster disk makes every change faster"),
        );
    }
    ok("disk speed", text)
}

fn skew_finding(skew: Duration, now: Timestamp) -> Finding {
    let subject = "clock";
    if now.millis() < EARLIEST_MILLIS {
        let text = format!(
            "it says {}; clients' signatures will be refused",
            now.iso8601()
        );
        return fail(subject, text);
    }
    if SKEW_MAX < skew {
        return warn(
            subject,
            format!("the file system's clock is {skew:?} away from the host's"),
        );
    }
    ok(
        subject,
        format!("it says {}, as the file system's does", now.iso8601()),
    )
}

fn port(patient: &Patient<'_>) -> Finding {
    let (subject, address) = ("port", patient.settings.server.listen);
    match TcpListener::bind(address) {
        Ok(_) => ok(subject, format!("{address} is free")),
        Err(error) => match read_server(patient.data_dir) {
            Ok(server) if server.endpoint.ends_with(&format!("//{address}")) => ok(
                subject,
                format!("{address} is this data directory's server's"),
            ),
            Ok(_) | Err(_) => fail(
                subject,
                format!("{address}: {error}; give another --listen"),
            ),
        },
    }
}

fn tls(patient: &Patient<'_>) -> Finding {
    let (subject, tls) = ("tls", &patient.settings.tls);
    if tls.certificate_file.is_none() && tls.key_file.is_none() {
        let on = tls.enabled || tls.required;
        let text = if on {
            "on, with the server's own certificate"
        } else {
            "off"
        };
        return ok(subject, text);
    }
    match Tls::open(patient.settings, patient.data_dir, &patient.clock) {
        Ok(Some(_)) => ok(subject, "on, with the certificate given"),
        Ok(None) => warn(
            subject,
            "a certificate is given, but tls.enabled is not set",
        ),
        Err(error) => fail(subject, error.to_string()),
    }
}

fn open_files(settings: &Settings) -> Finding {
    let subject = "open files";
    let needed = settings
        .limits
        .connections_max
        .saturating_mul(2)
        .saturating_add(FILES_BESIDE);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => {
            let text = format!(
                "at most {limit}; {} connections need {needed}: raise the limit (ulimit -n, \
                 LimitNOFILE=) or lower limits.connections_max",
                settings.limits.connections_max
            );
            warn(subject, text)
        }
        Some(limit) => ok(subject, format!("at most {limit}")),
        None => ok(subject, "without a limit"),
    }
}

fn database(data_dir: &Path) -> Finding {
    let subject = "database";
    let path = data_dir.join("meta.sqlite");
    if !path.is_file() {
        return ok(subject, "there is none yet");
    }
    match sightline_meta::backup::complaints(&path) {
        Ok(complaints) => match complaints.first() {
            None => ok(subject, "its structure is whole"),
            Some(first) => fail(subject, format!("damaged: {first}; restore a backup")),
        },
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            fail(subject, format!("{error}: {cause}; restore a backup"))
        }
    }
}
