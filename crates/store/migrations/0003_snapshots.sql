-- What a sandbox was made from, where that is not its template: `snapshot` or `fork`,
-- and the id of the snapshot or of the parent.
ALTER TABLE sandbox ADD COLUMN made_of TEXT;
ALTER TABLE sandbox ADD COLUMN made_of_id TEXT;

-- A row is there before its files and after them; it counts once it is ready.
CREATE TABLE snapshot (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    sandbox_id TEXT NOT NULL,
    name TEXT,
    template TEXT NOT NULL,
    cpu BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    owner_node TEXT NOT NULL,
    state TEXT NOT NULL,
    own_bytes BIGINT NOT NULL,
    shared_bytes BIGINT NOT NULL,
    pause_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE INDEX snapshot_by_org ON snapshot (org_id, created_ms, id);
CREATE INDEX snapshot_by_owner ON snapshot (owner_node, id);
