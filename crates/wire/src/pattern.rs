//! The regular expressions of service models: Java's dialect, matched against whole values.

use std::sync::OnceLock;

use fancy_regex::Regex;

/// A pattern as the model spells it, compiled when it is first used.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern in Java's dialect.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    /// The pattern as the model spells it, which is how messages show it.
    #[must_use]
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Whether the whole of `value` matches.
    ///
    /// A pattern that does not compile or that gives up refuses every value. That all patterns of
    /// a model compile is tested where the model lives.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.regex()
            .is_some_and(|regex| regex.is_match(value).unwrap_or(false))
    }

    /// Whether the pattern could be compiled.
    #[must_use]
    pub fn compiles(&self) -> bool {
        self.regex().is_some()
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| Regex::new(&format!(r"\A(?:{})\z", translate(self.text))).ok())
            .as_ref()
    }
}

/// Rewrites what Java's dialect means otherwise: its `\d`, `\w`, `\s` and POSIX classes know ASCII
/// only, its `.` stops at more line ends, and characters beyond the basic plane are written as
/// two escapes.
fn translate(java: &str) -> String {
    let mut rust = String::with_capacity(java.len() + 16);
    let mut class_depth = 0_usize;
    let mut rest = java;
    while let Some(first) = rest.chars().next() {
        if let Some((replacement, used)) = translate_escape(rest, 0 < class_depth) {
            rust.push_str(&replacement);
            rest = &rest[used..];
            continue;
        }
        match first {
            '[' => class_depth += 1,
            ']' => class_depth = class_depth.saturating_sub(1),
            _ => {}
        }
        if first == '.' && class_depth == 0 {
            rust.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]");
        } else {
            rust.push(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    rust
}

/// The replacement of the escape that `rest` begins with, and how many bytes it stands for.
fn translate_escape(rest: &str, in_class: bool) -> Option<(String, usize)> {
    let escaped = rest.strip_prefix('\\')?.chars().next()?;
    let (ascii, used) = match escaped.to_ascii_lowercase() {
        'd' => ("0-9", 2),
        'w' => ("a-zA-Z0-9_", 2),
        's' => (r"\t\n\x0B\x0C\r ", 2),
        'u' => return translate_unicode(rest),
        'p' if posix_class(rest).is_some() => posix_class(rest)?,
        _ => {
            let used = 1 + escaped.len_utf8();
            return Some((rest[..used].to_owned(), used));
        }
    };
    let replacement = match (escaped.is_ascii_uppercase(), in_class) {
        (true, _) => format!("[^{ascii}]"),
        (false, true) => ascii.to_owned(),
        (false, false) => format!("[{ascii}]"),
    };
    Some((replacement, used))
}

/// What is in the POSIX class that `rest` begins with, such as `\p{Alnum}`, and the bytes it takes.
fn posix_class(rest: &str) -> Option<(&'static str, usize)> {
    let (name, _) = rest.get(2..)?.strip_prefix('{')?.split_once('}')?;
    let ascii = match name {
        "Alnum" => "a-zA-Z0-9",
        "Alpha" => "a-zA-Z",
        "ASCII" => r"\x00-\x7F",
        "Blank" => r" \t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "Digit" => "0-9",
        "Graph" => r"\x21-\x7E",
        "Lower" => "a-z",
        "Print" => r"\x20-\x7E",
        "Punct" => r"!-/:-@\[-`{-~",
        "Space" => r"\t\n\x0B\x0C\r ",
        "Upper" => "A-Z",
        "XDigit" => "0-9a-fA-F",
        _ => return None,
    };
    Some((ascii, name.len() + 4))
}

/// Joins a surrogate pair written as two `\u` escapes; a single escape is kept.
fn translate_unicode(rest: &str) -> Option<(String, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    let pair = [first, rest.get(6..).and_then(unit).unwrap_or_default()];
    let joined = char::decode_utf16(pair)
        .next()?
        .ok()
        .filter(|c| 0xFFFF < u32::from(*c));
    match joined {
        Some(c) => Some((format!("\\x{{{:X}}}", u32::from(c)), 12)),
        None => Some((format!("\\x{{{first:X}}}"), 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &'static str, value: &str, expected: bool) {
        let pattern = Pattern::new(pattern);
        assert!(pattern.compiles(), "{}", pattern.text());
        assert_eq!(
            pattern.matches(value),
            expected,
            "{} against {value:?}",
            pattern.text()
        );
    }

    #[test]
    fn the_whole_value_must_match() {
        check("[a-z]+", "abc", true);
        check("[a-z]+", "abc1", false);
        check("[a-z]+", "abc\n", false);
        check("^[a-z]+$", "abc\n", false);
        check("a|b", "ab", false);
        check("", "", true);
    }

    #[test]
    fn classes_know_ascii_only() {
        check(r"\d+", "12", true);
        check(r"\d+", "１２", false);
        check(r"[\w-]+", "a_b-c", true);
        check(r"[\w-]+", "é", false);
        check(r"[\S\s]*", "a\u{A0}\n", true);
        check(r"[^\s]+", "a\u{A0}", true);
        check(r"\S+", "a b", false);
        check(r"[\p{Alnum}\-]+", "a-1", true);
        check(r"\p{Alnum}+", "é", false);
        check(r"\P{Alnum}+", "é", true);
        check(r"\p{L}+", "é", true);
        check(r"[\p{Punct}]+", "[]^`~", true);
    }

    #[test]
    fn a_dot_stops_at_every_line_end_but_not_in_a_class() {
        check(".*", "a.b", true);
        check(".*", "a\rb", false);
        check("[.]", ".", true);
        check("[.]", "a", false);
        check(r"\.", ".", true);
    }

    #[test]
    fn lookaround_and_pairs_are_understood() {
        check("(?!aws:)[a-z:]*", "aws:x", false);
        check("(?!aws:)[a-z:]*", "awx:x", true);
        check(
            r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*",
            "a\u{1F600}",
            true,
        );
        check(r"[\u0020-\uFFFD]*", "\u{1F600}", false);
    }
}
