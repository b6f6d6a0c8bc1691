-- What is run where apps are live at certain times: a deployment writes it when it goes live.
-- next_due_ms is the time that is run for next, null while it is off; asked_ms when somebody
-- wanted a run at once; look_ms when it is looked at: the earlier of both, save where a run was
-- refused and is tried again. The run_ columns are set while it runs, and say which start of the
-- server runs it; last_ tells of the last run, miss_ of the last that was none.
CREATE TABLE app_cron (
    app_id TEXT NOT NULL REFERENCES app (id),
    name TEXT NOT NULL,
    schedule TEXT NOT NULL,
    command TEXT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    is_on BOOLEAN NOT NULL,
    next_due_ms BIGINT,
    asked_ms BIGINT,
    look_ms BIGINT,
    run_boot TEXT,
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
    PRIMARY KEY (app_id, name)
);

CREATE INDEX app_cron_by_look ON app_cron (look_ms) WHERE look_ms IS NOT NULL;
CREATE INDEX app_cron_by_runner ON app_cron (run_boot) WHERE run_boot IS NOT NULL;
