//! A deployment's log: written in batches while it runs, read from the start and
//! followed live.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::Either;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use pando_store::{LogRow, Store, StoreError};
use pando_types::app::DeploymentStatus;
use pando_types::limits::MAX_DEPLOYMENT_LOG_BYTES;
use pando_types::{DeploymentId, PublicError, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long lines wait for others before they are written.
const BATCH_SPAN: Duration = Duration::from_millis(100);
/// Bytes that are written without waiting longer.
const BATCH_BYTES: usize = 64 * 1024;
/// What holding the end of a log that is full may take, until it is written.
const TAIL_BYTES: usize = 64 * 1024;
/// Lines that wait for the writer; then the command that says them waits.
const QUEUE_LINES: usize = 1024;
/// Rows that are read at once into a whole log.
const PAGE_ROWS: u32 = 16;
/// What reading so many takes, at most: a row is a batch whose last line may pass its
/// end, and is held twice for a moment.
pub(crate) const PAGE_BYTES: usize = 2 * PAGE_ROWS as usize * (BATCH_BYTES + 32 * 1024);
/// Rows that are read at once for whoever follows a log: the next wait until these are
/// passed on, however slowly that is.
const FOLLOWED_ROWS: u32 = 2;
/// A reader looks again after this long even if nothing told it to: another
/// process may have written.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was said.
    pub at: Timestamp,
    /// What the deployment was doing.
    pub status: DeploymentStatus,
    /// The line, without its end.
    pub text: String,
}

/// All logs. Clones share it.
#[derive(Clone)]
pub(crate) struct LogBook {
    store: Store,
    /// Counts what was written anywhere: readers are few, and look at their own rows.
    written: Arc<watch::Sender<u64>>,
    open: Arc<Mutex<HashSet<DeploymentId>>>,
}

/// The writing end of one log. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Log {
    lines: mpsc::Sender<(DeploymentStatus, String)>,
}

/// The task that writes one log.
pub(crate) struct LogWriter {
    book: LogBook,
    deployment: DeploymentId,
    task: Option<JoinHandle<()>>,
}

impl Log {
    /// Adds a line (or several, parted by newlines).
    pub(crate) async fn line(&self, status: DeploymentStatus, text: impl Into<String>) {
        // A closed log is one whose deployment ended: nobody misses the line.
        let _ = self.lines.send((status, text.into())).await;
    }
}

