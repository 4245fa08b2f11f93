-- owner: meta
-- Facts about this installation, fixed at first start.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row for each thing that has an ARN. Times are milliseconds since 1970-01-01T00:00:00Z.
-- `document` is the request that made it, as JSON; engines keep what they act on in own tables.
CREATE TABLE resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    arn TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE UNIQUE INDEX resources_by_arn ON resources (arn);
CREATE INDEX resources_by_creation ON resources (kind, created_at, name);
CREATE INDEX resources_by_change ON resources (kind, modified_at, name);
CREATE INDEX resources_by_status ON resources (kind, status, name);

CREATE TABLE tags (
    arn TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (arn, tag_key)
);
CREATE INDEX tags_by_key ON tags (tag_key, tag_value);

-- The outbox: what happened, in order, without gaps. `record` is the whole event as JSON.
CREATE TABLE events (
    seq BIGINT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    read_only BIGINT NOT NULL,
    user_name TEXT NOT NULL,
    access_key_id TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_time ON events (at, seq);
CREATE INDEX events_by_name ON events (name, at, seq);
CREATE INDEX events_by_user ON events (user_name, at, seq);

-- `name` is the resource's ARN, `short_name` what people call it.
CREATE TABLE event_resources (
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    short_name TEXT NOT NULL,
    PRIMARY KEY (seq, kind, name)
);
CREATE INDEX event_resources_by_name ON event_resources (name, seq);
CREATE INDEX event_resources_by_short_name ON event_resources (short_name, seq);
CREATE INDEX event_resources_by_kind ON event_resources (kind, seq);
