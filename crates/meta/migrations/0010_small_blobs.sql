-- owner: objects
-- The bytes of small blobs. They become durable by the commit that names them, and go with the row
-- that does. What is not here lies in the blob store.
CREATE TABLE small_blobs (
    blob_id TEXT NOT NULL PRIMARY KEY,
    bytes BYTEA NOT NULL
);
