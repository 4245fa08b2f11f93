-- owner: objects
-- Versions of objects. `objects` holds the object that each key has, `object_versions` what it had
-- before and its delete markers. Within a key the least `version_rank` is the newest: 16 hexadecimal
-- digits that count down from the first version's.
ALTER TABLE buckets ADD COLUMN versioning TEXT NOT NULL DEFAULT '';
ALTER TABLE buckets ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
ALTER TABLE objects ADD COLUMN version_id TEXT NOT NULL DEFAULT 'null';
ALTER TABLE objects ADD COLUMN version_rank TEXT NOT NULL DEFAULT 'ffffffffffffffff';

-- A row without `content_id` is a delete marker.
CREATE TABLE object_versions (
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    version_rank TEXT NOT NULL,
    version_id TEXT NOT NULL,
    content_id TEXT NOT NULL,
    part_count BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    modified_at BIGINT NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, object_key, version_rank)
);
CREATE UNIQUE INDEX object_versions_by_id ON object_versions (bucket, object_key, version_id);
CREATE INDEX object_versions_by_content ON object_versions (content_id);
