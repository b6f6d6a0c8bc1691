-- The deployment that this one brings back, as it was or with another environment.
ALTER TABLE deployment ADD COLUMN origin_id TEXT;
-- What its machine depends on, beside the commit.
ALTER TABLE deployment ADD COLUMN settings_hash TEXT;
-- The machine that is kept of it. Named before it is taken, and until it is removed.
ALTER TABLE deployment ADD COLUMN snapshot_id TEXT;
-- Whether nothing that an earlier deployment left is used.
ALTER TABLE deployment ADD COLUMN is_fresh BOOLEAN NOT NULL DEFAULT FALSE;
