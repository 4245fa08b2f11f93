//! `sightline job`: jobs at a glance, and what they print.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use sightline_types::Timestamp;

use crate::client::{Client, LOGS, Refusal, SAGEMAKER};
use crate::places::DataDirOption;
use crate::say;

/// How long to wait before asking again for more lines.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Lists jobs, the newest first.
    List {
        #[command(flatten)]
        data: DataDirOption,
    },
    /// Prints what a job's instances printed.
    Logs {
        #[command(flatten)]
        data: DataDirOption,
        /// Goes on until the job has ended.
        #[arg(short, long)]
        follow: bool,
        /// The job's name.
        name: String,
    },
}

/// The two kinds of jobs, as the API spells them.
struct Kind {
    word: &'static str,
    list: &'static str,
    describe: &'static str,
    summaries: &'static str,
    noun: &'static str,
    log_group: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        word: "processing",
        list: "ListProcessingJobs",
        describe: "DescribeProcessingJob",
        summaries: "ProcessingJobSummaries",
        noun: "ProcessingJob",
        log_group: "/aws/sagemaker/ProcessingJobs",
    },
    Kind {
        word: "training",
        list: "ListTrainingJobs",
        describe: "DescribeTrainingJob",
        summaries: "TrainingJobSummaries",
        noun: "TrainingJob",
        log_group: "/aws/sagemaker/TrainingJobs",
    },
];

impl Job {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::List { data } => list(&Client::of(&data.path()?)?),
            Self::Logs { data, follow, name } => logs(&Client::of(&data.path()?)?, &name, follow),
        }
    }
}

fn list(client: &Client) -> Result<()> {
    let mut rows = Vec::new();
    for kind in &KINDS {
        for job in all(client, kind)? {
            let created = seconds(&job["CreationTime"]).unwrap_or_default();
            let last = seconds(&job["LastModifiedTime"]).unwrap_or(created);
            let name = text(&job[format!("{}Name", kind.noun)]).to_owned();
            let status = text(&job[format!("{}Status", kind.noun)]).to_owned();
            rows.push((created, kind.word, status, last - created, name));
        }
    }
    if rows.is_empty() {
        say::line("no jobs yet");
        return Ok(());
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    say::line(format!(
        "{:10}  {:10}  {:19}  {:>8}  NAME",
        "KIND", "STATUS", "CREATED (UTC)", "TOOK"
    ));
    for (created, kind, status, took, name) in rows {
        let created = Timestamp::from_epoch_seconds(created).unwrap_or_default();
        let created = created.format("%Y-%m-%d %H:%M:%S");
        say::line(format!(
            "{kind:10}  {status:10}  {created:19}  {took:7.1}s  {name}"
        ));
    }
    Ok(())
}

fn all(client: &Client, kind: &Kind) -> Result<Vec<Value>> {
    let mut jobs = Vec::new();
    let mut input = json!({ "MaxResults": 100, "SortOrder": "Descending" });
    loop {
        let page = client.call(SAGEMAKER, kind.list, &input)?;
        jobs.extend(page[kind.summaries].as_array().cloned().unwrap_or_default());
        match page.get("NextToken") {
            Some(token) => input["NextToken"] = token.clone(),
            None => return Ok(jobs),
        }
    }
}

fn logs(client: &Client, name: &str, follow: bool) -> Result<()> {
    // A processing and a training job may have the same name.
    let mut kinds = Vec::new();
    for kind in &KINDS {
        if status(client, kind, name)?.is_some() {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        bail!("there is no job {name}; `sightline job list` names them all");
    }
    let mut positions = BTreeMap::new();
    loop {
        let mut live = false;
        for kind in &kinds {
            // Asked before the lines are read, so that the last ones are not missed.
            let status = status(client, kind, name)?;
            live |= matches!(status.as_deref(), Some("InProgress" | "Stopping"));
            print_new_lines(client, kind, name, &mut positions)?;
        }
        if !follow || !live {
            return Ok(());
        }
        std::thread::sleep(FOLLOW_EVERY);
    }
}

/// The status of a job; `None` if there is none of this kind and name.
fn status(client: &Client, kind: &Kind, name: &str) -> Result<Option<String>> {
    let input = json!({ format!("{}Name", kind.noun): name });
    let answer = client.call(SAGEMAKER, kind.describe, &input);
    let job = unless(answer, "ValidationException")?;
    Ok(job.map(|job| text(&job[format!("{}Status", kind.noun)]).to_owned()))
}

/// `None` in place of the refusal with this code.
fn unless(answer: Result<Value>, code: &str) -> Result<Option<Value>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error)
            if error
                .downcast_ref::<Refusal>()
                .is_some_and(|r| r.code == code) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Prints what has come since the positions, each line with its instance.
fn print_new_lines(
    client: &Client,
    kind: &Kind,
    name: &str,
    positions: &mut BTreeMap<(&str, String), Value>,
) -> Result<()> {
    let input = json!({
        "logGroupName": kind.log_group,
        "logStreamNamePrefix": format!("{name}/"),
    });
    let answer = client.call(LOGS, "DescribeLogStreams", &input);
    let Some(streams) = unless(answer, "ResourceNotFoundException")? else {
        return Ok(());
    };
    for stream in streams["logStreams"].as_array().into_iter().flatten() {
        let stream = text(&stream["logStreamName"]);
        let instance = stream.rsplit('/').next().unwrap_or_default();
        let instance = instance
            .rsplit_once('-')
            .map_or(instance, |(instance, _)| instance);
        loop {
            let mut input = json!({
                "logGroupName": kind.log_group,
                "logStreamName": stream,
                "startFromHead": true,
            });
            let before = positions.get(&(kind.word, stream.to_owned())).cloned();
            if let Some(token) = &before {
                input["nextToken"] = token.clone();
            }
            let page = client.call(LOGS, "GetLogEvents", &input)?;
            for event in page["events"].as_array().into_iter().flatten() {
                say::line(format!("{instance}  {}", text(&event["message"])));
            }
            let after = page["nextForwardToken"].clone();
            positions.insert((kind.word, stream.to_owned()), after.clone());
            if before.as_ref() == Some(&after) {
                break;
            }
        }
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn seconds(value: &Value) -> Option<f64> {
    value.as_f64()
}
