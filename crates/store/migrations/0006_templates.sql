-- Templates of an org: each is a snapshot on its node, under a name.
CREATE TABLE template (
    org_id TEXT NOT NULL REFERENCES org (id),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    cpu BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    snapshot_id TEXT NOT NULL,
    owner_node TEXT NOT NULL,
    config_json TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- Attempts to make one.
CREATE TABLE template_build (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    owner_node TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    size_mib BIGINT NOT NULL,
    bytes BIGINT,
    image_ref TEXT,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT,
    ended_ms BIGINT
);

CREATE INDEX template_build_by_org ON template_build (org_id, created_ms, id);
