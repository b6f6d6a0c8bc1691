//! Orgs: who owns everything else. There is one, `default`, from the first start.

use pando_types::quota::Quota;
use pando_types::{OrgId, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::{Store, StoreError, Tx};

pub(crate) const DEFAULT: &str = "default";

/// One org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgRow {
    /// Its id.
    pub id: OrgId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

/// What an org may have, where that is not the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaRow {
    /// See [`Quota::sandboxes`].
    pub sandboxes: Option<u32>,
    /// See [`Quota::vcpus`].
    pub vcpus: Option<u32>,
    /// See [`Quota::memory_mib`].
    pub memory_mib: Option<u32>,
    /// See [`Quota::sleeping`].
    pub sleeping: Option<u32>,
    /// See [`Quota::sleeping_mib`].
    pub sleeping_mib: Option<u32>,
    /// See [`Quota::creates_per_minute`].
    pub creates_per_minute: Option<u32>,
    /// See [`Quota::requests_per_second`].
    pub requests_per_second: Option<u32>,
    /// See [`Quota::volumes`].
    pub volumes: Option<u32>,
    /// See [`Quota::volume_mib`].
    pub volume_mib: Option<u32>,
}

impl QuotaRow {
    /// The quota: what is not set is the server's default.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let default = Quota::default();
        Quota {
            sandboxes: self.sandboxes.unwrap_or(default.sandboxes),
            vcpus: self.vcpus.unwrap_or(default.vcpus),
            memory_mib: self.memory_mib.unwrap_or(default.memory_mib),
            sleeping: self.sleeping.unwrap_or(default.sleeping),
            sleeping_mib: self.sleeping_mib.unwrap_or(default.sleeping_mib),
            creates_per_minute: self.creates_per_minute.unwrap_or(default.creates_per_minute),
            requests_per_second: self.requests_per_second.unwrap_or(default.requests_per_second),
            volumes: self.volumes.unwrap_or(default.volumes),
            volume_mib: self.volume_mib.unwrap_or(default.volume_mib),
        }
    }
}

fn read(row: &SqliteRow) -> Result<OrgRow, StoreError> {
    let columns = Columns(row);
    Ok(OrgRow {
        id: columns.id("id")?,
        name: columns.get("name")?,
        created: columns.time("created_ms")?,
    })
}

const QUOTA: &str = "SELECT max_sandboxes, max_vcpus, max_memory_mib, max_sleeping, \
     max_sleeping_mib, max_creates_per_minute, max_requests_per_second, max_volumes, \
     max_volume_mib FROM org WHERE id = $1";

fn read_quota(row: &SqliteRow) -> Result<QuotaRow, StoreError> {
    let columns = Columns(row);
    Ok(QuotaRow {
        sandboxes: columns.maybe_number("max_sandboxes")?,
        vcpus: columns.maybe_number("max_vcpus")?,
        memory_mib: columns.maybe_number("max_memory_mib")?,
        sleeping: columns.maybe_number("max_sleeping")?,
        sleeping_mib: columns.maybe_number("max_sleeping_mib")?,
        creates_per_minute: columns.maybe_number("max_creates_per_minute")?,
        requests_per_second: columns.maybe_number("max_requests_per_second")?,
        volumes: columns.maybe_number("max_volumes")?,
        volume_mib: columns.maybe_number("max_volume_mib")?,
    })
}

impl Store {
    /// What an org may have now; `None` when there is none of that id.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_quota(&self, id: OrgId) -> Result<Option<Quota>, StoreError> {
        let row = sqlx::query(QUOTA).bind(id.to_string()).fetch_optional(&self.reader).await?;
        row.as_ref().map(|row| Ok(read_quota(row)?.quota())).transpose()
    }

    /// The org that every key and app belongs to until there are more.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_default(&self) -> Result<OrgRow, StoreError> {
        let query = sqlx::query("SELECT id, name, created_ms FROM org WHERE name = $1");
        read(&query.bind(DEFAULT).fetch_one(&self.reader).await?)
    }

    /// One org.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_get(&self, id: OrgId) -> Result<Option<OrgRow>, StoreError> {
        let query = sqlx::query("SELECT id, name, created_ms FROM org WHERE id = $1");
        query
            .bind(id.to_string())
            .fetch_optional(&self.reader)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

impl Tx {
    /// What is set of an org's quota.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_quota(&mut self, id: OrgId) -> Result<QuotaRow, StoreError> {
        let row = sqlx::query(QUOTA).bind(id.to_string()).fetch_one(self.connection()).await?;
        read_quota(&row)
    }

    /// Sets an org's quota.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn org_set_quota(&mut self, id: OrgId, quota: &QuotaRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE org SET max_sandboxes = $2, max_vcpus = $3, max_memory_mib = $4, \
             max_creates_per_minute = $5, max_requests_per_second = $6, max_volumes = $7, \
             max_volume_mib = $8, max_sleeping = $9, max_sleeping_mib = $10 WHERE id = $1",
        );
        query
            .bind(id.to_string())
            .bind(quota.sandboxes.map(i64::from))
            .bind(quota.vcpus.map(i64::from))
            .bind(quota.memory_mib.map(i64::from))
            .bind(quota.creates_per_minute.map(i64::from))
            .bind(quota.requests_per_second.map(i64::from))
            .bind(quota.volumes.map(i64::from))
            .bind(quota.volume_mib.map(i64::from))
            .bind(quota.sleeping.map(i64::from))
            .bind(quota.sleeping_mib.map(i64::from))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub(crate) async fn org_ensure(&mut self, id: OrgId, name: &str) -> Result<(), StoreError> {
        let now = self.now.as_millis();
        sqlx::query("INSERT INTO org (id, name, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
            .bind(id.to_string())
            .bind(name)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
