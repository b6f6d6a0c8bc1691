//! Opening the database; who reads, who writes.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pando_types::{Clock, OrgId, SystemClock, Timestamp};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};

use crate::StoreError;

/// How long a caller waits for its turn before it is told that the store is busy.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock of another process (`sqlite3` on the command line, say).
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that only read. WAL lets them run beside the writer.
const READERS: u32 = 4;

/// The rows. Clones share the connections.
///
/// SQLite takes one writer at a time, so there is one connection that writes and
/// its callers queue; a write that reads first begins with `BEGIN IMMEDIATE`,
/// because a read lock that is raised later fails without waiting.
#[derive(Clone)]
pub struct Store {
    pub(crate) writer: SqlitePool,
    pub(crate) reader: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// Writes that are there together or not at all. Dropped, it leaves no trace.
///
/// It holds the only writing connection: keep it for rows alone, never over work
/// on anything else, and never ask the [`Store`] for another write meanwhile.
pub struct Tx {
    inner: Transaction<'static, Sqlite>,
    pub(crate) now: Timestamp,
}

/// Makes the file where it is missing, for its owner alone; what SQLite keeps
/// beside it gets the same mode (<https://www.sqlite.org/wal.html>).
fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

impl Store {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Migrate`], or what the first write says.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_clock(path, Arc::new(SystemClock)).await
    }

    /// The same under another clock, for tests of leases and ages. On SQLite the
    /// database's clock is this machine's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with_clock(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        // FULL, because in WAL mode NORMAL loses the last commits in a power cut,
        // and what was acknowledged must stay.
        make_private(path).map_err(|error| open(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(LOCK_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(TURN_TIMEOUT)
                // After a commit that found the disk full SQLite has rolled back by itself, and
                // the connection counts a transaction that is no more: it is of no use.
                .before_acquire(|connection, _| {
                    let is_at_rest = !connection.is_in_transaction();
                    Box::pin(async move { Ok(is_at_rest) })
                })
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(open)?;
        sqlx::migrate!("./migrations").run(&writer).await.map_err(StoreError::Migrate)?;
        let reader =
            pool(READERS).connect_with(options.pragma("query_only", "1")).await.map_err(open)?;
        let store = Self { writer, reader, clock };
        let mut tx = store.begin().await?;
        tx.org_ensure(OrgId::new(), crate::org::DEFAULT).await?;
        tx.commit().await?;
        Ok(store)
    }

    /// Now, by the clock that leases are measured with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Begins writes that belong together.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the writer stays taken.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx { inner, now: self.now() })
    }

    /// Closes every connection; what is under way ends first.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

impl Tx {
    /// Makes the writes durable.
    ///
    /// # Errors
    /// What the database said; then nothing was changed.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }

    /// When it began, by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("pando.db")).await.unwrap();
        for _ in 0..3 {
            // What SQLite takes for a full disk (`max_page_count`, pragma.html).
            let mut full = store.begin().await.unwrap();
            let here = "PRAGMA max_page_count = 1";
            sqlx::query(here).execute(full.connection()).await.unwrap();
            let fill = "CREATE TABLE filling AS SELECT zeroblob(10000000) AS it";
            let refused = sqlx::query(fill).execute(full.connection()).await;
            let refused = StoreError::from(refused.unwrap_err());
            assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
            drop(full);
            let room = "PRAGMA max_page_count = 1000000";
            sqlx::query(room).execute(&store.writer).await.unwrap();

            let mut tx = store.begin().await.unwrap();
            tx.org_ensure(OrgId::new(), "written").await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}
