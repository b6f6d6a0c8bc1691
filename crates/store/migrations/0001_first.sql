-- Ids are UUIDs as text, moments are milliseconds since the Unix epoch.
-- Apart from BLOB (BYTEA there) PostgreSQL reads this file as it is.

CREATE TABLE org (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL
);

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    label TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL
);

CREATE INDEX api_key_by_org ON api_key (org_id, created_ms, id);

-- An app, or a preview (kind). desired is `kept` or `deleted`; deleted_ms comes last.
CREATE TABLE app (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    git_url TEXT NOT NULL,
    repo_key TEXT NOT NULL,
    git_branch TEXT NOT NULL,
    template TEXT NOT NULL,
    auto_deploy BOOLEAN NOT NULL,
    previews BOOLEAN NOT NULL,
    framework TEXT,
    install_command TEXT,
    build_command TEXT,
    start_command TEXT,
    root_directory TEXT NOT NULL,
    port BIGINT NOT NULL,
    cpu BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    env_sealed BLOB NOT NULL,
    preview_env_sealed BLOB NOT NULL,
    parent_id TEXT REFERENCES app (id),
    pr_number BIGINT,
    repo_full_name TEXT,
    active_deployment_id TEXT,
    active_sandbox_id TEXT,
    desired TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    deleted_ms BIGINT
);

CREATE UNIQUE INDEX app_name ON app (org_id, name) WHERE kind = 'app' AND desired <> 'deleted';
CREATE UNIQUE INDEX app_preview ON app (parent_id, pr_number) WHERE kind = 'preview' AND desired <> 'deleted';
CREATE UNIQUE INDEX app_label ON app (label) WHERE desired <> 'deleted';
CREATE INDEX app_by_org ON app (org_id, created_ms, id);
CREATE INDEX app_by_repo ON app (repo_key);
CREATE INDEX app_by_parent ON app (parent_id);

-- One row for each host label there ever was: its generation only grows, also
-- over the close and the reopening of a pull request.
CREATE TABLE route (
    label TEXT NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES app (id),
    generation BIGINT NOT NULL,
    is_live BOOLEAN NOT NULL,
    sandbox_id TEXT,
    port BIGINT NOT NULL
);

CREATE TABLE deployment (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    app_id TEXT NOT NULL REFERENCES app (id),
    status TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    git_ref TEXT NOT NULL,
    reason TEXT NOT NULL,
    sandbox_id TEXT,
    error TEXT,
    plan_json TEXT,
    history_json TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    finished_ms BIGINT
);

CREATE INDEX deployment_by_app ON deployment (app_id, id);

CREATE TABLE deployment_log (
    deployment_id TEXT NOT NULL REFERENCES deployment (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (deployment_id, seq)
);

-- owner_node, epoch, desired, desired_gen, ttl, deadline, persistent are intent;
-- actual, actual_gen, reason, boot_ms, deleted_ms are observed.
CREATE TABLE sandbox (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    app_id TEXT REFERENCES app (id),
    template TEXT NOT NULL,
    cpu BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    metadata_json TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    ttl_ms BIGINT,
    deadline_ms BIGINT,
    persistent BOOLEAN NOT NULL,
    owner_node TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    desired TEXT NOT NULL,
    desired_gen BIGINT NOT NULL,
    actual TEXT NOT NULL,
    actual_gen BIGINT NOT NULL,
    reason TEXT,
    boot_ms BIGINT NOT NULL,
    deleted_ms BIGINT
);

CREATE INDEX sandbox_by_org ON sandbox (org_id, created_ms, id) WHERE actual <> 'deleted';
CREATE INDEX sandbox_by_owner ON sandbox (owner_node) WHERE actual <> 'deleted';
CREATE INDEX sandbox_by_app ON sandbox (app_id) WHERE actual <> 'deleted';

-- Webhook deliveries, by the forge's own id.
CREATE TABLE delivery (
    id TEXT NOT NULL PRIMARY KEY,
    event TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    deployments_json TEXT NOT NULL,
    received_ms BIGINT NOT NULL
);

CREATE INDEX delivery_by_time ON delivery (received_ms);

-- Long work. A row is open until it is finished, then it goes.
CREATE TABLE job (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    unique_key TEXT NOT NULL,
    revision BIGINT NOT NULL,
    step TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    run_at_ms BIGINT NOT NULL,
    lease_owner TEXT,
    lease_epoch BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (kind, unique_key)
);

CREATE INDEX job_by_time ON job (kind, run_at_ms, id);
