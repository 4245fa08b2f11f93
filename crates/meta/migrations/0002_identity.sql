-- owner: identity
-- Keys that may sign requests. `principal` is whose they are and `grants` what they may do, as
-- JSON; `session_token` and `expires_at` are set for temporary keys only.
CREATE TABLE access_keys (
    access_key_id TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL,
    session_token TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    principal TEXT NOT NULL,
    grants TEXT NOT NULL
);
