-- owner: identity
-- Users, roles and policies that people made: `document` is all of one, as JSON. IAM's names are
-- unique whatever their case, so `name_key` is the name in lower case.
CREATE TABLE iam_entities (
    kind TEXT NOT NULL,
    name_key TEXT NOT NULL,
    arn TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (kind, name_key)
);
CREATE UNIQUE INDEX iam_entities_by_arn ON iam_entities (arn);

-- Policies of resources, such as buckets, by the resource's ARN.
CREATE TABLE resource_policies (
    arn TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One row. `generation` grows with every change of keys, entities and policies, so that a server
-- sees with one look whether another has changed them. `seal_check` proves the key of secrets.
CREATE TABLE identity_state (
    id BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    seal_check TEXT
);
INSERT INTO identity_state (id, generation, seal_check) VALUES (1, 0, NULL);

-- `user_name` is set for the keys of users. Secrets and tokens are sealed.
ALTER TABLE access_keys ADD COLUMN user_name TEXT;
ALTER TABLE access_keys ADD COLUMN status TEXT NOT NULL DEFAULT 'Active';
ALTER TABLE access_keys ADD COLUMN last_used_at BIGINT;
ALTER TABLE access_keys ADD COLUMN last_used_service TEXT;
ALTER TABLE access_keys ADD COLUMN last_used_region TEXT;
CREATE INDEX access_keys_by_user ON access_keys (user_name);
CREATE INDEX access_keys_by_end ON access_keys (expires_at);

-- Roles are entities: only identity tags and changes them.
DELETE FROM resources WHERE kind = 'role';
