//! What a chore tells the person who runs it.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use crate::machine;

/// Writes one line to standard output; a reader who has gone away is no failure of the chore.
pub(crate) fn line(text: impl Display) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// Writes why a chore failed to standard error, the outermost reason first.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut out = io::stderr().lock();
    let reasons: Vec<String> = error.chain().map(ToString::to_string).collect();
    writeln!(out, "\n{} {}", red("failed:"), reasons.join("\nbecause: ")).ok();
}

/// Dresses text for a terminal, and leaves it plain elsewhere.
pub(crate) fn bold(text: &str) -> String {
    dressed("1", text)
}

pub(crate) fn green(text: &str) -> String {
    dressed("32", text)
}

pub(crate) fn red(text: &str) -> String {
    dressed("31", text)
}

fn dressed(code: &str, text: &str) -> String {
    if machine::is_watched() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A duration as people read it: `0.4 s`, `12 s`, `3 min 5 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [
            (430, "0.4 s"),
            (9_940, "9.9 s"),
            (12_600, "12 s"),
            (185_000, "3 min 5 s"),
        ];
        for (milliseconds, want) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), want);
        }
    }
}
