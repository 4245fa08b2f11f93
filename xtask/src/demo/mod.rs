//! `cargo xtask demo`: the article's programs against a fresh server, shown step by step.

mod findings;
mod output;

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::server::Server;
use crate::{command, machine, say, text};
use output::Output;

/// The article's programs, in the order in which they hand results on.
const PROGRAMS: &[&str] = &["01_processing.py", "02_training.py"];
/// The images that the programs name; what stands in for them is built before the clock of a job
/// runs, so that one sees it being built.
const IMAGES: &[&str] = &[
    "sagemaker-scikit-learn:0.20.0-cpu-py3",
    "sagemaker-scikit-learn:1.2-1-cpu-py3",
];
/// How much of a failed step's output is shown; the rest is in its log.
const LAST_LINES: usize = 20;

/// Where the demo keeps its things; the next demo begins by emptying it.
struct Demo {
    folder: PathBuf,
    python: PathBuf,
    started: Instant,
    checks: usize,
}

pub(crate) fn run() -> Result<()> {
    let started = machine::now();
    step(
        "client environment",
        "read what pip says above; PyPI must be reachable once",
        client,
    )?;
    step(
        "build the server",
        "read the compiler's message above",
        build,
    )?;
    step(
        "environments for the jobs",
        "PyPI must be reachable once; read the reason above",
        images,
    )?;
    let folder = machine::cache()?.join("demo");
    let mut demo = Demo {
        folder,
        python: machine::client_python()?,
        started,
        checks: 0,
    };
    let server = step(
        "start the server on an empty data directory",
        "read what it said; its folder must be writable",
        || demo.start(),
    )?;
    for program in PROGRAMS {
        let advice = "read the whole logs in the folder named above";
        step(program, advice, || demo.program(&server, program))?;
    }
    step(
        "what now exists",
        "read the server's log in the folder named above",
        || findings::show(&server, &demo.python),
    )?;
    demo.end(server)
}

/// Shows a step's name, runs it, and shows how long it took or what to do about its failure.
fn step<T>(name: &str, advice: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    say::line(say::bold(&format!("\n== {name}")));
    let started = machine::now();
    let result = act();
    let took = say::duration(started.elapsed());
    if result.is_ok() {
        say::line(format!("{}  {name} ({took})", say::green("done")));
    }
    result.map_err(|error| {
        let reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
        let because = reasons.join("\nbecause: ");
        anyhow!("the step `{name}` failed after {took}\nbecause: {because}\nwhat to do: {advice}")
    })
}

fn client() -> Result<()> {
    let mut setup = Command::new(machine::root().join("scripts/setup"));
    let status = command::follow(setup.arg("client"), |line| say::line(format!("   {line}")))?;
    if !status.success() {
        bail!("scripts/setup ended with {status}");
    }
    Ok(())
}

fn build() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(machine::root())
        .args(["build", "--package", "sightline"]);
    let status = cargo.status().context("starting cargo")?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    Ok(())
}

fn images() -> Result<()> {
    for image in IMAGES {
        say::line(format!("   $ sightline image build {image}"));
        let mut build = command::bound(machine::binary())?;
        build.args(["image", "build", image]);
        let mut last = String::new();
        let status = command::follow(&mut build, |line| {
            say::line(format!("   {line}"));
            line.clone_into(&mut last);
        })?;
        if !status.success() {
            bail!("{image}: {last}");
        }
    }
    Ok(())
}

impl Demo {
    fn start(&self) -> Result<Server> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("emptying {}", self.folder.display()))?;
        }
        fs::create_dir_all(&self.folder)?;
        let server = Server::start(&self.folder)?;
        say::line(format!("   listening on {}", server.endpoint));
        say::line(format!("   logs and data in {}", self.folder.display()));
        Ok(server)
    }

    /// Runs one program as a user would, and shows its checks and its jobs' logs as they come.
    ///
    /// What it writes to standard error is the SDK talking about itself: it goes to a file, and
    /// is shown when the program fails.
    fn program(&mut self, server: &Server, program: &str) -> Result<()> {
        let path = Path::new("examples/article").join(program);
        say::line(format!("   $ sightline run -- python {}", path.display()));
        let mut command = server.run_bound(&self.python)?;
        command
            .current_dir(machine::root())
            .arg(path)
            .env("PYTHONUNBUFFERED", "1");
        let errors = self.folder.join(program).with_extension("stderr");
        let mut output = Output::new(File::create(errors.with_extension("stdout"))?);
        let said_bytes = server.said_bytes();
        let status = command::follow_output(&mut command, File::create(&errors)?, |line| {
            output.take(line);
        })?;
        self.checks += output.checks;
        if status.success() {
            return Ok(());
        }
        let last = text::last_lines(&fs::read(&errors)?, LAST_LINES);
        let server_said = server.last_lines_since(said_bytes, LAST_LINES);
        Err(anyhow!("the server said meanwhile:\n{server_said}"))
            .with_context(|| format!("{program} ended with {status}; its last lines:\n{last}"))
    }

    /// Says how to look further, and keeps the server for as long as somebody wants to.
    fn end(&self, server: Server) -> Result<()> {
        let (checks, took) = (self.checks, say::duration(self.started.elapsed()));
        say::line(say::green(&format!(
            "\nThe article's programs ran: {checks} checks held, in {took}."
        )));
        say_how_to_look(&server, &self.python);
        if machine::can_answer() {
            say::line("\nThe server runs until you press Enter.");
            io::stdin().lock().read_line(&mut String::new())?;
        }
        let status = server.stop()?;
        say::line(format!("The server has ended ({status})."));
        Ok(())
    }
}

fn say_how_to_look(server: &Server, python: &Path) {
    let (binary, root) = (machine::binary(), machine::root());
    let binary = binary.strip_prefix(&root).unwrap_or(&binary).display();
    let data_dir = server.data_dir().display();
    let aws = python.with_file_name("aws");
    say::line("\nTo look further while its server runs (or start it again with the last line):");
    say::line(format!("   {binary} job list --data-dir {data_dir}"));
    say::line(format!(
        "   {binary} job logs -f NAME --data-dir {data_dir}"
    ));
    say::line(format!(
        "   {binary} run --data-dir {data_dir} -- {} s3 ls",
        aws.display()
    ));
    say::line(format!("   {binary} serve --data-dir {data_dir}"));
}
