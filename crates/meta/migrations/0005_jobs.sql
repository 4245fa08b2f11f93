-- owner: jobs
-- What the reconciler moves. `phase` is where the job is, `outcome` how it ended or will end;
-- `spec`, `outcome` and `environment` are JSON. Times are milliseconds since the epoch.
CREATE TABLE jobs (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    phase TEXT NOT NULL,
    stop_requested BIGINT NOT NULL,
    outcome TEXT,
    spec TEXT NOT NULL,
    environment TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    exit_message TEXT,
    artifact_uri TEXT,
    session_key_id TEXT,
    PRIMARY KEY (kind, name)
);
CREATE INDEX jobs_by_phase ON jobs (phase, created_at);

-- The history of secondary statuses, oldest first.
CREATE TABLE job_steps (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    seq BIGINT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (kind, name, seq)
);

-- Every value that a metric definition found in a job's log.
CREATE TABLE job_metrics (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    seq BIGINT NOT NULL,
    metric TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (kind, name, seq)
);
