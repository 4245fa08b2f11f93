-- owner: objects
-- Keys are ordered by their bytes: on PostgreSQL the database has the C collation.
-- Times are milliseconds since the epoch.
CREATE TABLE buckets (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row for each object. Its bytes are the blob `content_id` when `part_count` is 0, else the
-- blobs of `object_parts` in the order of their numbers. `attributes` is JSON.
CREATE TABLE objects (
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    content_id TEXT NOT NULL,
    part_count BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    modified_at BIGINT NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, object_key)
);
CREATE INDEX objects_by_content ON objects (content_id);

-- Multipart uploads under way. When one is completed, `id` becomes its object's `content_id`.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    initiated_at BIGINT NOT NULL,
    checksum TEXT,
    attributes TEXT NOT NULL
);
CREATE UNIQUE INDEX uploads_by_key ON uploads (bucket, object_key, id);

-- The parts of uploads and of the objects made of them.
CREATE TABLE object_parts (
    content_id TEXT NOT NULL,
    part_number BIGINT NOT NULL,
    blob_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    modified_at BIGINT NOT NULL,
    PRIMARY KEY (content_id, part_number)
);
CREATE INDEX object_parts_by_blob ON object_parts (blob_id);
