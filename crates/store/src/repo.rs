//! Repositories of apps, by the number that their forge knows them by.

use pando_types::{AppId, OrgId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, count};
use crate::{Insert, Store, StoreError, Tx};

/// The most repositories of an org that are listed.
const MAX_REPOS: i64 = 1000;

/// A repository that an org has apps of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRow {
    /// The repository in one spelling, by which apps are found.
    pub key: String,
    /// The forge's number of it, which outlives its name.
    pub number: u64,
    /// `owner/repo`, as the forge spells it.
    pub full_name: String,
}

fn read(row: &SqliteRow) -> Result<RepoRow, StoreError> {
    let columns = Columns(row);
    Ok(RepoRow {
        key: columns.get("repo_key")?,
        number: columns.number("forge_id")?,
        full_name: columns.get("full_name")?,
    })
}

impl Store {
    /// The repositories of an org's kept apps that have a number, by name, and whether any of the
    /// apps has previews.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn repo_list(&self, org: OrgId) -> Result<Vec<(RepoRow, bool)>, StoreError> {
        let query = sqlx::query(
            "SELECT repo.repo_key, forge_id, full_name, \
             SUM(CASE WHEN app.previews THEN 1 ELSE 0 END) AS previewed FROM repo \
             JOIN app ON app.org_id = repo.org_id AND app.repo_key = repo.repo_key \
             AND app.kind = 'app' AND app.desired = 'kept' WHERE repo.org_id = $1 \
             GROUP BY repo.repo_key, forge_id, full_name ORDER BY full_name, repo.repo_key LIMIT $2",
        );
        let rows = query.bind(org.to_string()).bind(MAX_REPOS).fetch_all(&self.reader).await?;
        rows.iter().map(|row| Ok((read(row)?, row.try_get::<i64, _>("previewed")? > 0))).collect()
    }
}

impl Tx {
    /// The repositories that an org knows by this number: several where it was renamed.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn repo_list_numbered(
        &mut self,
        org: OrgId,
        number: u64,
    ) -> Result<Vec<RepoRow>, StoreError> {
        let query = sqlx::query(
            "SELECT repo_key, forge_id, full_name FROM repo \
             WHERE org_id = $1 AND forge_id = $2 ORDER BY repo_key LIMIT $3",
        );
        let query = query.bind(org.to_string()).bind(count(number)).bind(MAX_REPOS);
        query.fetch_all(self.connection()).await?.iter().map(read).collect()
    }

    /// Keeps what a forge says of a repository, for every org that has apps of it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn repo_put_for_all(&mut self, repo: &RepoRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO repo (org_id, repo_key, forge_id, full_name) \
             SELECT DISTINCT org_id, repo_key, CAST($2 AS BIGINT), CAST($3 AS TEXT) FROM app \
             WHERE repo_key = $1 AND kind = 'app' AND desired = 'kept' \
             ON CONFLICT (org_id, repo_key) DO UPDATE SET forge_id = excluded.forge_id, \
             full_name = excluded.full_name",
        );
        query
            .bind(&repo.key)
            .bind(count(repo.number))
            .bind(&repo.full_name)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Keeps what a user says of a repository of their org; [`Insert::Exists`] where something is
    /// known of it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn repo_insert(&mut self, org: OrgId, repo: &RepoRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(
            "INSERT INTO repo (org_id, repo_key, forge_id, full_name) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (org_id, repo_key) DO NOTHING",
        );
        let result = query
            .bind(org.to_string())
            .bind(&repo.key)
            .bind(count(repo.number))
            .bind(&repo.full_name)
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }

    /// An org's kept apps, not previews, by repository.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn app_list_repo_keys(
        &mut self,
        org: OrgId,
    ) -> Result<Vec<(AppId, String)>, StoreError> {
        let query = sqlx::query(
            "SELECT id, repo_key FROM app WHERE org_id = $1 AND kind = 'app' AND desired = 'kept' \
             ORDER BY created_ms, id",
        );
        let rows = query.bind(org.to_string()).fetch_all(self.connection()).await?;
        let read = |row: &SqliteRow| Ok((Columns(row).id("id")?, Columns(row).get("repo_key")?));
        rows.iter().map(read).collect()
    }
}
