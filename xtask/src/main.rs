//! Chores of this repository: `cargo xtask <chore>`.

mod bench;
mod check;
mod codegen;
mod command;
mod demo;
mod fuzz;
mod machine;
mod say;
mod server;
mod text;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measures start, memory and job overhead of the real binary
    Bench,
    /// Writes wire types, operation tables and docs/support from models/
    Codegen(codegen::Arguments),
    /// Runs the article's programs against a fresh server and shows what they made
    Demo,
    /// Feeds the readers of untrusted bytes with inputs that a fuzzer makes up
    Fuzz(fuzz::Arguments),
    /// Runs every check, or only some groups of them, and ends with one summary
    Test(check::Arguments),
    /// Checks the house rules: layers, table owners, the form of files
    Tidy,
    /// Becomes a command that ends when the process that started it ends
    #[command(hide = true)]
    Bound { words: Vec<OsString> },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Bench => bench::run(),
        Chore::Codegen(arguments) => codegen::run(&arguments),
        Chore::Demo => demo::run(),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Test(arguments) => check::run(&arguments),
        Chore::Tidy => tidy::run(),
        Chore::Bound { words } => command::become_bound(&words),
    };
    if let Err(error) = result {
        say::failure(&error);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
