-- Null means the server's default.
ALTER TABLE org ADD COLUMN max_sleeping BIGINT;
ALTER TABLE org ADD COLUMN max_sleeping_mib BIGINT;
