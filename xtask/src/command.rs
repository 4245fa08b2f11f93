//! Commands that a chore runs: followed line by line, and never left behind.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

/// Runs a command to its end and hands on each line of its two outputs in the order it wrote them.
pub(crate) fn follow(command: &mut Command, line: impl FnMut(&str)) -> Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    lines_of(command, reader, line)
}

/// The same for its standard output alone; its errors go to the file.
pub(crate) fn follow_output(
    command: &mut Command,
    errors: File,
    line: impl FnMut(&str),
) -> Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer).stderr(errors);
    lines_of(command, reader, line)
}

fn lines_of(
    command: &mut Command,
    reader: PipeReader,
    mut line: impl FnMut(&str),
) -> Result<ExitStatus> {
    let name = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("starting {}", name.display()))?;
    // Our copies of the writing end must go, or reading would never come to an end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// A command that ends when this process does, however this process ends.
///
/// It is this program again as `cargo xtask bound`, which asks for that and then becomes the
/// command; asking between fork and exec would need `unsafe`.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bound").arg("--").arg(program);
    Ok(command)
}

/// Becomes the command, having asked to be told when the parent ends.
pub(crate) fn become_bound(words: &[OsString]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no command to run")?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_the_order_they_were_written() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; printf three; exit 4";
        let status = follow(Command::new("sh").args(["-c", script]), |line| {
            lines.push(line.to_owned())
        });
        assert_eq!(status.unwrap().code(), Some(4));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = follow(&mut Command::new("no-such-program"), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "starting no-such-program");
    }
}
