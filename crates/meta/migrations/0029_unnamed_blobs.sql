-- owner: objects
-- On a store that several servers share: blobs that no row names, and since when that is known by
-- the database's clock. Other servers may be reading them, or be about to name them.
CREATE TABLE unnamed_blobs (
    blob_id TEXT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
);
CREATE INDEX unnamed_blobs_by_time ON unnamed_blobs (since);
