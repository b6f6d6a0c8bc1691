//! Writes of the cron of apps. What advances a row names what it saw.

use std::collections::BTreeMap;

use pando_types::{AppId, BootId, Timestamp};

use super::{CronRow, CronRunRow, CronWish, read};
use crate::column::millis;
use crate::{RunEnd, Store, StoreError, Swap, Tx};

impl Store {
    /// Wants one run at once. [`Swap::Stale`] where somebody wanted that already, or it runs.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_ask(
        &self,
        app: AppId,
        name: &str,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET asked_ms = $3, look_ms = $3 \
             WHERE app_id = $1 AND name = $2 AND asked_ms IS NULL AND run_boot IS NULL",
        );
        let query = query.bind(app.to_string()).bind(name).bind(now.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(app, name, changed).await
    }

    /// Begins a run of one that waits for `seen`, and none goes on of: from then on it waits for
    /// `next`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_begin(
        &self,
        cron: &CronRow,
        seen: Timestamp,
        run: CronRunRow,
        next: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET next_due_ms = $4, look_ms = $4, run_boot = $5, run_due_ms = $6, \
             run_started_ms = $7 WHERE app_id = $1 AND name = $2 AND next_due_ms = $3 \
             AND asked_ms IS NULL AND run_boot IS NULL",
        );
        let query = query
            .bind(cron.app.to_string())
            .bind(&cron.name)
            .bind(seen.as_millis())
            .bind(next.map(Timestamp::as_millis))
            .bind(run.boot.to_string())
            .bind(run.due.as_millis())
            .bind(run.started.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Begins the run that somebody wanted at `run.due`, where none goes on. What it waits for
    /// besides stays.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_begin_asked(
        &self,
        cron: &CronRow,
        run: CronRunRow,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET asked_ms = NULL, look_ms = next_due_ms, run_boot = $4, \
             run_due_ms = $3, run_started_ms = $5 \
             WHERE app_id = $1 AND name = $2 AND asked_ms = $3 AND run_boot IS NULL",
        );
        let query = query
            .bind(cron.app.to_string())
            .bind(&cron.name)
            .bind(run.due.as_millis())
            .bind(run.boot.to_string())
            .bind(run.started.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Lets one that waits for `seen` wait for `next` instead: it was not run, and why.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_skip(
        &self,
        cron: &CronRow,
        seen: Timestamp,
        missed: Timestamp,
        reason: &str,
        next: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET next_due_ms = $4, look_ms = COALESCE(asked_ms, $4), \
             miss_due_ms = $5, miss_reason = $6 \
             WHERE app_id = $1 AND name = $2 AND next_due_ms = $3",
        );
        let query = query
            .bind(cron.app.to_string())
            .bind(&cron.name)
            .bind(seen.as_millis())
            .bind(next.map(Timestamp::as_millis))
            .bind(missed.as_millis())
            .bind(reason);
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Looks at one that waits for `seen`, and that nobody wants at once, no sooner than then.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_put_off(
        &self,
        cron: &CronRow,
        seen: Timestamp,
        until: Timestamp,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET look_ms = $4 \
             WHERE app_id = $1 AND name = $2 AND next_due_ms = $3 AND asked_ms IS NULL",
        );
        let query = query.bind(cron.app.to_string()).bind(&cron.name);
        let query = query.bind(seen.as_millis()).bind(until.as_millis());
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Takes back a run whose command was surely not begun. With `again`, it waits for the same
    /// due time and is looked at then, unless a deployment has changed what it waits for since
    /// it began.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_take_back(
        &self,
        cron: &CronRow,
        run: CronRunRow,
        reason: &str,
        again: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET run_boot = NULL, run_due_ms = NULL, run_started_ms = NULL, \
             miss_due_ms = $4, miss_reason = $5, \
             next_due_ms = CASE WHEN $6 IS NOT NULL AND is_on AND schedule = $7 \
             THEN $4 ELSE next_due_ms END, \
             look_ms = CASE WHEN $6 IS NOT NULL AND is_on AND schedule = $7 \
             THEN $6 ELSE look_ms END \
             WHERE app_id = $1 AND name = $2 AND run_boot = $3 AND run_due_ms = $4",
        );
        let query = query
            .bind(cron.app.to_string())
            .bind(&cron.name)
            .bind(run.boot.to_string())
            .bind(run.due.as_millis())
            .bind(reason)
            .bind(again.map(Timestamp::as_millis))
            .bind(&cron.schedule);
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Records how a run ended.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_end(
        &self,
        cron: &CronRow,
        run: CronRunRow,
        ended: Timestamp,
        end: &RunEnd,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET last_due_ms = run_due_ms, last_started_ms = run_started_ms, \
             last_ended_ms = $5, last_exit_code = $6, last_error = $7, last_output = $8, \
             run_boot = NULL, run_due_ms = NULL, run_started_ms = NULL \
             WHERE app_id = $1 AND name = $2 AND run_boot = $3 AND run_due_ms = $4",
        );
        let query = query
            .bind(cron.app.to_string())
            .bind(&cron.name)
            .bind(run.boot.to_string())
            .bind(run.due.as_millis())
            .bind(ended.as_millis())
            .bind(end.exit_code.map(i64::from))
            .bind(&end.error)
            .bind(&end.output);
        let changed = query.execute(&self.writer).await?.rows_affected();
        self.cron_swapped(cron.app, &cron.name, changed).await
    }

    /// Ends the runs of other starts of the server, which are over. Returns how many.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_end_of_other_boots(
        &self,
        boot: BootId,
        error: &str,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "UPDATE app_cron SET last_due_ms = run_due_ms, last_started_ms = run_started_ms, \
             last_ended_ms = $3, last_exit_code = NULL, last_error = $2, last_output = '', \
             run_boot = NULL, run_due_ms = NULL, run_started_ms = NULL \
             WHERE run_boot IS NOT NULL AND run_boot <> $1",
        );
        let query = query.bind(boot.to_string()).bind(error).bind(self.now().as_millis());
        Ok(query.execute(&self.writer).await?.rows_affected())
    }

    async fn cron_swapped(&self, app: AppId, name: &str, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.cron_get(app, name).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}

