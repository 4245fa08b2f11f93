-- owner: meta
-- Events as a chain. One row holds the records of one commit, one on each line and the oldest
-- first; `chain` is the hash that stands for its last event and all before it.
CREATE TABLE event_blocks (
    last_seq BIGINT NOT NULL PRIMARY KEY,
    first_seq BIGINT NOT NULL,
    at_min BIGINT NOT NULL,
    at_max BIGINT NOT NULL,
    chain TEXT NOT NULL,
    records TEXT NOT NULL
);

-- One row: the last event, and the last one that was removed for its age, with their hashes.
CREATE TABLE event_head (
    seq BIGINT NOT NULL,
    chain TEXT NOT NULL,
    pruned_seq BIGINT NOT NULL,
    pruned_chain TEXT NOT NULL
);
INSERT INTO event_head (seq, chain, pruned_seq, pruned_chain) VALUES (
    0, '0000000000000000000000000000000000000000000000000000000000000000',
    0, '0000000000000000000000000000000000000000000000000000000000000000'
);
