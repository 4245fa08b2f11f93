//! `cargo xtask test`: everything that must hold, group by group, with one summary at the end.
//!
//! A group that fails does not keep the later ones from running: one run tells everything.

mod counts;

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{command, fuzz, machine, say, tidy};
use counts::Counts;

/// Where the Python files that go into the product have their tests.
const PYTHON_TESTS: &[&str] = &["crates/launch/shim", "crates/sightline/client/tests"];

/// The crates whose tests take their store from the test kit.
const KEEPS_SOMETHING: &[&str] = &[
    "sightline-identity",
    "sightline-jobs",
    "sightline-meta",
    "sightline-objects",
    "sightline-telemetry",
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these groups
    groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Format, clippy, house rules, generated code, dependencies
    Lints,
    /// Unit, contract and protocol tests
    Rust,
    /// The tests of what is kept, on a real PostgreSQL
    Postgres,
    /// Tests of the Python files that the product carries
    Python,
    /// Unmodified Python clients against the real binary
    E2e,
    /// The real binary killed under load, 50 times
    Crash,
    /// The readers of untrusted bytes under a fuzzer, 60 seconds each
    Fuzz,
}

/// What one group came to.
struct Outcome {
    group: Group,
    counts: Counts,
    took: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let asked = |group: &Group| arguments.groups.is_empty() || arguments.groups.contains(group);
    let mut outcomes = Vec::new();
    for group in Group::value_variants().iter().copied().filter(asked) {
        say::line(say::bold(&format!("\n== {}", group.name())));
        let started = machine::now();
        let counts = group.run().unwrap_or_else(|error| {
            say::line(say::red(&format!("{error:#}")));
            Counts::of_check(false)
        });
        outcomes.push(Outcome {
            group,
            counts,
            took: started.elapsed(),
        });
    }
    summarise(&outcomes)
}

fn summarise(outcomes: &[Outcome]) -> Result<()> {
    let total = outcomes
        .iter()
        .fold(Counts::default(), |sum, outcome| sum.and(outcome.counts));
    let took = outcomes.iter().map(|outcome| outcome.took).sum();
    say::line(say::bold("\n== summary"));
    for Outcome {
        group,
        counts,
        took,
    } in outcomes
    {
        let Counts { passed, failed } = counts;
        let took = say::duration(*took);
        let row = format!(
            "{:8}{passed:6} passed{failed:6} failed  {took:>12}",
            group.name()
        );
        say::line(if *failed == 0 {
            say::green(&row)
        } else {
            say::red(&row)
        });
    }
    let Counts { passed, failed } = total;
    say::line(format!("all of it took {}", say::duration(took)));
    say::line(format!("total: {passed} passed, {failed} failed"));
    if failed > 0 {
        bail!("{failed} checks failed; they are told above, each under its group");
    }
    Ok(())
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Lints => "lints",
            Self::Rust => "rust",
            Self::Postgres => "postgres",
            Self::Python => "python",
            Self::E2e => "e2e",
            Self::Crash => "crash",
            Self::Fuzz => "fuzz",
        }
    }

    fn run(self) -> Result<Counts> {
        match self {
            Self::Lints => lints(),
            Self::Rust => tests(cargo(&[
                "nextest",
                "run",
                "--workspace",
                "--no-fail-fast",
                "--status-level=fail",
            ])),
            Self::Postgres => tests(on_postgres()),
            Self::Python => tests(pytest(PYTHON_TESTS)?),
            Self::E2e => {
                succeed(
                    "build the server",
                    cargo(&["build", "--package", "sightline"]),
                )?;
                let clients = tests(pytest(&["e2e", "--ignore=e2e/data"])?)?;
                Ok(clients.and(tests(pytest_of("data", &["e2e/data"])?)?))
            }
            Self::Crash => {
                succeed(
                    "build the server",
                    cargo(&["build", "--package", "sightline"]),
                )?;
                let words = ["run", "--quiet", "--package", "sightline-proof", "--"];
                let mut crash = cargo(&words);
                crash.args(["crash", "--iterations", "50"]);
                tests(crash)
            }
            Self::Fuzz => {
                let found = fuzz::fuzz(&fuzz::Arguments::usual())?;
                Ok(Counts {
                    passed: found.clean,
                    failed: found.findings,
                })
            }
        }
    }
}

/// The tests of every crate that keeps something, with a database in place of a file.
fn on_postgres() -> Command {
    let mut command = cargo(&["nextest", "run", "--no-fail-fast", "--status-level=fail"]);
    for package in KEEPS_SOMETHING {
        command.args(["--package", package]);
    }
    command.env("SIGHTLINE_TEST_METADATA", "postgres");
    command
}

fn lints() -> Result<Counts> {
    let commands = [
        ("format", cargo(&["fmt", "--all", "--", "--check", "-l"])),
        ("generated code", again("codegen", "--check")?),
        (
            "clippy",
            cargo(&[
                "clippy",
                "--keep-going",
                "--workspace",
                "--all-targets",
                "--",
                "--deny=warnings",
            ]),
        ),
        (
            "dependencies",
            cargo(&[
                "deny",
                "--log-level=error",
                "check",
                "bans",
                "licenses",
                "sources",
            ]),
        ),
    ];
    let mut counts = report("house rules", tidy::run());
    for (name, command) in commands {
        counts = counts.and(report(name, succeed(name, command)));
    }
    Ok(counts)
}

fn report(name: &str, result: Result<()>) -> Counts {
    match &result {
        Ok(()) => say::line(format!("{}    {name}", say::green("ok"))),
        Err(error) => say::line(format!("{}  {name}: {error:#}", say::red("fail"))),
    }
    Counts::of_check(result.is_ok())
}

/// Runs a command that is one check; what it wrote is shown only when it failed.
fn succeed(name: &str, mut command: Command) -> Result<()> {
    let mut lines = Vec::new();
    let status = command::follow(&mut command, |line| lines.push(line.to_owned()))?;
    if !status.success() {
        lines.iter().for_each(say::line);
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs a command that is many checks, and shows what it writes as it comes.
fn tests(mut command: Command) -> Result<Counts> {
    let mut counts = None;
    let status = command::follow(&mut command, |line| {
        say::line(line);
        counts = Counts::of_line(line).or(counts);
    })?;
    let counts = counts.unwrap_or_default();
    if counts.failed == 0 && (!status.success() || counts.passed == 0) {
        bail!("the tests did not run to their end: {status}");
    }
    Ok(counts)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(machine::root()).args(arguments);
    command.env(
        "CARGO_TERM_COLOR",
        if machine::is_watched() {
            "always"
        } else {
            "never"
        },
    );
    command
}

/// This program with another chore.
fn again(chore: &str, flag: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(machine::root()).args([chore, flag]);
    Ok(command)
}

fn pytest(arguments: &[&str]) -> Result<Command> {
    pytest_of("client", arguments)
}

/// pytest in one of the environments that `scripts/setup` makes.
fn pytest_of(environment: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(machine::python_of(environment)?);
    let colour = if machine::is_watched() {
        "--color=yes"
    } else {
        "--color=no"
    };
    command.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider", colour]);
    command.args(arguments);
    command.current_dir(machine::root());
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    command.env("SIGHTLINE_BIN", machine::binary());
    Ok(command)
}
