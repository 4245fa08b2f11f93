-- owner: objects
-- Uploads that are older than they may be are found by their age.
CREATE INDEX uploads_by_age ON uploads (initiated_at, id);
