-- owner: meta
-- What makes lookups quick, made of the records afterwards: sorted runs of (term, event) over
-- consecutive events. A row of `event_run_pages` holds up to 2,048 entries from `first_term` on.
CREATE TABLE event_runs (
    level BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    at_min BIGINT NOT NULL,
    at_max BIGINT NOT NULL,
    PRIMARY KEY (level, first_seq)
);

CREATE TABLE event_run_pages (
    level BIGINT NOT NULL,
    run_first BIGINT NOT NULL,
    first_term BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (level, run_first, first_term, first_seq)
);

-- owner: audit
-- The trail, one row: how far events are delivered to its bucket, and digests are written.
CREATE TABLE trail (
    created_at BIGINT NOT NULL,
    delivered_seq BIGINT NOT NULL,
    delivered_chain TEXT NOT NULL,
    delivered_at BIGINT,
    digested_until BIGINT NOT NULL
);

-- Log files in the order of their events. `hash` is that of the text, `object_hash` that of its
-- compressed bytes; the latter is there once the file is in the bucket.
CREATE TABLE trail_files (
    first_seq BIGINT NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    object_key TEXT NOT NULL,
    hash TEXT NOT NULL,
    object_hash TEXT,
    chain TEXT NOT NULL,
    oldest TEXT NOT NULL,
    newest TEXT NOT NULL,
    digest_end BIGINT
);
CREATE INDEX trail_files_by_digest ON trail_files (digest_end, first_seq);

-- Digest files by the end of their period. `body` is kept until the file is in the bucket.
CREATE TABLE trail_digests (
    end_at BIGINT NOT NULL PRIMARY KEY,
    start_at BIGINT NOT NULL,
    object_key TEXT NOT NULL,
    hash TEXT NOT NULL,
    object_hash TEXT,
    signature TEXT NOT NULL,
    body TEXT
);

-- The public halves of the keys that sign digests; the last one without an end signs.
CREATE TABLE trail_keys (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    public_key TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT
);
