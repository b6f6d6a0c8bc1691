//! Reads and writes of apps that belong to a transaction.

use pando_types::route::{RouteChange, RouteTarget};
use pando_types::{AppId, DeploymentId, SandboxId, Timestamp};
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::{AppKind, AppRow, DeployKey, Flip, KEPT, Kind, read};
use crate::column::{Word, count};
use crate::{Insert, StoreError, Swap, Tx};

/// The most previews that one app has listed at once.
const MAX_PREVIEWS: i64 = 10_000;

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Binds what the user asked of an app, in the order of the columns: all that is kept of it from
/// `git_branch` to `preview_env_sealed`.
fn bind_wishes<'q>(query: Statement<'q>, app: &'q AppRow) -> Statement<'q> {
    query
        .bind(&app.git_branch)
        .bind(&app.template)
        .bind(app.auto_deploy)
        .bind(app.previews)
        .bind(&app.framework)
        .bind(&app.install_command)
        .bind(&app.build_command)
        .bind(&app.start_command)
        .bind(&app.root_directory)
        .bind(i64::from(app.port))
        .bind(i64::from(app.cpu))
        .bind(i64::from(app.memory_mib))
        .bind(&app.env_sealed)
        .bind(&app.preview_env_sealed)
}

impl Tx {
    /// Adds an app and its host, which leads to nothing yet. [`Insert::Exists`]
    /// when a kept app has its name or label, or its pull request has a preview.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_insert(&mut self, app: &AppRow) -> Result<Insert, StoreError> {
        let (kind, preview) = match &app.kind {
            AppKind::App => (Kind::App, None),
            AppKind::Preview(preview) => (Kind::Preview, Some(preview)),
        };
        let query = sqlx::query(concat!(
            "INSERT INTO app (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, NULL) \
             ON CONFLICT DO NOTHING"
        ));
        let query = query
            .bind(app.id.to_string())
            .bind(app.org.to_string())
            .bind(kind.word())
            .bind(&app.name)
            .bind(&app.label)
            .bind(&app.git_url)
            .bind(&app.repo_key);
        let result = bind_wishes(query, app)
            .bind(preview.map(|preview| preview.parent.to_string()))
            .bind(preview.map(|preview| count(preview.pr_number)))
            .bind(preview.map(|preview| &preview.repo_full_name))
            .bind(app.active_deployment.map(|id| id.to_string()))
            .bind(app.active_sandbox.map(|id| id.to_string()))
            .bind(KEPT)
            .bind(app.created.as_millis())
            .bind(app.updated.as_millis())
            .bind(&app.git_token_sealed)
            .bind(app.deploy_key.as_ref().map(|key| &key.private_sealed))
            .bind(app.deploy_key.as_ref().map(|key| &key.public))
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }

    /// One app or preview, or its tombstone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_get(&mut self, id: AppId) -> Result<Option<AppRow>, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(read).transpose()
    }

    /// The kept apps, not previews, of a repository.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list_repo(&mut self, repo_key: &str) -> Result<Vec<AppRow>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE repo_key = $1 AND kind = 'app' AND desired = 'kept' ORDER BY created_ms, id"
        ));
        let rows = query.bind(repo_key).fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    /// The kept previews of a pull request, by repository and number alone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list_pull_request(
        &mut self,
        repo_key: &str,
        pr_number: u64,
    ) -> Result<Vec<AppRow>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE repo_key = $1 AND pr_number = $2 AND kind = 'preview' AND desired = 'kept' \
             ORDER BY created_ms, id"
        ));
        let rows = query.bind(repo_key).bind(count(pr_number)).fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    /// The kept previews of an app.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list_previews(&mut self, parent: AppId) -> Result<Vec<AppRow>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE parent_id = $1 AND desired = 'kept' ORDER BY created_ms, id LIMIT $2"
        ));
        let rows =
            query.bind(parent.to_string()).bind(MAX_PREVIEWS).fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }

    /// Keeps that the app has what was pushed until this moment, by the forge's clock: the forge
    /// told of a push, or the head was asked for. Unless a later moment is kept; whether it is.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_told(&mut self, id: AppId, at: Timestamp) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE app SET told_ms = $2 WHERE id = $1 AND (told_ms IS NULL OR told_ms <= $2)",
        );
        let query = query.bind(id.to_string()).bind(at.as_millis());
        Ok(query.execute(self.connection()).await?.rows_affected() > 0)
    }

    /// Changes what the user asked of a kept app: everything but its name, its
    /// repository and what is live. [`Swap::Stale`] when it is being removed.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_change(&mut self, app: &AppRow) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app SET git_branch = $2, template = $3, auto_deploy = $4, previews = $5, \
             framework = $6, install_command = $7, build_command = $8, start_command = $9, \
             root_directory = $10, port = $11, cpu = $12, memory_mib = $13, env_sealed = $14, \
             preview_env_sealed = $15, updated_ms = $16, git_token_sealed = $17 \
             WHERE id = $1 AND desired = 'kept'",
        );
        let result = bind_wishes(query.bind(app.id.to_string()), app)
            .bind(self.now.as_millis())
            .bind(&app.git_token_sealed)
            .execute(self.connection())
            .await?;
        self.app_swapped(app.id, result.rows_affected()).await
    }

    /// Gives a kept app a key for ssh, or takes it away. [`Swap::Stale`] when it is being
    /// removed.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_set_deploy_key(
        &mut self,
        id: AppId,
        key: Option<&DeployKey>,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE app SET deploy_key_sealed = $2, deploy_key_public = $3, updated_ms = $4 \
             WHERE id = $1 AND desired = 'kept'",
        );
        let result = query
            .bind(id.to_string())
            .bind(key.map(|key| &key.private_sealed))
            .bind(key.map(|key| &key.public))
            .bind(self.now.as_millis())
            .execute(self.connection())
            .await?;
        self.app_swapped(id, result.rows_affected()).await
    }

    /// Makes a deployment the live one: the app's pointer and its host's route at
    /// once. `None` when the app is not kept any more. The caller moves the
    /// deployment itself in the same [`Tx`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_flip(
        &mut self,
        app: &AppRow,
        deployment: DeploymentId,
        sandbox: SandboxId,
        port: u16,
    ) -> Result<Option<Flip>, StoreError> {
        let Some(current) = self.app_get(app.id).await? else {
            return Ok(None);
        };
        let now = self.now.as_millis();
        let query = sqlx::query(
            "UPDATE app SET active_deployment_id = $2, active_sandbox_id = $3, updated_ms = $4 \
             WHERE id = $1 AND desired = 'kept'",
        );
        let result = query
            .bind(app.id.to_string())
            .bind(deployment.to_string())
            .bind(sandbox.to_string())
            .bind(now)
            .execute(self.connection())
            .await?;
        if result.rows_affected() == 0 {
            return Ok(None);
        }
        // The port that this deployment was told, whatever the next one will be.
        let target = RouteTarget { sandbox: Some(sandbox), port };
        let route = self.route_put(app.id, &current.label, Some(target)).await?;
        Ok(Some(Flip { route, previous: current.active_sandbox.filter(|old| *old != sandbox) }))
    }

    /// Wishes a kept app gone; its host leads nowhere from now on. [`Swap::Stale`]
    /// when that was wished before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_leave(
        &mut self,
        app: &AppRow,
    ) -> Result<(Swap, Option<RouteChange>), StoreError> {
        let now = self.now.as_millis();
        let query = sqlx::query(
            "UPDATE app SET desired = 'deleted', updated_ms = $2 WHERE id = $1 AND desired = 'kept'",
        );
        let result = query.bind(app.id.to_string()).bind(now).execute(self.connection()).await?;
        let swap = self.app_swapped(app.id, result.rows_affected()).await?;
        let route = match swap {
            Swap::Done => Some(self.route_put(app.id, &app.label, None).await?),
            Swap::Missing | Swap::Stale => None,
        };
        Ok((swap, route))
    }

    /// Makes a leaving app's row a tombstone: the last step of its removal. Its
    /// secrets and logs go with it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_bury(&mut self, id: AppId) -> Result<Swap, StoreError> {
        let now = self.now.as_millis();
        let query = sqlx::query(
            "UPDATE app SET deleted_ms = $2, updated_ms = $2, env_sealed = $3, \
             preview_env_sealed = $3, git_token_sealed = NULL, deploy_key_sealed = NULL, \
             deploy_key_public = NULL, active_deployment_id = NULL, active_sandbox_id = NULL \
             WHERE id = $1 AND desired = 'deleted' AND deleted_ms IS NULL",
        );
        let result = query
            .bind(id.to_string())
            .bind(now)
            .bind(Vec::<u8>::new())
            .execute(self.connection())
            .await?;
        let swap = self.app_swapped(id, result.rows_affected()).await?;
        if swap == Swap::Done {
            self.deployment_log_clear(id).await?;
        }
        Ok(swap)
    }

    async fn app_swapped(&mut self, id: AppId, changed: u64) -> Result<Swap, StoreError> {
        if changed > 0 {
            return Ok(Swap::Done);
        }
        Ok(if self.app_get(id).await?.is_some() { Swap::Stale } else { Swap::Missing })
    }
}
