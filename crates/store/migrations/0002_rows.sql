-- Pairs of the sandboxes that are not gone: what lists are filtered by.
CREATE TABLE sandbox_metadata (
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id),
    org_id TEXT NOT NULL REFERENCES org (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (sandbox_id, key)
);

CREATE INDEX sandbox_metadata_by_pair ON sandbox_metadata (org_id, key, value, sandbox_id);

-- SQLite only: a new database has nothing to carry over.
INSERT INTO sandbox_metadata (sandbox_id, org_id, key, value)
SELECT sandbox.id, sandbox.org_id, pair.key, pair.value
FROM sandbox, json_each(sandbox.metadata_json) AS pair WHERE sandbox.actual <> 'deleted';

-- What happened to each sandbox. It outlives the sandbox for some days.
CREATE TABLE sandbox_event (
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT,
    PRIMARY KEY (sandbox_id, seq)
);

ALTER TABLE sandbox ADD COLUMN has_events BOOLEAN NOT NULL DEFAULT TRUE;

CREATE INDEX sandbox_with_old_events ON sandbox (deleted_ms) WHERE deleted_ms IS NOT NULL AND has_events;

-- What an org uses is counted in these alone.
CREATE INDEX sandbox_usage ON sandbox (org_id, actual, cpu, memory_mib) WHERE actual <> 'deleted';
CREATE INDEX sandbox_by_creation ON sandbox (org_id, created_ms);

-- Null means the server's default.
ALTER TABLE org ADD COLUMN max_sandboxes BIGINT;
ALTER TABLE org ADD COLUMN max_vcpus BIGINT;
ALTER TABLE org ADD COLUMN max_memory_mib BIGINT;
ALTER TABLE org ADD COLUMN max_creates_per_minute BIGINT;
ALTER TABLE org ADD COLUMN max_requests_per_second BIGINT;

ALTER TABLE api_key ADD COLUMN expires_ms BIGINT;
ALTER TABLE api_key ADD COLUMN last_used_ms BIGINT;

-- Creates that may be repeated. subject is the id of what is made; status and
-- answer_sealed are null until it is.
CREATE TABLE idempotency (
    org_id TEXT NOT NULL REFERENCES org (id),
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    subject TEXT NOT NULL,
    status BIGINT,
    answer_sealed BLOB,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, key)
);

CREATE INDEX idempotency_by_time ON idempotency (created_ms);
