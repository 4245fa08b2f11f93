//! The SQL of jobs, their history and their metrics.

use serde::de::DeserializeOwned;
use sightline_meta::{MetaError, Reader, Row, Tx, Value, params};
use sightline_types::Timestamp;

use crate::phase::{Outcome, Phase, Step};
use crate::{EnvironmentUsed, JobId, JobKind, JobSpec, MetricPoint};

const INSERT: &str = "INSERT INTO jobs (kind, name, phase, stop_requested, spec, created_at)
    VALUES ($1, $2, $3, 0, $4, $5)";
const GET: &str =
    "SELECT kind, name, phase, stop_requested, outcome, spec, environment, created_at,
    started_at, ended_at, exit_message, artifact_uri, session_key_id
    FROM jobs WHERE kind = $1 AND name = $2";
const UNFINISHED: &str = "SELECT kind, name, stop_requested, server, phase FROM jobs
    WHERE phase <> 'ended'
    ORDER BY created_at, kind, name";
// In two ranges, which an index finds among any number of jobs that have ended.
const COUNT_UNFINISHED: &str =
    "SELECT phase, count(*) FROM jobs WHERE phase < 'ended' OR phase > 'ended' GROUP BY phase";
const SET_PHASE: &str = "UPDATE jobs SET phase = $3 WHERE kind = $1 AND name = $2";
const SET_STARTED: &str = "UPDATE jobs SET started_at = coalesce(started_at, $3)
    WHERE kind = $1 AND name = $2";
const SET_ENDED: &str = "UPDATE jobs SET phase = 'ended', ended_at = $3, outcome = $4,
    session_key_id = NULL WHERE kind = $1 AND name = $2";
const SET_OUTCOME: &str = "UPDATE jobs SET outcome = $3, exit_message = $4
    WHERE kind = $1 AND name = $2";
const SET_STOP: &str = "UPDATE jobs SET stop_requested = 1 WHERE kind = $1 AND name = $2";
const SET_ENVIRONMENT: &str = "UPDATE jobs SET environment = $3 WHERE kind = $1 AND name = $2";
const SET_ARTIFACT: &str = "UPDATE jobs SET artifact_uri = $3 WHERE kind = $1 AND name = $2";
const SET_SESSION: &str = "UPDATE jobs SET session_key_id = $3 WHERE kind = $1 AND name = $2";
const SET_SERVER: &str = "UPDATE jobs SET server = $3 WHERE kind = $1 AND name = $2";
const SERVER: &str = "SELECT server FROM jobs WHERE kind = $1 AND name = $2";
const END_STEP: &str = "UPDATE job_steps SET ended_at = $3
    WHERE kind = $1 AND name = $2 AND ended_at IS NULL";
const NEXT_STEP: &str = "SELECT coalesce(max(seq), 0) + 1 FROM job_steps
    WHERE kind = $1 AND name = $2";
const INSERT_STEP: &str = "INSERT INTO job_steps
    (kind, name, seq, status, message, started_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const SET_STEP_MESSAGE: &str = "UPDATE job_steps SET message = $3
    WHERE kind = $1 AND name = $2 AND ended_at IS NULL";
const STEPS: &str = "SELECT status, message, started_at, ended_at FROM job_steps
    WHERE kind = $1 AND name = $2 ORDER BY seq";
const NEXT_METRIC: &str = "SELECT coalesce(max(seq), 0) + 1 FROM job_metrics
    WHERE kind = $1 AND name = $2";
const INSERT_METRIC: &str = "INSERT INTO job_metrics (kind, name, seq, metric, value, at)
    VALUES ($1, $2, $3, $4, $5, $6)";
const LAST_METRICS: &str = "SELECT m.metric, m.value, m.at FROM job_metrics m
    WHERE m.kind = $1 AND m.name = $2 AND m.seq = (SELECT max(n.seq) FROM job_metrics n
        WHERE n.kind = m.kind AND n.name = m.name AND n.metric = m.metric)
    ORDER BY m.metric";

/// A job's own row.
#[derive(Clone, Debug)]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) phase: Phase,
    pub(crate) stop_requested: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) spec: JobSpec,
    pub(crate) environment: Option<EnvironmentUsed>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) exit_message: Option<String>,
    pub(crate) artifact_uri: Option<String>,
    pub(crate) session_key_id: Option<String>,
}

/// The two parameters that every statement begins with.
fn key(id: &JobId) -> [Value; 2] {
    [id.kind.as_str().into(), (&id.name).into()]
}

