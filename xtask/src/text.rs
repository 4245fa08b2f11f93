//! Small questions about text that several chores ask.

/// The last `count` lines of what a program wrote.
pub(crate) fn last_lines(written: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(written);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_last() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines(b"a", 2), "a");
        assert_eq!(last_lines(b"", 2), "");
    }
}
