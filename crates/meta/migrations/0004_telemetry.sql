-- owner: telemetry
CREATE TABLE log_groups (
    name TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE log_streams (
    id BIGINT NOT NULL PRIMARY KEY,
    group_name TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    first_event_at BIGINT,
    last_event_at BIGINT,
    last_ingested_at BIGINT,
    next_seq BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL
);
CREATE UNIQUE INDEX log_streams_by_name ON log_streams (group_name, name);

-- Within a stream `at` never decreases as `seq` grows, so a time is also a position.
CREATE TABLE log_events (
    stream_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    ingested_at BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (stream_id, seq)
);
CREATE INDEX log_events_by_time ON log_events (stream_id, at, seq);
