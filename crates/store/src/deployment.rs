//! Deployments: each one attempt to make one commit live.

use pando_types::app::DeploymentStatus;
use pando_types::{AppId, DeploymentId, OrgId, SandboxId, SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, Word, json, words};
use crate::{Store, StoreError, Swap, Tx};

macro_rules! columns {
    () => {
        "id, org_id, app_id, status, commit_sha, git_ref, reason, sandbox_id, error, plan_json, \
         history_json, attempt, created_ms, finished_ms, origin_id, settings_hash, snapshot_id, \
         is_fresh"
    };
}

words!(DeploymentStatus {
    Queued => "queued",
    Fetching => "fetching",
    Detecting => "detecting",
    Installing => "installing",
    Building => "building",
    Releasing => "releasing",
    Starting => "starting",
    Checking => "checking",
    Live => "live",
    Failed => "failed",
    Cancelled => "cancelled",
    Superseded => "superseded",
});

/// When a deployment entered a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The state.
    pub status: DeploymentStatus,
    /// When.
    pub at_ms: Timestamp,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Its id; a later deployment has a greater one.
    pub id: DeploymentId,
    /// Whose it is.
    pub org: OrgId,
    /// The app.
    pub app: AppId,
    /// Where it is.
    pub status: DeploymentStatus,
    /// The commit; empty until the ref is resolved.
    pub commit: String,
    /// What was asked for: a branch, a full ref, or a commit.
    pub git_ref: String,
    /// Why it was made.
    pub reason: String,
    /// Where it builds and serves.
    pub sandbox: Option<SandboxId>,
    /// Why it failed.
    pub error: Option<String>,
    /// What was resolved for it, as JSON: never mixed with what the user asked for.
    pub plan: Option<String>,
    /// The states it has been in, in order.
    pub history: Vec<Entered>,
    /// How often it was begun: a restart of the server begins it anew.
    pub attempt: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The deployment that it brings back; none where it is of its commit.
    pub origin: Option<DeploymentId>,
    /// What its machine depends on, beside the commit; none until that is known.
    pub settings_hash: Option<String>,
    /// The machine that is kept of it, which may be gone.
    pub snapshot: Option<SnapshotId>,
    /// Whether nothing that an earlier one left is used.
    pub is_fresh: bool,
}

/// A commit that an app needs, and how its repository is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCommit {
    /// Whose app it is.
    pub org: OrgId,
    /// Its repository.
    pub git_url: String,
    /// Whether that is read with a token, or would be over https.
    pub has_git_token: bool,
    /// Whether that is read with a key, or would be over ssh.
    pub has_deploy_key: bool,
    /// The commit.
    pub commit: String,
}

fn read(row: &SqliteRow) -> Result<DeploymentRow, StoreError> {
    let columns = Columns(row);
    Ok(DeploymentRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        app: columns.id("app_id")?,
        status: columns.word("status")?,
        commit: columns.get("commit_sha")?,
        git_ref: columns.get("git_ref")?,
        reason: columns.get("reason")?,
        sandbox: columns.maybe_id("sandbox_id")?,
        error: columns.get("error")?,
        plan: columns.get("plan_json")?,
        history: columns.json("history_json")?,
        attempt: columns.number("attempt")?,
        created: columns.time("created_ms")?,
        finished: columns.maybe_time("finished_ms")?,
        origin: columns.maybe_id("origin_id")?,
        settings_hash: columns.get("settings_hash")?,
        snapshot: columns.maybe_id("snapshot_id")?,
        is_fresh: columns.get("is_fresh")?,
    })
}

