-- An app's claim to a domain: any number of apps, of any org, may have one, and one at most is
-- active: the one whose records were found. The id is what the TXT record holds.
CREATE TABLE domain (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES org (id),
    app_id TEXT NOT NULL REFERENCES app (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    missing_ms BIGINT,
    checked_ms BIGINT,
    revision BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (app_id, name)
);

CREATE UNIQUE INDEX domain_active ON domain (name) WHERE status = 'active';

-- One row for each domain that ever led anywhere, as in route: its generation only grows.
CREATE TABLE domain_route (
    name TEXT NOT NULL PRIMARY KEY,
    label TEXT,
    generation BIGINT NOT NULL
);

-- The repositories of an org's apps by the number that the forge knows them by.
CREATE TABLE repo (
    org_id TEXT NOT NULL REFERENCES org (id),
    repo_key TEXT NOT NULL,
    forge_id BIGINT NOT NULL,
    full_name TEXT NOT NULL,
    PRIMARY KEY (org_id, repo_key)
);

CREATE INDEX repo_by_number ON repo (org_id, forge_id);
