-- A row is there before its file and after it; it counts once it is ready. holder_id is
-- the one sandbox that writes to it, until that is gone or has failed.
CREATE TABLE volume (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    name TEXT NOT NULL,
    size_mib BIGINT NOT NULL,
    owner_node TEXT NOT NULL,
    state TEXT NOT NULL,
    holder_id TEXT REFERENCES sandbox (id),
    created_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX volume_name ON volume (org_id, name);
CREATE INDEX volume_by_org ON volume (org_id, created_ms, id);
CREATE INDEX volume_by_owner ON volume (owner_node, id);
CREATE INDEX volume_by_holder ON volume (holder_id) WHERE holder_id IS NOT NULL;

-- What a sandbox has of volumes, as its owner sees it.
ALTER TABLE sandbox ADD COLUMN volumes_json TEXT NOT NULL DEFAULT '[]';

-- Null means the server's default.
ALTER TABLE org ADD COLUMN max_volumes BIGINT;
ALTER TABLE org ADD COLUMN max_volume_mib BIGINT;
