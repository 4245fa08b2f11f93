//! `cargo xtask fuzz`: libFuzzer over the readers of untrusted bytes, two targets at a time.
//!
//! The targets lie in `fuzz/`, outside the workspace, because they are built with coverage
//! instrumentation. That takes stable compiler flags and a C++ compiler for libFuzzer itself,
//! which comes with its crate; no other toolchain and no further cargo command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{command, machine, say};

/// Targets that run at once.
const AT_ONCE: usize = 2;

/// Memory that a target may take; the documents that it reads are smaller than a hundredth.
const MEMORY_MIB_MAX: u32 = 1_024;

/// How long one input may take. Every reader is linear, so far longer is a finding.
const INPUT_SECONDS_MAX: u32 = 10;

/// A target that ran fewer inputs a second than this was not really tried.
const INPUTS_A_SECOND_MIN: u64 = 50;

/// Code that a target must have reached; less means that the instrumentation is missing.
const COVERAGE_MIN: u64 = 100;

/// Lines of a failed target that are shown.
const LINES_SHOWN: usize = 40;

/// What makes the compiler count the edges that an input takes.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these targets; all of them unless given
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
}

impl Arguments {
    /// What everybody runs before a change is accepted.
    pub(crate) fn usual() -> Self {
        Self {
            targets: Vec::new(),
            seconds: 60,
        }
    }
}

/// How many targets found nothing, and how many something.
pub(crate) struct Found {
    pub(crate) clean: u64,
    pub(crate) findings: u64,
}

/// The chore: fails if any target found something.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Found { findings, .. } = fuzz(arguments)?;
    if findings > 0 {
        bail!("{findings} targets found something");
    }
    Ok(())
}

/// Builds and runs the targets.
pub(crate) fn fuzz(arguments: &Arguments) -> Result<Found> {
    let mut targets = all_targets()?;
    if let Some(unknown) = arguments
        .targets
        .iter()
        .find(|name| !targets.contains(name))
    {
        bail!(
            "no target is called {unknown}; there are {}",
            targets.join(", ")
        );
    }
    targets.retain(|name| arguments.targets.is_empty() || arguments.targets.contains(name));
    let programs = build()?;
    let waiting = Mutex::new(targets);
    let found = Mutex::new(Found {
        clean: 0,
        findings: 0,
    });
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = locked(&waiting).pop() {
                    let result = run_target(&programs, &target, arguments.seconds);
                    let mut found = locked(&found);
                    match result {
                        Ok(told) => {
                            found.clean += 1;
                            say::line(format!("{}    {target}: {told}", say::green("ok")));
                        }
                        Err(error) => {
                            found.findings += 1;
                            say::line(format!("{}  {target}: {error:#}", say::red("fail")));
                        }
                    }
                }
            });
        }
    });
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The targets: one file each.
fn all_targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(machine::root().join("fuzz/targets"))? {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    names.reverse();
    Ok(names)
}

/// Builds every target and returns the folder of the programs.
fn build() -> Result<PathBuf> {
    let told = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("starting rustc")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc names no host")?;
    let output = machine::target_dir().join("fuzz");
    let mut cargo = Command::new("cargo");
    // With a target given, the flags are not for build scripts and macros.
    cargo
        .current_dir(machine::root())
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"])
        .args(["--target", host, "--target-dir"])
        .arg(&output)
        .env("RUSTFLAGS", INSTRUMENTATION);
    let mut lines = Vec::new();
    let status = command::follow(&mut cargo, |line| lines.push(line.to_owned()))?;
    if !status.success() {
        lines.iter().for_each(say::line);
        bail!("the targets do not build");
    }
    Ok(output.join(host).join("release"))
}

/// Runs one target from its seeds, in a corpus that grows from run to run.
fn run_target(programs: &Path, target: &str, seconds: u64) -> Result<String> {
    let work = machine::target_dir().join("fuzz").join("work").join(target);
    let corpus = work.join("corpus");
    fs::create_dir_all(&corpus)?;
    let mut program = Command::new(programs.join(target));
    program
        .current_dir(&work)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .args(["-print_final_stats=1", "-artifact_prefix=found-"])
        .arg(&corpus)
        .arg(machine::root().join("fuzz/seeds").join(target));
    let mut lines = Vec::new();
    let status = command::follow(&mut program, |line| lines.push(line.to_owned()))?;
    if !status.success() {
        let first = lines.len().saturating_sub(LINES_SHOWN);
        lines.iter().skip(first).for_each(say::line);
        bail!(
            "ended with {status}; what it found is in {}",
            work.display()
        );
    }
    let inputs = number_after(&lines, "stat::number_of_executed_units:");
    let coverage = number_after(&lines, "cov:");
    ensure!(
        seconds * INPUTS_A_SECOND_MIN <= inputs,
        "only {inputs} inputs were tried"
    );
    ensure!(COVERAGE_MIN <= coverage, "only {coverage} edges were seen");
    Ok(format!("{inputs} inputs, {coverage} edges"))
}

/// The last number that follows a word; zero if there is none.
fn number_after(lines: &[String], word: &str) -> u64 {
    let after = |line: &String| {
        let (_, rest) = line.split_once(word)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    lines.iter().rev().find_map(after).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_counts() {
        let lines = ["#1 NEW cov: 5 ft: 6", "#9 DONE cov: 17 ft: 20", "stat: 3"];
        let lines = lines.map(str::to_owned);
        assert_eq!(number_after(&lines, "cov:"), 17);
        assert_eq!(number_after(&lines, "gone:"), 0);
    }

    #[test]
    fn every_target_has_seeds() {
        for target in all_targets().unwrap() {
            let seeds = machine::root().join("fuzz/seeds").join(&target);
            assert!(fs::read_dir(&seeds).unwrap().next().is_some(), "{target}");
        }
    }
}
