//! Writing to the terminal. A reader that has gone away is no reason to fail.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line on standard output.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        // As for any command in a pipe whose reader has seen enough.
        std::process::exit(0);
    }
}

/// Prints an error with its causes on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "sightline: {error:#}"));
}