fn run(tx: &mut Tx<'_>, sql: &str, id: &JobId, rest: &[Value]) -> Result<(), MetaError> {
    let params: Vec<Value> = key(id).into_iter().chain(rest.iter().cloned()).collect();
    tx.execute(sql, &params)?;
    Ok(())
}

pub(crate) fn insert(tx: &mut Tx<'_>, spec: &JobSpec, now: Timestamp) -> Result<(), MetaError> {
    let text = to_json("job", spec)?;
    let phase = Phase::Queued.as_str();
    tx.execute(
        INSERT,
        params![spec.kind.as_str(), &spec.name, phase, text, now],
    )?;
    Ok(())
}

pub(crate) fn get(reader: &Reader<'_>, id: &JobId) -> Result<Option<JobRow>, MetaError> {
    reader.query_one(GET, &key(id), read_row)
}

/// A job that has not ended.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: JobId,
    /// Whether it shall stop.
    pub(crate) stopping: bool,
    /// Whether it may have to run yet. What has run, or shall stop, needs no room to be ended.
    pub(crate) needs_room: bool,
    /// The server that moves it, when several share the store.
    pub(crate) server: Option<String>,
}

/// Every job that has not ended, oldest first.
pub(crate) fn unfinished(reader: &Reader<'_>) -> Result<Vec<Unfinished>, MetaError> {
    reader.query(UNFINISHED, params![], |row| {
        let (stopping, phase): (bool, String) = (row.get(2)?, row.get(4)?);
        let has_run = [Phase::Running, Phase::Collecting].map(Phase::as_str);
        Ok(Unfinished {
            id: JobId {
                kind: read_kind(row)?,
                name: row.get(1)?,
            },
            stopping,
            needs_room: !stopping && !has_run.contains(&phase.as_str()),
            server: row.get(3)?,
        })
    })
}

/// How many jobs stand in each phase but the last.
pub(crate) fn count_unfinished(reader: &Reader<'_>) -> Result<Vec<(&'static str, u64)>, MetaError> {
    let counts = reader.query(COUNT_UNFINISHED, params![], |row| {
        Ok((row.get::<String>(0)?, row.get::<u64>(1)?))
    })?;
    let unfinished = Phase::ALL
        .into_iter()
        .filter(|phase| *phase != Phase::Ended);
    let count = |phase: Phase| {
        let found = counts.iter().find(|(text, _)| text == phase.as_str());
        (phase.as_str(), found.map_or(0, |(_, count)| *count))
    };
    Ok(unfinished.map(count).collect())
}

pub(crate) fn set_server(tx: &mut Tx<'_>, id: &JobId, server: &str) -> Result<(), MetaError> {
    run(tx, SET_SERVER, id, &[server.into()])
}

/// Whether a job belongs to this server.
pub(crate) fn is_moved_by(
    reader: &Reader<'_>,
    id: &JobId,
    server: &str,
) -> Result<bool, MetaError> {
    let found: Option<Option<String>> = reader.query_one(SERVER, &key(id), |row| row.get(0))?;
    Ok(found.flatten().as_deref() == Some(server))
}

/// Moves the job to `phase` and begins the step that shows it.
pub(crate) fn enter(
    tx: &mut Tx<'_>,
    id: &JobId,
    phase: Phase,
    now: Timestamp,
) -> Result<(), MetaError> {
    run(tx, SET_PHASE, id, &[phase.as_str().into()])?;
    if phase == Phase::Staging {
        run(tx, SET_STARTED, id, &[now.into()])?;
    }
    match phase.secondary(id.kind) {
        Some((status, message)) => begin_step(tx, id, status, message, now),
        None => Ok(()),
    }
}

/// Ends the step that lasts and begins another.
pub(crate) fn begin_step(
    tx: &mut Tx<'_>,
    id: &JobId,
    status: &str,
    message: &str,
    now: Timestamp,
) -> Result<(), MetaError> {
    add_step(tx, id, status, message, now, None)
}

fn add_step(
    tx: &mut Tx<'_>,
    id: &JobId,
    status: &str,
    message: &str,
    now: Timestamp,
    ended_at: Option<Timestamp>,
) -> Result<(), MetaError> {
    run(tx, END_STEP, id, &[now.into()])?;
    let seq: Option<i64> = tx.query_one(NEXT_STEP, &key(id), |row| row.get(0))?;
    let seq = seq.unwrap_or(1);
    let rest = [
        seq.into(),
        status.into(),
        message.into(),
        now.into(),
        ended_at.into(),
    ];
    run(tx, INSERT_STEP, id, &rest)
}

/// Replaces the message of the step that lasts.
pub(crate) fn set_step_message(
    tx: &mut Tx<'_>,
    id: &JobId,
    message: &str,
) -> Result<(), MetaError> {
    run(tx, SET_STEP_MESSAGE, id, &[message.into()])
}

