//! How many tests passed and failed, read from what the test runners write last.

/// Tests that passed and tests that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Counts {
    /// Reads a closing line of nextest (`Summary [ 1.2s] 3 tests run: 2 passed, 1 failed`) or of
    /// pytest (`1 failed, 2 passed, 1 error in 0.12s`).
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let closes_nextest = line.contains("Summary [") && line.contains(" run:");
        let closes_pytest = line.contains(" in ") && line.trim_matches(['=', ' ']).ends_with('s');
        if !closes_nextest && !closes_pytest && !line.contains("s (0:") {
            return None;
        }
        let words: Vec<&str> = line
            .split([' ', ',', '='])
            .filter(|w| !w.is_empty())
            .collect();
        let mut counts = Self::default();
        let mut is_told = false;
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match *what {
                "passed" => counts.passed += number,
                "failed" | "error" | "errors" | "timed" => counts.failed += number,
                _ => continue,
            }
            is_told = true;
        }
        is_told.then_some(counts)
    }

    pub(super) fn of_check(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_understood() {
        let cases = [
            (
                "     Summary [   0.012s] 19 tests run: 18 passed (1 slow), 1 failed, 2 skipped",
                18,
                1,
            ),
            (
                "     Summary [  61.012s] 3/9 tests run: 2 passed, 1 timed out",
                2,
                1,
            ),
            (
                "====== 3 failed, 107 passed, 2 errors in 65.00s (0:01:05) ======",
                107,
                5,
            ),
            ("23 passed in 2.51s", 23, 0),
            (
                "\u{1b}[32m\u{1b}[1m23 passed\u{1b}[0m\u{1b}[32m in 2.51s\u{1b}[0m",
                23,
                0,
            ),
        ];
        for (line, passed, failed) in cases {
            assert_eq!(
                Counts::of_line(line),
                Some(Counts { passed, failed }),
                "{line}"
            );
        }
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "12 passed the door",
            "collected 9 items",
            "Finished in 3s",
            "FAILED x.py",
        ] {
            assert_eq!(Counts::of_line(line), None, "{line}");
        }
    }
}
