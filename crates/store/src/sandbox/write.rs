//! Writes of sandboxes, and the reads that belong to their transactions.

use std::time::Duration;

use pando_types::quota::{Awake, CREATES_SPAN, Usage};
use pando_types::{Epoch, Generation, NodeId, OrgId, SandboxId, Timestamp};
use sqlx::Row;

use super::{Actual, Desired, SandboxLife, SandboxRow, columns, read};
use crate::column::{Columns, Word, count, json, millis};
use crate::{Insert, Store, StoreError, Swap, Tx};

impl Store {
    /// [`Tx::sandbox_set_desired`] by itself.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_set_desired(
        &self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        expected_gen: Generation,
        desired: Desired,
    ) -> Result<Swap, StoreError> {
        let mut tx = self.begin().await?;
        let swap = tx.sandbox_set_desired(id, owner, epoch, expected_gen, desired).await?;
        tx.commit().await?;
        Ok(swap)
    }
}

impl Tx {
    /// One sandbox, or its tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_get(&mut self, id: SandboxId) -> Result<Option<SandboxRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM sandbox WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// What an org uses now, where at most `creates_per_minute` may be made. What
    /// failed has no machine, so it counts as a sandbox alone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_usage(
        &mut self,
        org: OrgId,
        creates_per_minute: u32,
    ) -> Result<Usage, StoreError> {
        let query = sqlx::query(
            "SELECT COUNT(*) FILTER (WHERE actual <> 'hibernated') AS sandboxes, \
             COALESCE(SUM(cpu) FILTER (WHERE actual NOT IN ('failed', 'hibernated')), 0) AS vcpus, \
             COALESCE(SUM(memory_mib) FILTER (WHERE actual NOT IN ('failed', 'hibernated')), 0) \
             AS memory, \
             COUNT(*) FILTER (WHERE actual = 'hibernated') AS sleeping, \
             COALESCE(SUM(memory_mib) FILTER (WHERE actual = 'hibernated'), 0) AS sleeping_memory \
             FROM sandbox WHERE org_id = $1 AND actual <> 'deleted'",
        );
        let row = query.bind(org.to_string()).fetch_one(self.connection()).await?;
        let columns = Columns(&row);
        Ok(Usage {
            awake: Awake {
                sandboxes: columns.number("sandboxes")?,
                vcpus: columns.number("vcpus")?,
                memory_mib: columns.number("memory")?,
            },
            sleeping: columns.number("sleeping")?,
            sleeping_mib: columns.number("sleeping_memory")?,
            create_wait: self.create_wait(org, creates_per_minute).await?,
        })
    }

    /// One more may be made when the one that is `most` creates back is a minute old.
    async fn create_wait(&mut self, org: OrgId, most: u32) -> Result<Option<Duration>, StoreError> {
        let Some(back) = most.checked_sub(1) else { return Ok(Some(CREATES_SPAN)) };
        let (now, span) = (self.now, millis(CREATES_SPAN));
        let query = sqlx::query(
            "SELECT created_ms FROM sandbox WHERE org_id = $1 AND created_ms > $2 \
             ORDER BY created_ms DESC LIMIT 1 OFFSET $3",
        );
        let row = query
            .bind(org.to_string())
            .bind(now.as_millis().saturating_sub(span))
            .bind(i64::from(back))
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let oldest = Timestamp::from_millis(row.try_get(0)?);
        Ok(Some(oldest.plus(CREATES_SPAN).since(now)))
    }

    /// Adds a sandbox and its pairs; [`Insert::Exists`] when its id is taken (a
    /// retry of the same request).
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_insert(&mut self, sandbox: &SandboxRow) -> Result<Insert, StoreError> {
        let (made_of, made_of_id) = sandbox.made_of.columns();
        let query = sqlx::query(concat!(
            "INSERT INTO sandbox (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23) ON CONFLICT (id) DO NOTHING"
        ));
        let result = query
            .bind(sandbox.id.to_string())
            .bind(sandbox.org.to_string())
            .bind(sandbox.app.map(|app| app.to_string()))
            .bind(&sandbox.template)
            .bind(i64::from(sandbox.cpu))
            .bind(i64::from(sandbox.memory_mib))
            .bind(json(&sandbox.metadata, "metadata_json")?)
            .bind(sandbox.created.as_millis())
            .bind(sandbox.ttl.map(millis))
            .bind(sandbox.deadline.map(Timestamp::as_millis))
            .bind(sandbox.persistent)
            .bind(sandbox.owner_node.to_string())
            .bind(sandbox.epoch.to_row())
            .bind(sandbox.desired.word())
            .bind(sandbox.desired_gen.to_row())
            .bind(sandbox.actual.word())
            .bind(sandbox.actual_gen.to_row())
            .bind(&sandbox.reason)
            .bind(count(sandbox.boot_ms))
            .bind(made_of)
            .bind(made_of_id)
            .bind(sandbox.idle_timeout.map(millis))
            .bind(json(&sandbox.volumes, "volumes_json")?)
            .execute(self.connection())
            .await?;
        let insert = Insert::of(&result);
        if insert == Insert::Done {
            self.metadata_insert(sandbox).await?;
        }
        Ok(insert)
    }

    async fn metadata_insert(&mut self, sandbox: &SandboxRow) -> Result<(), StoreError> {
        for (key, value) in &sandbox.metadata {
            let query = sqlx::query(
                "INSERT INTO sandbox_metadata (sandbox_id, org_id, key, value) \
                 VALUES ($1, $2, $3, $4)",
            );
            query
                .bind(sandbox.id.to_string())
                .bind(sandbox.org.to_string())
                .bind(key)
                .bind(value)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Changes what is wanted, if nobody else has since `expected_gen`. Never
    /// back from [`Desired::Deleted`]: that answers [`Swap::Stale`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_set_desired(
        &mut self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        expected_gen: Generation,
        desired: Desired,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE sandbox SET desired = $5, desired_gen = desired_gen + 1 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 AND desired_gen = $4 \
             AND desired <> 'deleted' AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(expected_gen.to_row())
            .bind(desired.word())
            .execute(self.connection())
            .await?;
        self.sandbox_swapped(id, result.rows_affected()).await
    }

    /// Changes how long it lives, and how it is kept.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sandbox_set_lifecycle(
        &mut self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        life: &SandboxLife,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE sandbox SET ttl_ms = $4, deadline_ms = $5, persistent = $6, \
             idle_timeout_ms = $7 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 \
             AND desired <> 'deleted' AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(life.ttl.map(millis))
            .bind(life.deadline.map(Timestamp::as_millis))
            .bind(life.persistent)
            .bind(life.idle_timeout.map(millis))
            .execute(self.connection())
            .await?;
        self.sandbox_swapped(id, result.rows_affected()).await
    }

    /// Takes its owner's report, unless a later one is known. `boot_ms` stays
    /// where none is given. [`Actual::Deleted`] makes the row a tombstone,
    /// which no list finds by its pairs and nothing is run in. What has no machine any more
    /// holds no volume.
    ///
    /// # Errors
    /// Any [`StoreError`].
    #[expect(clippy::too_many_arguments, reason = "a report is all of these, and its writer one")]
    pub async fn sandbox_report(
        &mut self,
        id: SandboxId,
        owner: NodeId,
        epoch: Epoch,
        actual: Actual,
        actual_gen: Generation,
        reason: Option<&str>,
        boot_ms: Option<u64>,
    ) -> Result<Swap, StoreError> {
        let deleted = (actual == Actual::Deleted).then(|| self.now.as_millis());
        let query = sqlx::query(
            "UPDATE sandbox SET actual = $4, actual_gen = $5, reason = $6, \
             boot_ms = COALESCE($7, boot_ms), deleted_ms = $8 \
             WHERE id = $1 AND owner_node = $2 AND epoch = $3 AND actual_gen < $5 \
             AND actual <> 'deleted'",
        );
        let result = query
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(epoch.to_row())
            .bind(actual.word())
            .bind(actual_gen.to_row())
            .bind(reason)
            .bind(boot_ms.map(count))
            .bind(deleted)
            .execute(self.connection())
            .await?;
        let changed = result.rows_affected();
        // Its machine ended before it was reported.
        if changed > 0 && matches!(actual, Actual::Failed | Actual::Deleted) {
            self.volume_release(id).await?;
        }
        if changed > 0 && actual == Actual::Deleted {
            let query = sqlx::query("DELETE FROM sandbox_metadata WHERE sandbox_id = $1");
            query.bind(id.to_string()).execute(self.connection()).await?;
            self.schedule_forget(id).await?;
        }
        self.sandbox_swapped(id, changed).await
    }

    /// Rows are never removed outright, so asking afterwards cannot mistake one.
    async fn sandbox_swapped(&mut self, id: SandboxId, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.sandbox_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}
