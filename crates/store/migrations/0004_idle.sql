-- After how long without use a sandbox is put to sleep; never, without.
ALTER TABLE sandbox ADD COLUMN idle_timeout_ms BIGINT;
