-- owner: meta
-- What one of several servers has for itself until a time. Times are milliseconds of the
-- database's clock; `since` is when the holder began to hold it without a break.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    generation BIGINT NOT NULL
);
