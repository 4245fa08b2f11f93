//! Chores of this repository: `cargo xtask <chore>`.

mod codegen;
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Writes wire types, operation tables and docs/support from models/
    Codegen(codegen::Arguments),
    /// Checks the house rules: layers, table owners, the form of files
    Tidy,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Codegen(arguments) => codegen::run(&arguments),
        Chore::Tidy => tidy::run(),
    }
}