/// Ends the job for good.
pub(crate) fn end(
    tx: &mut Tx<'_>,
    id: &JobId,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), MetaError> {
    run(
        tx,
        SET_ENDED,
        id,
        &[now.into(), to_json("outcome", outcome)?.into()],
    )?;
    let (status, message) = outcome.secondary();
    add_step(tx, id, status, &message, now, Some(now))
}

pub(crate) fn set_outcome(
    tx: &mut Tx<'_>,
    id: &JobId,
    outcome: &Outcome,
    exit_message: Option<&str>,
) -> Result<(), MetaError> {
    run(
        tx,
        SET_OUTCOME,
        id,
        &[to_json("outcome", outcome)?.into(), exit_message.into()],
    )
}

pub(crate) fn request_stop(tx: &mut Tx<'_>, id: &JobId) -> Result<(), MetaError> {
    run(tx, SET_STOP, id, &[])
}

pub(crate) fn set_environment(
    tx: &mut Tx<'_>,
    id: &JobId,
    environment: &EnvironmentUsed,
) -> Result<(), MetaError> {
    run(
        tx,
        SET_ENVIRONMENT,
        id,
        &[to_json("environment", environment)?.into()],
    )
}

pub(crate) fn set_artifact(tx: &mut Tx<'_>, id: &JobId, uri: &str) -> Result<(), MetaError> {
    run(tx, SET_ARTIFACT, id, &[uri.into()])
}

pub(crate) fn set_session(tx: &mut Tx<'_>, id: &JobId, key_id: &str) -> Result<(), MetaError> {
    run(tx, SET_SESSION, id, &[key_id.into()])
}

pub(crate) fn steps(reader: &Reader<'_>, id: &JobId) -> Result<Vec<Step>, MetaError> {
    reader.query(STEPS, &key(id), |row| {
        Ok(Step {
            status: row.get(0)?,
            message: row.get(1)?,
            started_at: row.get(2)?,
            ended_at: row.get(3)?,
        })
    })
}

pub(crate) fn add_metrics(
    tx: &mut Tx<'_>,
    id: &JobId,
    points: &[MetricPoint],
) -> Result<(), MetaError> {
    let seq: Option<i64> = tx.query_one(NEXT_METRIC, &key(id), |row| row.get(0))?;
    for (seq, point) in (seq.unwrap_or(1)..).zip(points) {
        let rest = [
            seq.into(),
            (&point.metric).into(),
            point.value.into(),
            point.at.into(),
        ];
        run(tx, INSERT_METRIC, id, &rest)?;
    }
    Ok(())
}

/// The last value of each metric, in order of name.
pub(crate) fn last_metrics(reader: &Reader<'_>, id: &JobId) -> Result<Vec<MetricPoint>, MetaError> {
    reader.query(LAST_METRICS, &key(id), |row| {
        Ok(MetricPoint {
            metric: row.get(0)?,
            value: row.get(1)?,
            at: row.get(2)?,
        })
    })
}

fn read_kind(row: &Row<'_>) -> Result<JobKind, MetaError> {
    let text: String = row.get(0)?;
    JobKind::parse(&text).ok_or(MetaError::Stored {
        what: "job kind",
        reason: text,
    })
}

fn read_row(row: &Row<'_>) -> Result<JobRow, MetaError> {
    let phase: String = row.get(2)?;
    Ok(JobRow {
        id: JobId {
            kind: read_kind(row)?,
            name: row.get(1)?,
        },
        phase: Phase::parse(&phase).ok_or(MetaError::Stored {
            what: "job phase",
            reason: phase,
        })?,
        stop_requested: row.get(3)?,
        outcome: from_json("outcome", row.get(4)?)?,
        spec: from_json("job", row.get(5)?)?.ok_or(MetaError::Stored {
            what: "job",
            reason: "it is empty".to_owned(),
        })?,
        environment: from_json("environment", row.get(6)?)?,
        created_at: row.get(7)?,
        started_at: row.get(8)?,
        ended_at: row.get(9)?,
        exit_message: row.get(10)?,
        artifact_uri: row.get(11)?,
        session_key_id: row.get(12)?,
    })
}

fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, MetaError> {
    serde_json::to_string(value).map_err(|error| MetaError::Stored {
        what,
        reason: error.to_string(),
    })
}

fn from_json<T: DeserializeOwned>(
    what: &'static str,
    text: Option<String>,
) -> Result<Option<T>, MetaError> {
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|error| MetaError::Stored {
            what,
            reason: error.to_string(),
        })
    };
    text.map(parse).transpose()
}
