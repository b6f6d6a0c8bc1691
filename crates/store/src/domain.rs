//! Domains: which apps claim one, and which of them has shown that it is theirs.

use pando_types::domain::DomainStatus;
use pando_types::limits::MAX_DOMAINS;
use pando_types::{AppId, DomainId, Generation, OrgId, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, Word, words};
use crate::{Insert, Store, StoreError, Swap, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, org_id, app_id, name, status, reason, missing_ms, checked_ms, revision, \
             created_ms FROM domain ",
            $rest
        )
    };
}

words!(DomainStatus { Pending => "pending", Active => "active", Error => "error" });

/// One app's claim to a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    /// Its id, which the domain's TXT record holds.
    pub id: DomainId,
    /// Whose it is.
    pub org: OrgId,
    /// The app that it leads to once it is active.
    pub app: AppId,
    /// The domain, in its one spelling.
    pub name: String,
    /// How far it is. Of all claims to a name, one at most is active.
    pub status: DomainStatus,
    /// Why it is not active, or what is the matter with an active one.
    pub reason: Option<String>,
    /// Since when an active one's records have not been found.
    pub missing: Option<Timestamp>,
    /// When its records were last looked up.
    pub checked: Option<Timestamp>,
    /// Counts what was found.
    pub revision: Generation,
    /// When it was added.
    pub created: Timestamp,
}

fn read(row: &SqliteRow) -> Result<DomainRow, StoreError> {
    let columns = Columns(row);
    Ok(DomainRow {
        id: columns.id("id")?,
        org: columns.id("org_id")?,
        app: columns.id("app_id")?,
        name: columns.get("name")?,
        status: columns.word("status")?,
        reason: columns.get("reason")?,
        missing: columns.maybe_time("missing_ms")?,
        checked: columns.maybe_time("checked_ms")?,
        revision: Generation::from_row(columns.get("revision")?),
        created: columns.time("created_ms")?,
    })
}

impl Store {
    /// An app's claims, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_list(&self, app: AppId) -> Result<Vec<DomainRow>, StoreError> {
        let query = sqlx::query(select!("WHERE app_id = $1 ORDER BY created_ms, id LIMIT $2"));
        let query = query.bind(app.to_string()).bind(i64::from(MAX_DOMAINS));
        query.fetch_all(&self.reader).await?.iter().map(read).collect()
    }

    /// An app's claim to this name.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_named(
        &self,
        app: AppId,
        name: &str,
    ) -> Result<Option<DomainRow>, StoreError> {
        let query = sqlx::query(select!("WHERE app_id = $1 AND name = $2"));
        let row = query.bind(app.to_string()).bind(name).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// The claim with this id.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_get(&self, id: DomainId) -> Result<Option<DomainRow>, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1"));
        let row = query.bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }

    /// The claim that has this name, whichever app's.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_active(&self, name: &str) -> Result<Option<DomainRow>, StoreError> {
        let query = sqlx::query(select!("WHERE name = $1 AND status = 'active'"));
        let row = query.bind(name).fetch_optional(&self.reader).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Tx {
    /// Adds a claim; [`Insert::Exists`] when the app has one to this name.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_insert(&mut self, row: &DomainRow) -> Result<Insert, StoreError> {
        let query = sqlx::query(
            "INSERT INTO domain (id, org_id, app_id, name, status, reason, missing_ms, checked_ms, \
             revision, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (app_id, name) DO NOTHING",
        );
        let result = query
            .bind(row.id.to_string())
            .bind(row.org.to_string())
            .bind(row.app.to_string())
            .bind(&row.name)
            .bind(row.status.word())
            .bind(&row.reason)
            .bind(row.missing.map(Timestamp::as_millis))
            .bind(row.checked.map(Timestamp::as_millis))
            .bind(row.revision.to_row())
            .bind(row.created.as_millis())
            .execute(self.connection())
            .await?;
        Ok(Insert::of(&result))
    }

    /// How many claims an app has.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_count(&mut self, app: AppId) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM domain WHERE app_id = $1");
        let row = query.bind(app.to_string()).fetch_one(self.connection()).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// Writes what was found of a claim, whose revision grows with it. [`Swap::Stale`] when
    /// somebody else found something since `expected` was read.
    ///
    /// # Errors
    /// Any [`StoreError`], among them when another claim to the name is active.
    pub async fn domain_settle(
        &mut self,
        expected: &DomainRow,
        next: &DomainRow,
    ) -> Result<Swap, StoreError> {
        let query = sqlx::query(
            "UPDATE domain SET status = $3, reason = $4, missing_ms = $5, checked_ms = $6, \
             revision = revision + 1 WHERE id = $1 AND revision = $2",
        );
        let result = query
            .bind(expected.id.to_string())
            .bind(expected.revision.to_row())
            .bind(next.status.word())
            .bind(&next.reason)
            .bind(next.missing.map(Timestamp::as_millis))
            .bind(next.checked.map(Timestamp::as_millis))
            .execute(self.connection())
            .await?;
        if result.rows_affected() > 0 {
            return Ok(Swap::Done);
        }
        let query = sqlx::query("SELECT 1 FROM domain WHERE id = $1");
        let row = query.bind(expected.id.to_string()).fetch_optional(self.connection()).await?;
        Ok(if row.is_some() { Swap::Stale } else { Swap::Missing })
    }

    /// Removes an app's claim to a name, or all that it has; what they were.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn domain_delete(
        &mut self,
        app: AppId,
        name: Option<&str>,
    ) -> Result<Vec<DomainRow>, StoreError> {
        let query = sqlx::query(
            "DELETE FROM domain WHERE app_id = $1 AND name = COALESCE($2, name) \
             RETURNING id, org_id, app_id, name, status, reason, missing_ms, checked_ms, revision, \
             created_ms",
        );
        let rows = query.bind(app.to_string()).bind(name).fetch_all(self.connection()).await?;
        rows.iter().map(read).collect()
    }
}
