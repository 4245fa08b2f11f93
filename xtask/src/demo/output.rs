//! A program's standard output as the demo shows it, while the whole of it goes to a file.

use std::fs::File;
use std::io::Write;

use crate::say;

/// Takes the lines of one program.
#[derive(Debug)]
pub(super) struct Output {
    whole: File,
    folded: usize,
    /// How many checks held.
    pub(super) checks: usize,
}

impl Output {
    pub(super) fn new(whole: File) -> Self {
        Self {
            whole,
            folded: 0,
            checks: 0,
        }
    }

    /// Keeps a line and shows it: checks stand out, everything else stands back.
    pub(super) fn take(&mut self, line: &str) {
        // The file is for reading on; without it the demo is still what it is.
        writeln!(self.whole, "{line}").ok();
        if let Some(check) = line.strip_prefix("ok  - ") {
            self.checks += 1;
            say::line(format!("   {}  - {check}", say::green("ok")));
        } else if let Some(line) = self.folded(line) {
            say::line(format!("      {line}"));
        }
    }

    /// The line to show for this one; a training job's description of itself becomes one line.
    fn folded(&mut self, line: &str) -> Option<String> {
        if line == "{" || (self.folded > 0 && line != "}") {
            self.folded += 1;
            return None;
        }
        if self.folded > 0 {
            let told = format!("{{ … {} lines }}", self.folded - 1);
            self.folded = 0;
            return Some(told);
        }
        Some(line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_folded_and_checks_are_counted() {
        let mut output = Output::new(tempfile::tempfile().unwrap());
        let shown = |output: &mut Output, lines: &[&str]| -> Vec<String> {
            lines
                .iter()
                .filter_map(|line| output.folded(line))
                .collect()
        };
        let lines = ["before", "{", "  \"a\": {", "  }", "}", "after"];
        assert_eq!(
            shown(&mut output, &lines),
            ["before", "{ … 2 lines }", "after"]
        );
        output.take("ok  - it holds");
        output.take("not ok");
        assert_eq!(output.checks, 1);
    }
}
