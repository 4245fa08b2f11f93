//! The `sightline` command: the server, and what its users type around it. No rules live here.

mod access;
mod audit;
mod backup;
mod client;
mod config;
mod doctor;
mod environment;
mod image;
mod job;
mod keys;
mod migrate;
mod places;
mod say;
mod serve;
mod xml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Continuous visibility over code, data, training, inference and activity.
#[derive(Debug, Parser)]
#[command(name = "sightline", version, disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until it is asked to end.
    Serve(serve::Serve),
    /// Shows and checks the configuration.
    #[command(subcommand)]
    Config(config::Config),
    /// Prints the variables with which programs reach the running server.
    Env(environment::Env),
    /// Runs a program with those variables.
    Run(environment::Run),
    /// Prints the owner's key, and makes, lists and switches off keys.
    Keys(keys::Keys),
    /// Shows who may do what, and why.
    #[command(subcommand)]
    Access(access::Access),
    /// Shows jobs and their logs.
    #[command(subcommand)]
    Job(job::Job),
    /// Makes environments ready for images.
    #[command(subcommand)]
    Image(image::Image),
    /// Verifies, exports and follows the record of activity.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Says what is not well on this host and in the data directory.
    Doctor(doctor::Doctor),
    /// Copies everything that must last, while the server runs.
    Backup(backup::Backup),
    /// Makes a data directory from a backup.
    Restore(backup::Restore),
    /// Copies the metadata of a data directory into a PostgreSQL database; its server must not run.
    Migrate(migrate::Migrate),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Env(env) => env.run(),
        Command::Run(run) => return run.run(),
        Command::Keys(keys) => keys.run(),
        Command::Access(access) => access.run(),
        Command::Job(job) => job.run(),
        Command::Image(image) => image.run(),
        Command::Audit(audit) => audit.run(),
        Command::Doctor(doctor) => return doctor.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Version => {
            say::line(format!("sightline {}", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}
