-- When, by the forge's own clock, the push was which an app was last deployed for by a webhook: what
-- is older and comes later is not gone back to.
ALTER TABLE app ADD COLUMN told_ms BIGINT;

-- The same for a pull request: when that was which was last heard of it. It outlives the preview,
-- so that what comes late does not bring back the preview of one that was closed.
CREATE TABLE pull_request_told (
    repo_key TEXT NOT NULL,
    number BIGINT NOT NULL,
    told_ms BIGINT NOT NULL,
    PRIMARY KEY (repo_key, number)
);

CREATE INDEX pull_request_told_by_time ON pull_request_told (told_ms);
