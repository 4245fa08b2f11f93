//! Words that must not stay: unfinished work, and paths of one person's machine.

use super::Finding;
use super::tree::File;

/// Written in two halves, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
];

const MACHINE_PATHS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/ho", "me/"),
];

/// The launcher's tests name the folders that a job must not see.
const MAY_NAME_HOMES: &str = "crates/launch/";

/// Checks one file, line by line.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for word in UNFINISHED.iter().filter(|word| contains_word(line, word)) {
            let message = format!("`{word}`: finish it, or open an issue and leave the mark out");
            found.push(Finding::at_line(&file.path, number, message));
        }
        for path in MACHINE_PATHS.iter().filter(|path| names_path(line, path)) {
            if !file.path.starts_with(MAY_NAME_HOMES) {
                let message = format!("`{path}` is a path of one machine");
                found.push(Finding::at_line(&file.path, number, message));
            }
        }
    }
    found
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_word_char) && !after.is_some_and(is_word_char)
    })
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// An absolute path begins after something that cannot be part of a longer path.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| is_word_char(c) || matches!(c, '.' | '}' | '~' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        check(&file)
            .into_iter()
            .map(|finding| finding.place)
            .collect()
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            assert_eq!(
                places("a.py", &format!("x\n# {word} later\n")),
                ["a.py:2"],
                "{word}"
            );
        }
        assert_eq!(
            places("a.py", "MAS_TODOS = 1\nunimplemented\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for path in MACHINE_PATHS {
            assert_eq!(
                places("a.sh", &format!("ls {path}x\n")),
                ["a.sh:1"],
                "{path}"
            );
            assert_eq!(
                places("a.sh", &format!("ls s3://b{path}x\n")),
                Vec::<String>::new()
            );
            assert_eq!(
                places("crates/launch/a.rs", &format!("{path}x")),
                Vec::<String>::new()
            );
        }
    }
}