impl LogBook {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, written: Arc::new(watch::Sender::new(0)), open: Arc::default() }
    }

    /// Tells readers to look: a deployment moved, or said something.
    pub(crate) fn poke(&self) {
        self.written.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Opens a log for its one writer.
    pub(crate) async fn write(
        &self,
        deployment: DeploymentId,
    ) -> Result<(Log, LogWriter), StoreError> {
        let end = self.store.deployment_log_end(deployment).await?;
        self.opened().insert(deployment);
        let (lines, receiver) = mpsc::channel(QUEUE_LINES);
        let task = tokio::spawn(self.clone().keep_writing(deployment, end, receiver));
        Ok((Log { lines }, LogWriter { book: self.clone(), deployment, task: Some(task) }))
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashSet<DeploymentId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep_writing(
        self,
        deployment: DeploymentId,
        (mut seq, mut bytes): (u64, u64),
        mut lines: mpsc::Receiver<(DeploymentStatus, String)>,
    ) {
        let mut full = bytes >= MAX_DEPLOYMENT_LOG_BYTES;
        let mut tail = Tail::default();
        while let Some(first) = lines.recv().await {
            if full {
                tail.add(first);
                continue;
            }
            let mut batch = Batch::default();
            batch.add(first);
            let until = Instant::now() + BATCH_SPAN;
            while batch.bytes < BATCH_BYTES {
                match tokio::time::timeout_at(until, lines.recv()).await {
                    Ok(Some(line)) => batch.add(line),
                    Ok(None) | Err(_) => break,
                }
            }
            bytes += batch.bytes as u64;
            if bytes >= MAX_DEPLOYMENT_LOG_BYTES {
                full = true;
                let mib = MAX_DEPLOYMENT_LOG_BYTES >> 20;
                let text =
                    format!("[the log has reached {mib} MiB: of what follows the end is kept]");
                batch.add((batch.last(), text));
            }
            seq = self.append(deployment, seq, batch).await;
        }
        // Not counted: each attempt adds one to a log that is full, and attempts are few.
        if let Some(batch) = tail.into_batch() {
            self.append(deployment, seq, batch).await;
        }
    }

    /// Writes a batch that begins at `seq`; what the next begins at.
    async fn append(&self, deployment: DeploymentId, seq: u64, batch: Batch) -> u64 {
        let rows = batch.into_rows(seq, self.store.now());
        if let Err(error) = self.store.deployment_log_append(deployment, &rows).await {
            tracing::error!(
                deployment = deployment.short(),
                error = &error as &dyn std::error::Error,
                "lines of a deployment's log are lost"
            );
        }
        self.poke();
        seq + rows.len() as u64
    }

    /// All lines so far, piece by piece.
    pub(crate) async fn read<E: From<StoreError>>(
        &self,
        deployment: DeploymentId,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        loop {
            let rows = self.store.deployment_log_list(deployment, from, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            from = last.seq + 1;
            for row in &rows {
                take(&row.text)?;
            }
        }
    }

    /// All lines from the start, then each as it comes, until the deployment ended.
    pub(crate) fn follow(
        &self,
        deployment: DeploymentId,
    ) -> BoxStream<'static, Result<LogLine, PublicError>> {
        let reader =
            Reader { book: self.clone(), written: self.written.subscribe(), deployment, from: 0 };
        let pages = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.page().await {
                Ok(Some(rows)) => Some((Ok(rows), Some(reader))),
                Ok(None) => None,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a log cannot be read"
                    );
                    Some((Err(PublicError::from(&error)), None))
                }
            }
        });
        let lines = pages.flat_map(|page| match page {
            Ok(rows) => Either::Left(stream::iter(rows.into_iter().flat_map(split).map(Ok))),
            Err(error) => Either::Right(stream::iter([Err(error)])),
        });
        lines.boxed()
    }
}

impl LogWriter {
    /// Writes what waits, once every [`Log`] of it is dropped, and closes the log.
    pub(crate) async fn close(mut self) {
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.book.opened().remove(&self.deployment);
        self.book.poke();
    }
}

/// Lines to be written at once: a row for each run of one state.
#[derive(Default)]
struct Batch {
    rows: Vec<(DeploymentStatus, String)>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, (status, text): (DeploymentStatus, String)) {
        self.bytes += text.len() + 1;
        match self.rows.last_mut() {
            Some((last, rows)) if *last == status => {
                rows.push_str(&text);
                rows.push('\n');
            }
            _ => self.rows.push((status, text + "\n")),
        }
    }

    fn last(&self) -> DeploymentStatus {
        self.rows.last().map_or(DeploymentStatus::Queued, |(status, _)| *status)
    }

    fn into_rows(self, first: u64, at: Timestamp) -> Vec<LogRow> {
        let row = |(seq, (status, text))| LogRow { seq, at, status, text };
        (first..).zip(self.rows).map(row).collect()
    }
}

/// The end of what is said to a log that is full.
#[derive(Default)]
struct Tail {
    lines: VecDeque<(DeploymentStatus, String)>,
    bytes: usize,
    left_out: usize,
}

impl Tail {
    /// Adds what is said last, for which what was said first gives way.
    fn add(&mut self, said: (DeploymentStatus, String)) {
        self.bytes += held(&said.1);
        self.lines.push_back(said);
        while self.bytes > TAIL_BYTES
            && self.lines.len() > 1
            && let Some((_, text)) = self.lines.pop_front()
        {
            self.bytes -= held(&text);
            self.left_out += text.matches('\n').count() + 1;
        }
    }

