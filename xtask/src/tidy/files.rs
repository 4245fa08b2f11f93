//! What a source file must look like: it says what it is for, and it is short enough to read.

use super::Finding;
use super::tree::File;

/// Lines of a source file, its inline tests not counted.
const LINES_MAX: usize = 500;
/// Lines of inline tests; more of them move to `tests.rs` beside the module.
const TEST_LINES_MAX: usize = 200;

/// Checks one file; only Rust sources that people wrote have these rules.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.path.ends_with(".rs") || file.is_generated() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !opens_with_its_purpose(&file.text) {
        found.push(Finding::at_line(
            &file.path,
            1,
            "opens without `//!` saying what it is for",
        ));
    }
    let lengths = Lengths::of(&file.text);
    if lengths.code > LINES_MAX && !is_test_file(&file.path) {
        let message = format!(
            "has {} lines without tests; split it at {LINES_MAX}",
            lengths.code
        );
        found.push(Finding::new(&file.path, message));
    }
    if lengths.tests > TEST_LINES_MAX {
        let message = format!(
            "has {} lines of inline tests; move them to `tests.rs`",
            lengths.tests
        );
        found.push(Finding::new(&file.path, message));
    }
    found
}

fn opens_with_its_purpose(text: &str) -> bool {
    text.lines()
        .next()
        .is_some_and(|line| line.starts_with("//!"))
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// How many lines are code and how many are inline test modules.
#[derive(Debug, PartialEq, Eq)]
struct Lengths {
    code: usize,
    tests: usize,
}

impl Lengths {
    /// Inline tests run from `#[cfg(test)]` over a `mod … {` to the brace in the first column.
    fn of(text: &str) -> Self {
        let mut lengths = Self { code: 0, tests: 0 };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let opens = lines
                .peek()
                .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            if line != "#[cfg(test)]" || !opens {
                lengths.code += 1;
                continue;
            }
            lengths.tests += 1;
            for line in lines.by_ref() {
                lengths.tests += 1;
                if line == "}" {
                    break;
                }
            }
        }
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        check(&file).iter().map(ToString::to_string).collect()
    }

    fn source(code_lines: usize, test_lines: usize) -> String {
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// t\n".repeat(test_lines - 3)
        );
        format!("//! Purpose.\n{}{tests}", "// c\n".repeat(code_lines - 1))
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        let want = vec!["src/a.rs:1: opens without `//!` saying what it is for"];
        assert_eq!(messages("src/a.rs", "use std::fmt;\n"), want);
        assert_eq!(messages("src/a.rs", ""), want);
        assert_eq!(messages("src/a.rs", "//! Purpose.\n"), Vec::<String>::new());
        assert_eq!(messages("a.py", "import os\n"), Vec::<String>::new());
    }

    #[test]
    fn a_file_is_short_without_its_tests() {
        assert_eq!(
            messages("src/a.rs", &source(500, 200)),
            Vec::<String>::new()
        );
        let want = vec!["src/a.rs: has 501 lines without tests; split it at 500"];
        assert_eq!(messages("src/a.rs", &source(501, 200)), want);
        let want = vec!["src/a.rs: has 201 lines of inline tests; move them to `tests.rs`"];
        assert_eq!(messages("src/a.rs", &source(500, 201)), want);
    }

    #[test]
    fn code_after_the_tests_counts_as_code() {
        let text = format!("{}{}", source(300, 10), "// c\n".repeat(201));
        assert_eq!(
            Lengths::of(&text),
            Lengths {
                code: 501,
                tests: 10
            }
        );
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_one_line_here() {
        let lengths = Lengths::of("//! Purpose.\n#[cfg(test)]\nmod tests;\nfn f() {}\n");
        assert_eq!(lengths, Lengths { code: 4, tests: 0 });
    }

    #[test]
    fn generated_and_test_files_may_be_long() {
        let long = "// c\n".repeat(900);
        assert_eq!(
            messages("src/a.rs", &format!("// @generated\n{long}")),
            Vec::<String>::new()
        );
        let purpose = format!("//! Purpose.\n{long}");
        assert_eq!(
            messages("crates/x/tests/it/main.rs", &purpose),
            Vec::<String>::new()
        );
        assert_eq!(
            messages("crates/x/src/y/tests.rs", &purpose),
            Vec::<String>::new()
        );
    }
}
