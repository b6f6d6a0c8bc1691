-- What is run in sandboxes at certain times. next_due_ms is the time that is run for next,
-- look_ms when it is looked at: the same, save where a run was refused and is tried again.
-- Both are null while nothing is to be run. The run_ columns are set while it runs, and
-- say which node runs it; last_ tells of the last run, miss_ of the last that was none.
CREATE TABLE schedule (
    id TEXT NOT NULL PRIMARY KEY,
    sandbox_id TEXT NOT NULL REFERENCES sandbox (id),
    org_id TEXT NOT NULL REFERENCES org (id),
    cron TEXT NOT NULL,
    command TEXT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    paused BOOLEAN NOT NULL,
    next_due_ms BIGINT,
    look_ms BIGINT,
    run_node TEXT,
    run_due_ms BIGINT,
    run_started_ms BIGINT,
    last_due_ms BIGINT,
    last_started_ms BIGINT,
    last_ended_ms BIGINT,
    last_exit_code BIGINT,
    last_error TEXT,
    last_output TEXT,
    miss_due_ms BIGINT,
    miss_reason TEXT,
    created_ms BIGINT NOT NULL
);

CREATE INDEX schedule_by_sandbox ON schedule (sandbox_id, created_ms, id);
CREATE INDEX schedule_by_look ON schedule (look_ms) WHERE look_ms IS NOT NULL;
CREATE INDEX schedule_by_runner ON schedule (run_node) WHERE run_node IS NOT NULL;