impl Store {
    /// One deployment.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_get(
        &self,
        id: DeploymentId,
    ) -> Result<Option<DeploymentRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM deployment WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// An app's deployments, newest first: at most `limit` before `before`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_list(
        &self,
        app: AppId,
        before: Option<DeploymentId>,
        limit: u32,
    ) -> Result<Vec<DeploymentRow>, StoreError> {
        // `~` sorts after every hex digit.
        let before = before.map_or_else(|| "~".to_owned(), |id| id.to_string());
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deployment WHERE app_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        ));
        let rows = query
            .bind(app.to_string())
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The machines that are kept of deployments.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_snapshots(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let query = "SELECT snapshot_id FROM deployment WHERE snapshot_id IS NOT NULL";
        let rows = sqlx::query(query).fetch_all(&self.reader).await?;
        rows.iter().map(|row| Columns(row).id("snapshot_id")).collect()
    }

    /// The deployments of an app of which machines are kept, in no order.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_list_kept(&self, app: AppId) -> Result<Vec<DeploymentRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deployment WHERE app_id = $1 AND snapshot_id IS NOT NULL"
        ));
        let rows = query.bind(app.to_string()).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// The last deployments of an app that went live, newest first, `limit` at most.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_list_live(
        &self,
        app: AppId,
        limit: u32,
    ) -> Result<Vec<DeploymentRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deployment WHERE app_id = $1 AND status = 'live' ORDER BY id DESC LIMIT $2"
        ));
        let rows =
            query.bind(app.to_string()).bind(i64::from(limit)).fetch_all(&self.reader).await?;
        rows.iter().map(read).collect()
    }

    /// The commits that are live in any app that is not gone, and those of its last
    /// `latest` deployments that were.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn commit_list_kept(&self, latest: u32) -> Result<Vec<KeptCommit>, StoreError> {
        let query = sqlx::query(
            "SELECT DISTINCT app.org_id, app.git_url, lived.commit_sha, \
             COALESCE(parent.git_token_sealed, app.git_token_sealed) IS NOT NULL AS has_git_token, \
             COALESCE(parent.deploy_key_sealed, app.deploy_key_sealed) IS NOT NULL \
             AS has_deploy_key FROM (SELECT id, app_id, commit_sha, ROW_NUMBER() OVER \
             (PARTITION BY app_id ORDER BY id DESC) AS place FROM deployment \
             WHERE status = $1 AND commit_sha <> '') AS lived \
             JOIN app ON app.id = lived.app_id LEFT JOIN app AS parent ON parent.id = app.parent_id \
             WHERE app.deleted_ms IS NULL \
             AND (lived.place <= $2 OR lived.id = app.active_deployment_id)",
        );
        let rows = query
            .bind(DeploymentStatus::Live.word())
            .bind(i64::from(latest))
            .fetch_all(&self.reader)
            .await?;
        let kept = |row: &SqliteRow| {
            let columns = Columns(row);
            Ok(KeptCommit {
                org: columns.id("org_id")?,
                git_url: columns.get("git_url")?,
                has_git_token: columns.get("has_git_token")?,
                has_deploy_key: columns.get("has_deploy_key")?,
                commit: columns.get("commit_sha")?,
            })
        };
        rows.iter().map(kept).collect()
    }

    /// [`Tx::deployment_swap`] by itself.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_swap(
        &self,
        old: &DeploymentRow,
        new: &DeploymentRow,
    ) -> Result<Swap, StoreError> {
        let mut tx = self.begin().await?;
        let swap = tx.deployment_swap(old, new).await?;
        tx.commit().await?;
        Ok(swap)
    }
}

impl Tx {
    /// Adds a deployment.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_insert(&mut self, row: &DeploymentRow) -> Result<(), StoreError> {
        let query = sqlx::query(concat!(
            "INSERT INTO deployment (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
        ));
        query
            .bind(row.id.to_string())
            .bind(row.org.to_string())
            .bind(row.app.to_string())
            .bind(row.status.word())
            .bind(&row.commit)
            .bind(&row.git_ref)
            .bind(&row.reason)
            .bind(row.sandbox.map(|id| id.to_string()))
            .bind(&row.error)
            .bind(&row.plan)
            .bind(json(&row.history, "history_json")?)
            .bind(i64::from(row.attempt))
            .bind(row.created.as_millis())
            .bind(row.finished.map(Timestamp::as_millis))
            .bind(row.origin.map(|id| id.to_string()))
            .bind(&row.settings_hash)
            .bind(row.snapshot.map(|id| id.to_string()))
            .bind(row.is_fresh)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// One deployment.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_get(
        &mut self,
        id: DeploymentId,
    ) -> Result<Option<DeploymentRow>, StoreError> {
        let query = sqlx::query(concat!("SELECT ", columns!(), " FROM deployment WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// An app's deployments that have not ended, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_list_open(
        &mut self,
        app: AppId,
    ) -> Result<Vec<DeploymentRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deployment WHERE app_id = $1 AND finished_ms IS NULL ORDER BY id"
        ));
        let rows = query.bind(app.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    /// Replaces what changes in a deployment, if it still has `old`'s status and attempt.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn deployment_swap(
        &mut self,
        old: &DeploymentRow,
        new: &DeploymentRow,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE deployment SET status = $4, commit_sha = $5, sandbox_id = $6, error = $7, \
             plan_json = $8, history_json = $9, attempt = $10, finished_ms = $11, \
             settings_hash = $12, snapshot_id = $13, origin_id = $14 \
             WHERE id = $1 AND status = $2 AND attempt = $3",
        );
        let result = query
            .bind(old.id.to_string())
            .bind(old.status.word())
            .bind(i64::from(old.attempt))
            .bind(new.status.word())
            .bind(&new.commit)
            .bind(new.sandbox.map(|id| id.to_string()))
            .bind(&new.error)
            .bind(&new.plan)
            .bind(json(&new.history, "history_json")?)
            .bind(i64::from(new.attempt))
            .bind(new.finished.map(Timestamp::as_millis))
            .bind(&new.settings_hash)
            .bind(new.snapshot.map(|id| id.to_string()))
            .bind(new.origin.map(|id| id.to_string()))
            .execute(self.connection())
            .await?;
        if result.rows_affected() > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.deployment_get(old.id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}