impl Tx {
    /// Sets what an app has run from now on, and nothing else: one that is due at the same times
    /// as before goes on waiting for what it waits for.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn cron_set(&mut self, app: AppId, wishes: &[CronWish]) -> Result<(), StoreError> {
        let query = sqlx::query(select!("WHERE app_id = $1"));
        let rows = query.bind(app.to_string()).fetch_all(self.connection()).await?;
        let mut before: BTreeMap<String, CronRow> = BTreeMap::new();
        for row in &rows {
            let row = read(row)?;
            before.insert(row.name.clone(), row);
        }
        for wish in wishes {
            let next_due = match before.remove(&wish.name) {
                Some(row) if row.schedule == wish.schedule && row.is_on == wish.is_on => {
                    row.next_due
                }
                _ => wish.next_due,
            };
            self.cron_put(app, wish, next_due).await?;
        }
        for name in before.keys() {
            let query = sqlx::query("DELETE FROM app_cron WHERE app_id = $1 AND name = $2");
            query.bind(app.to_string()).bind(name).execute(self.connection()).await?;
        }
        Ok(())
    }

    async fn cron_put(
        &mut self,
        app: AppId,
        wish: &CronWish,
        next_due: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        // What is tried again is not looked at sooner for a deployment that changes nothing.
        let query = sqlx::query(
            "INSERT INTO app_cron (app_id, name, schedule, command, timeout_ms, is_on, \
             next_due_ms, look_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
             ON CONFLICT (app_id, name) DO UPDATE SET schedule = excluded.schedule, \
             command = excluded.command, timeout_ms = excluded.timeout_ms, \
             is_on = excluded.is_on, next_due_ms = excluded.next_due_ms, \
             look_ms = CASE WHEN app_cron.next_due_ms = excluded.next_due_ms \
             THEN app_cron.look_ms ELSE COALESCE(app_cron.asked_ms, excluded.look_ms) END",
        );
        query
            .bind(app.to_string())
            .bind(&wish.name)
            .bind(&wish.schedule)
            .bind(&wish.command)
            .bind(millis(wish.timeout))
            .bind(wish.is_on)
            .bind(next_due.map(Timestamp::as_millis))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
