-- The repository as the forge spells it, and what was decided about each app.
ALTER TABLE delivery ADD COLUMN repository TEXT;
ALTER TABLE delivery ADD COLUMN verdicts_json TEXT NOT NULL DEFAULT '[]';

-- The repositories that a delivery is about, spelled as apps are found by them. place is ours, and
-- orders those of one moment: a forge's id may be anything.
CREATE TABLE delivery_repo (
    delivery_id TEXT NOT NULL REFERENCES delivery (id),
    repo_key TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY (delivery_id, repo_key)
);

CREATE INDEX delivery_repo_by_time ON delivery_repo (repo_key, received_ms, place);
