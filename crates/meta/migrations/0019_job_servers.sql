-- owner: jobs
-- The server that moves the job, when several share the store.
ALTER TABLE jobs ADD COLUMN server TEXT;