    /// How much is missing, and what is not; `None` where nothing was said.
    fn into_batch(self) -> Option<Batch> {
        let status = self.lines.front()?.0;
        let mut batch = Batch::default();
        if self.left_out > 0 {
            batch.add((status, format!("[{} lines are left out here]", self.left_out)));
        }
        for said in self.lines {
            batch.add(said);
        }
        Some(batch)
    }
}

/// What holding a line takes: empty ones alone would else take much more than their text.
const fn held(text: &str) -> usize {
    text.len() + size_of::<(DeploymentStatus, String)>()
}

/// The lines of a row, made one by one: empty ones alone would take fifty times as much.
fn split(row: LogRow) -> impl Iterator<Item = LogLine> + Send {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = row.text.get(start..)?;
        let line = rest.lines().next()?;
        start += rest.find('\n').map_or(rest.len(), |end| end + 1);
        Some(LogLine { at: row.at, status: row.status, text: line.to_owned() })
    })
}

struct Reader {
    book: LogBook,
    written: watch::Receiver<u64>,
    deployment: DeploymentId,
    from: u64,
}

impl Reader {
    /// The next rows, waited for; `None` at the end.
    async fn page(&mut self) -> Result<Option<Vec<LogRow>>, StoreError> {
        loop {
            // In this order: what comes after the mark wakes us, and a log that was
            // closed before the rows were read holds no later ones.
            self.written.mark_unchanged();
            let ended = self.ended().await?;
            let store = &self.book.store;
            let rows = store.deployment_log_list(self.deployment, self.from, FOLLOWED_ROWS).await?;
            if let Some(last) = rows.last() {
                self.from = last.seq + 1;
                return Ok(Some(rows));
            }
            if ended {
                return Ok(None);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, self.written.changed()).await;
        }
    }

    async fn ended(&self) -> Result<bool, StoreError> {
        if self.book.opened().contains(&self.deployment) {
            return Ok(false);
        }
        let row = self.book.store.deployment_get(self.deployment).await?;
        Ok(row.is_none_or(|row| row.status.is_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tail_is_bounded_and_counts_what_is_left_out() {
        let text = |tail: Tail| {
            let rows = tail.into_batch().map(|batch| batch.rows).unwrap_or_default();
            rows.into_iter().map(|(_, text)| text).collect::<String>()
        };
        let of = |lines: &[String]| {
            let mut tail = Tail::default();
            for line in lines {
                tail.add((DeploymentStatus::Building, line.clone()));
                assert!(tail.bytes <= TAIL_BYTES || tail.lines.len() == 1);
            }
            text(tail)
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["one".into(), String::new(), "two".into()]), "one\n\ntwo\n");
        // However long it is, the last is kept.
        let long = "x".repeat(2 * TAIL_BYTES);
        let all = [String::from("one\ntwo"), String::from("three"), long.clone()];
        assert_eq!(of(&all), format!("[3 lines are left out here]\n{long}\n"));
        for line in ["", "a line"] {
            let all = vec![line.to_owned(); 100_000];
            let said = of(&all);
            let (first, rest) = said.split_once('\n').unwrap();
            let left_out = all.len() - rest.lines().count();
            assert_eq!(first, format!("[{left_out} lines are left out here]"));
            assert!(rest.lines().count() > 1000 && rest.lines().all(|kept| kept == line));
        }
    }

    proptest! {
        #[test]
        fn a_row_is_its_lines(text in "[ab\r\n]{0,20}") {
            let (at, status) = (Timestamp::from_millis(0), DeploymentStatus::Building);
            let lines = split(LogRow { seq: 0, at, status, text: text.clone() });
            let lines: Vec<String> = lines.map(|line| line.text).collect();
            prop_assert_eq!(lines, text.lines().collect::<Vec<_>>());
        }
    }
}
