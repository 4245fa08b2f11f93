//! `cargo xtask bench`: figures of the real binary that users feel.
//!
//! Measures the release build on a quiet machine or says little: every figure is the median of a
//! few runs, with the least and the most beside it. What S3 costs is measured by
//! `bench/objects.py`, beside the disk and two other servers; kernels are measured by divan.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::server::Server;
use crate::{command, machine, say};

const RUNS: usize = 7;

pub(crate) fn run() -> Result<()> {
    let folder = machine::cache()?.join("bench");
    let (mut first, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        first.push(start(&folder)?.0);
        let (took, resident_kib) = start(&folder)?;
        again.push(took);
        memory.push(resident_kib);
    }
    say::line(figure(
        "start to first answer, empty data directory",
        &mut first,
        milliseconds,
    ));
    say::line(figure(
        "start to first answer, existing data",
        &mut again,
        milliseconds,
    ));
    say::line(figure(
        "resident memory after the first answer",
        &mut memory,
        mebibytes,
    ));
    objects(&folder)?;
    jobs(&folder)?;
    kernels()
}

/// Starts a server, asks it one question and stops it: the time to the answer and its memory.
fn start(folder: &Path) -> Result<(Duration, u64)> {
    let started = machine::now();
    let server = Server::start(folder)?;
    answer(&server.endpoint)?;
    let took = started.elapsed();
    let resident_kib = resident_kib(server.pid())?;
    server.stop()?;
    Ok((took, resident_kib))
}

fn answer(endpoint: &str) -> Result<()> {
    let address = endpoint
        .strip_prefix("http://")
        .context("the endpoint is no http address")?;
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("/healthz answered {:?}", answer.lines().next());
    }
    Ok(())
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .context("no VmRSS")?
        .parse()
        .context("VmRSS is no number")
}

/// Lets a client program put, get and list objects on this server and on its peers.
fn objects(folder: &Path) -> Result<()> {
    let mut command = command::bound(machine::client_python()?)?;
    command
        .arg(machine::root().join("bench/objects.py"))
        .arg(folder.join("objects"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SIGHTLINE_BIN", machine::binary())
        .env(
            "SIGHTLINE_BENCH_CACHE",
            machine::cache()?.join("bench-peers"),
        );
    let status = command.status()?;
    if !status.success() {
        bail!("bench/objects.py ended with {status}");
    }
    Ok(())
}

/// Runs the benches of the crates; each says its bar beside its code.
fn kernels() -> Result<()> {
    for folder in fs::read_dir(machine::root().join("crates"))? {
        let folder = folder?;
        if !folder.path().join("benches").is_dir() {
            continue;
        }
        let package = format!("sightline-{}", folder.file_name().to_string_lossy());
        let mut command = Command::new("cargo");
        command.args(["bench", "--quiet", "--bench", "*", "--package", &package]);
        let status = command.current_dir(machine::root()).status()?;
        if !status.success() {
            bail!("the benches of {package} ended with {status}");
        }
    }
    Ok(())
}

/// Lets a client program run jobs that do nothing, and shows what it measured.
fn jobs(folder: &Path) -> Result<()> {
    let server = Server::start(folder)?;
    let program = machine::root().join("bench/jobs.py");
    let mut command: Command = server.run(machine::client_python()?);
    let status = command.arg(program).arg(RUNS.to_string()).status()?;
    server.stop()?;
    if !status.success() {
        bail!("bench/jobs.py ended with {status}");
    }
    Ok(())
}

fn figure<T: Ord + Copy>(name: &str, values: &mut [T], text: impl Fn(T) -> String) -> String {
    values.sort();
    let told = |index: usize| {
        values
            .get(index)
            .map_or_else(String::new, |value| text(*value))
    };
    let (least, median, most) = (told(0), told(values.len() / 2), told(values.len() - 1));
    format!(
        "{name:46} {median:>9}  ({least} to {most}, {} runs)",
        values.len()
    )
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_with_its_bounds() {
        let mut values = [3072_u64, 1024, 9216];
        let told = figure("memory", &mut values, mebibytes);
        assert_eq!(
            told.split_whitespace().collect::<Vec<_>>().join(" "),
            "memory 3 MiB (1 MiB to 9 MiB, 3 runs)"
        );
    }
}
