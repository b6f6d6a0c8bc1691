//! Writes of schedules. What advances one names the due time that it saw.

use pando_types::{NodeId, SandboxId, ScheduleId, Timestamp};

use super::{RunningRow, ScheduleRow};
use crate::column::{Columns, millis};
use crate::{RunEnd, Store, StoreError, Swap, Tx};

impl Store {
    /// Sets whether nothing is run, and when it is run next.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_set_paused(
        &self,
        id: ScheduleId,
        paused: bool,
        next_due: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET paused = $2, next_due_ms = $3, look_ms = $3 WHERE id = $1",
        );
        let next_due = next_due.map(Timestamp::as_millis);
        let query = query.bind(id.to_string()).bind(paused).bind(next_due);
        let changed = query.execute(&self.writer).await?.rows_affected();
        Ok(if changed > 0 { Swap::Done } else { Swap::Missing })
    }

    /// Removes one. False when it was gone before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_delete(&self, id: ScheduleId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM schedule WHERE id = $1");
        Ok(query.bind(id.to_string()).execute(&self.writer).await?.rows_affected() > 0)
    }

    /// Begins a run of one that waits for `seen`, and none goes on of: from then on it waits
    /// for `next`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_begin(
        &self,
        id: ScheduleId,
        seen: Timestamp,
        run: RunningRow,
        next: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET next_due_ms = $3, look_ms = $3, run_node = $4, run_due_ms = $5, \
             run_started_ms = $6 WHERE id = $1 AND next_due_ms = $2 AND run_node IS NULL",
        );
        let query = query
            .bind(id.to_string())
            .bind(seen.as_millis())
            .bind(next.map(Timestamp::as_millis))
            .bind(run.node.to_string())
            .bind(run.due.as_millis())
            .bind(run.started.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.schedule_swapped(id, changed).await
    }

    /// Lets one that waits for `seen` wait for `next` instead: it was not run, and why.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_skip(
        &self,
        id: ScheduleId,
        seen: Timestamp,
        missed: Timestamp,
        reason: &str,
        next: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET next_due_ms = $3, look_ms = $3, miss_due_ms = $4, \
             miss_reason = $5 WHERE id = $1 AND next_due_ms = $2",
        );
        let query = query
            .bind(id.to_string())
            .bind(seen.as_millis())
            .bind(next.map(Timestamp::as_millis))
            .bind(missed.as_millis())
            .bind(reason);
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.schedule_swapped(id, changed).await
    }

    /// Looks at one that waits for `seen` no sooner than then.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_put_off(
        &self,
        id: ScheduleId,
        seen: Timestamp,
        until: Timestamp,
    ) -> Result<Swap, StoreError> {
        let query =
            sqlx::query("UPDATE schedule SET look_ms = $3 WHERE id = $1 AND next_due_ms = $2");
        let query = query.bind(id.to_string()).bind(seen.as_millis()).bind(until.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.schedule_swapped(id, changed).await
    }

    /// Takes back a run whose command was surely not begun. With `again`, it waits for the same
    /// due time, and is looked at then, unless it was paused meanwhile.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_take_back(
        &self,
        id: ScheduleId,
        run: RunningRow,
        reason: &str,
        again: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET run_node = NULL, run_due_ms = NULL, run_started_ms = NULL, \
             miss_due_ms = $3, miss_reason = $4, \
             next_due_ms = CASE WHEN paused OR $5 IS NULL THEN next_due_ms ELSE $3 END, \
             look_ms = CASE WHEN paused OR $5 IS NULL THEN look_ms ELSE $5 END \
             WHERE id = $1 AND run_node = $2 AND run_due_ms = $3",
        );
        let query = query
            .bind(id.to_string())
            .bind(run.node.to_string())
            .bind(run.due.as_millis())
            .bind(reason)
            .bind(again.map(Timestamp::as_millis));
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.schedule_swapped(id, changed).await
    }

    /// Records how a run ended.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_end(
        &self,
        id: ScheduleId,
        run: RunningRow,
        ended: Timestamp,
        end: &RunEnd,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET last_due_ms = run_due_ms, last_started_ms = run_started_ms, \
             last_ended_ms = $4, last_exit_code = $5, last_error = $6, last_output = $7, \
             run_node = NULL, run_due_ms = NULL, run_started_ms = NULL \
             WHERE id = $1 AND run_node = $2 AND run_due_ms = $3",
        );
        let query = query
            .bind(id.to_string())
            .bind(run.node.to_string())
            .bind(run.due.as_millis())
            .bind(ended.as_millis())
            .bind(end.exit_code.map(i64::from))
            .bind(&end.error)
            .bind(&end.output);
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.schedule_swapped(id, changed).await
    }

    /// Ends the runs of a node whose server is gone. Returns how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_end_open(&self, node: NodeId, error: &str) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "UPDATE schedule SET last_due_ms = run_due_ms, last_started_ms = run_started_ms, \
             last_ended_ms = $3, last_exit_code = NULL, last_error = $2, last_output = '', \
             run_node = NULL, run_due_ms = NULL, run_started_ms = NULL WHERE run_node = $1",
        );
        let query = query.bind(node.to_string()).bind(error).bind(self.now().as_millis());
        Ok(query.execute(&self.writer).await?.rows_affected())
    }

    async fn schedule_swapped(&self, id: ScheduleId, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.schedule_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}

impl Tx {
    /// How many a sandbox has.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_count(&mut self, sandbox: SandboxId) -> Result<u32, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) AS schedules FROM schedule WHERE sandbox_id = $1");
        let row = query.bind(sandbox.to_string()).fetch_one(self.connection()).await?;
        Columns(&row).number("schedules")
    }

    /// Adds one that has not run yet.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn schedule_insert(&mut self, schedule: &ScheduleRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO schedule (id, sandbox_id, org_id, cron, command, timeout_ms, paused, \
             next_due_ms, look_ms, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
        );
        query
            .bind(schedule.id.to_string())
            .bind(schedule.sandbox.to_string())
            .bind(schedule.org.to_string())
            .bind(&schedule.cron)
            .bind(&schedule.command)
            .bind(millis(schedule.timeout))
            .bind(schedule.paused)
            .bind(schedule.next_due.map(Timestamp::as_millis))
            .bind(schedule.created.as_millis())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Removes those of a sandbox that is gone.
    pub(crate) async fn schedule_forget(&mut self, sandbox: SandboxId) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM schedule WHERE sandbox_id = $1");
        query.bind(sandbox.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}
