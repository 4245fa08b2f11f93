//! Finding metric values in what a training program prints.

use fancy_regex::{Regex, RegexBuilder};
use sightline_types::Timestamp;

use crate::MetricDefinition;

/// Steps that one search may take back; a pattern that needs more finds nothing.
const BACKTRACK_MAX: usize = 100_000;

/// Characters of a line that are searched.
const LINE_CHARS_MAX: usize = 4_096;

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// The metric's name.
    pub metric: String,
    /// The number found.
    pub value: f64,
    /// When its line was printed.
    pub at: Timestamp,
}

/// The compiled definitions of a job.
#[derive(Debug, Default)]
pub(crate) struct Scanner(Vec<(String, Regex)>);

/// A definition whose expression is none.
#[derive(Debug, thiserror::Error)]
#[error("the regular expression {regex:?} of metric {metric:?} cannot be read: {reason}")]
pub(crate) struct InvalidMetric {
    metric: String,
    regex: String,
    reason: String,
}

impl Scanner {
    pub(crate) fn new(definitions: &[MetricDefinition]) -> Result<Self, InvalidMetric> {
        let compile = |definition: &MetricDefinition| {
            RegexBuilder::new(&definition.regex)
                .backtrack_limit(BACKTRACK_MAX)
                .build()
                .map(|regex| (definition.name.clone(), regex))
                .map_err(|error| InvalidMetric {
                    metric: definition.name.clone(),
                    regex: definition.regex.clone(),
                    reason: error.to_string(),
                })
        };
        definitions
            .iter()
            .map(compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The values in a line: of each metric, the first group of the first match.
    pub(crate) fn scan(&self, line: &str, at: Timestamp) -> Vec<MetricPoint> {
        let end = line
            .char_indices()
            .nth(LINE_CHARS_MAX)
            .map_or(line.len(), |(at, _)| at);
        let line = &line[..end];
        let find = |(metric, regex): &(String, Regex)| {
            let found = regex.captures(line).ok().flatten()?;
            let value: f64 = found.get(1)?.as_str().trim().parse().ok()?;
            value.is_finite().then(|| MetricPoint {
                metric: metric.clone(),
                value,
                at,
            })
        };
        self.0.iter().filter_map(find).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(regex: &str, line: &str) -> Option<f64> {
        let definition = MetricDefinition {
            name: "m".to_owned(),
            regex: regex.to_owned(),
        };
        let scanner = Scanner::new(&[definition]).unwrap();
        scanner
            .scan(line, Timestamp::EPOCH)
            .first()
            .map(|point| point.value)
    }

    #[test]
    fn the_first_group_of_the_first_match_is_the_value() {
        let cases = [
            (
                r"acc=([0-9.]+);",
                "loss=1; acc=0.975; acc=0.5;",
                Some(0.975),
            ),
            (r"acc=([0-9.]+);", "acc=none;", None),
            (r"acc=([0-9.eE+-]+)", "acc=1e-3", Some(0.001)),
            (r"(?<=acc=)(\d+)", "acc=7", Some(7.0)),
            (r"acc=[0-9]+", "acc=7", None),
            (r"v=(\S+)", "v=nan", None),
            (r"v=(\S+)", "v=inf", None),
            (r"v=(\S+)", "ü v=4", Some(4.0)),
        ];
        for (regex, line, expected) in cases {
            assert_eq!(scan(regex, line), expected, "{regex} in {line}");
        }
    }

    #[test]
    fn a_pattern_that_backtracks_without_end_finds_nothing() {
        let line = format!("{}!", "a".repeat(60));
        assert_eq!(scan(r"((a+)+)(?=b)(\1)", &line), None);
    }

    #[test]
    fn an_unreadable_pattern_is_refused_by_name() {
        let definition = MetricDefinition {
            name: "m".to_owned(),
            regex: "(".to_owned(),
        };
        let refused = Scanner::new(&[definition]).unwrap_err().to_string();
        assert!(refused.contains("\"(\" of metric \"m\""), "{refused}");
    }
}
