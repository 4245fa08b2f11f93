//! What the programs left behind, asked of the running server with the AWS command line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::say;
use crate::server::Server;

/// How many kinds of events are named.
const NAMES_SHOWN: usize = 4;

/// Shows jobs, models, buckets and events, one line each.
pub(super) fn show(server: &Server, python: &Path) -> Result<()> {
    let aws = python.with_file_name("aws");
    let ask = |arguments: &[&str]| answer(server, &aws, arguments);
    let processing = ask(&["sagemaker", "list-processing-jobs"])?;
    for job in items(&processing, "ProcessingJobSummaries") {
        row(
            "job",
            &job["ProcessingJobName"],
            text(&job["ProcessingJobStatus"]),
        );
    }
    let training = ask(&["sagemaker", "list-training-jobs"])?;
    for job in items(&training, "TrainingJobSummaries") {
        row(
            "job",
            &job["TrainingJobName"],
            text(&job["TrainingJobStatus"]),
        );
    }
    for job in items(&training, "TrainingJobSummaries") {
        let name = text(&job["TrainingJobName"]);
        let told = ask(&[
            "sagemaker",
            "describe-training-job",
            "--training-job-name",
            name,
        ])?;
        row("model", &told["ModelArtifacts"]["S3ModelArtifacts"], "");
    }
    for bucket in items(&ask(&["s3api", "list-buckets"])?, "Buckets") {
        let listed = ask(&[
            "s3api",
            "list-objects-v2",
            "--bucket",
            text(&bucket["Name"]),
        ])?;
        row("bucket", &bucket["Name"], &size(items(&listed, "Contents")));
    }
    let events = ask(&["cloudtrail", "lookup-events"])?;
    say::line(format!("   events  {}", by_name(items(&events, "Events"))));
    Ok(())
}

fn row(kind: &str, name: &Value, more: &str) {
    say::line(format!("   {kind:7} {}  {more}", text(name)));
}

fn size(objects: &[Value]) -> String {
    let bytes: u64 = objects
        .iter()
        .filter_map(|object| object["Size"].as_u64())
        .sum();
    format!("{} objects, {} kB", objects.len(), bytes.div_ceil(1000))
}

/// `134 recorded, most of them 59 GetCallerIdentity, 24 PutObject`, the most frequent first.
fn by_name(events: &[Value]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for event in events {
        *counts.entry(text(&event["EventName"])).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> = counts
        .iter()
        .take(NAMES_SHOWN)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!(
        "{} recorded, most of them {}",
        events.len(),
        told.join(", ")
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// One call of the AWS command line, as `sightline run -- aws …`.
fn answer(server: &Server, aws: &Path, arguments: &[&str]) -> Result<Value> {
    let done = server
        .run(aws)
        .args(arguments)
        .args(["--output", "json"])
        .output()?;
    if !done.status.success() {
        bail!(
            "aws {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&done.stderr)
        );
    }
    // A list without members is no text at all.
    if done.stdout.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&done.stdout).with_context(|| format!("aws {}", arguments.join(" ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_counted_by_name() {
        let events: Vec<Value> = ["A", "B", "B", "C", "D", "E", "F"]
            .iter()
            .map(|name| json!({ "EventName": name }))
            .collect();
        assert_eq!(
            by_name(&events),
            "7 recorded, most of them 2 B, 1 A, 1 C, 1 D"
        );
    }

    #[test]
    fn sizes_are_summed() {
        let objects = [json!({ "Size": 1500 }), json!({ "Size": 501 })];
        assert_eq!(size(&objects), "2 objects, 3 kB");
    }
}
