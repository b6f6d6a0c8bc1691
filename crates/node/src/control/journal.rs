//! What happens to sandboxes: each change of a row together with the event that
//! tells of it, and the readers of events.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pando_store::{Actual, Desired, EventRow, SandboxRow, Store, StoreError, Swap};
use pando_types::limits::{KEEP_EVENTS, MAX_EVENTS};
use pando_types::sandbox::SandboxEventKind;
use pando_types::{Generation, PublicError, SandboxId, Timestamp};
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// News that wait for a reader; one that falls further behind looks at the rows.
const QUEUE_NEWS: usize = 256;
/// A follower looks again after this long even if nothing told it to: another
/// process may have written.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How often events of sandboxes that are long gone are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Of how many sandboxes at once.
const PRUNE_SANDBOXES: u32 = 100;

/// The rows of sandboxes and their events. Clones share it.
#[derive(Clone)]
pub(super) struct Journal {
    store: Store,
    news: broadcast::Sender<SandboxId>,
}

/// What an owner reports of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub actual: Actual,
    pub generation: Generation,
    pub reason: Option<String>,
    pub boot_ms: Option<u64>,
}

impl Journal {
    pub(super) fn new(store: Store) -> Self {
        Self { store, news: broadcast::Sender::new(QUEUE_NEWS) }
    }

    /// Tells followers to look at a sandbox, after its transaction.
    pub(super) fn tell(&self, id: SandboxId) {
        // Nobody listens, mostly.
        let _ = self.news.send(id);
    }

    /// Takes an owner's report into the row `row` was read from, unless a later one is there.
    pub(super) async fn report(&self, row: &SandboxRow, seen: Seen) -> Result<Swap, StoreError> {
        let mut tx = self.store.begin().await?;
        // As it is now that nobody else writes.
        let Some(row) = tx.sandbox_get(row.id).await? else { return Ok(Swap::Missing) };
        let reason = reason(&row, &seen, tx.now());
        let swap = tx
            .sandbox_report(
                row.id,
                row.owner_node,
                row.epoch,
                seen.actual,
                seen.generation,
                reason.as_deref(),
                seen.boot_ms,
            )
            .await?;
        if swap != Swap::Done {
            return Ok(swap);
        }
        if let Some(kind) = kind(row.actual, seen.actual) {
            tx.event_add(row.id, kind, reason.as_deref()).await?;
        }
        tx.commit().await?;
        self.tell(row.id);
        Ok(Swap::Done)
    }

    /// Events after the number `after`, the newest `limit` of them, oldest first.
    pub(super) async fn list(
        &self,
        id: SandboxId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.store.event_list(id, after, limit).await
    }

    /// The newest `tail` events after the number `after`, then each as it comes.
    /// It ends with the sandbox.
    pub(super) fn follow(
        &self,
        id: SandboxId,
        after: u64,
        tail: u32,
    ) -> BoxStream<'static, Result<EventRow, PublicError>> {
        // Subscribed before the first look, so nothing falls in between.
        let reader = Reader {
            news: self.news.subscribe(),
            journal: self.clone(),
            id,
            after,
            first: Some(tail),
            ended: false,
        };
        let pages = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.page().await {
                Ok(rows) if rows.is_empty() => None,
                Ok(rows) => Some((rows.into_iter().map(Ok).collect(), Some(reader))),
                Err(error) => {
                    tracing::error!(error = crate::chain(&error), "events cannot be read");
                    Some((vec![Err(PublicError::from(&error))], None))
                }
            }
        });
        pages.flat_map(stream::iter).boxed()
    }

    /// Forgets the events of sandboxes that are long gone, until the server stops.
    pub(super) async fn keep_short(self, stopping: CancellationToken) {
        let mut tick = tokio::time::interval(PRUNE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = tick.tick() => {}
            }
            let keep_ms = i64::try_from(KEEP_EVENTS.as_millis()).unwrap_or(i64::MAX);
            let before = self.store.now().as_millis().saturating_sub(keep_ms);
            loop {
                match self.store.event_prune(Timestamp::from_millis(before), PRUNE_SANDBOXES).await
                {
                    Ok(pruned) if pruned == u64::from(PRUNE_SANDBOXES) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(error = crate::chain(&error), "old events are still there");
                        break;
                    }
                }
            }
        }
    }
}

struct Reader {
    journal: Journal,
    news: broadcast::Receiver<SandboxId>,
    id: SandboxId,
    after: u64,
    /// How many of the newest are wanted of what is there already.
    first: Option<u32>,
    ended: bool,
}

impl Reader {
    /// The next events; empty when none will come.
    async fn page(&mut self) -> Result<Vec<EventRow>, StoreError> {
        while !self.ended {
            let limit = self.first.take().unwrap_or(MAX_EVENTS);
            let rows = self.journal.list(self.id, self.after, limit).await?;
            if let Some(last) = rows.last() {
                self.after = last.seq;
                self.ended = last.kind == SandboxEventKind::Deleted;
                return Ok(rows);
            }
            // Also what is told of a sandbox whose events are forgotten ends here.
            let row = self.journal.store.sandbox_get(self.id).await?;
            if row.is_none_or(|row| row.actual == Actual::Deleted) {
                break;
            }
            self.told().await;
        }
        Ok(Vec::new())
    }

    /// Waits until it is worth looking.
    async fn told(&mut self) {
        let told = async {
            // Closed is never, and who lags behind has something to look at.
            while let Ok(id) = self.news.recv().await {
                if id == self.id {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LOOK_AGAIN, told).await;
    }
}

/// The event that a change from one state to another is.
fn kind(from: Actual, to: Actual) -> Option<SandboxEventKind> {
    match (from, to) {
        (from, to) if from == to => None,
        (_, Actual::Creating) => None,
        (Actual::Paused, Actual::Running) => Some(SandboxEventKind::Resumed),
        (Actual::Hibernated, Actual::Running) => Some(SandboxEventKind::Woken),
        (_, Actual::Running) => Some(SandboxEventKind::Running),
        (_, Actual::Paused) => Some(SandboxEventKind::Paused),
        (_, Actual::Hibernated) => Some(SandboxEventKind::Hibernated),
        (_, Actual::Failed) => Some(SandboxEventKind::Failed),
        (_, Actual::Deleted) => Some(SandboxEventKind::Deleted),
    }
}

/// Why a sandbox is as it is now: what its owner says, or, of one that is gone,
/// what its row says.
fn reason(row: &SandboxRow, seen: &Seen, now: Timestamp) -> Option<String> {
    if seen.reason.is_some() || seen.actual != Actual::Deleted {
        return seen.reason.clone();
    }
    Some(match row.deadline {
        _ if row.desired == Desired::Deleted => "it was deleted on request".to_owned(),
        Some(deadline) if deadline <= now => format!("it expired at {}", deadline.to_rfc3339()),
        _ => "its node does not have it any more".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_store::MadeOf;
    use pando_types::{Epoch, NodeId, OrgId};

    fn row(desired: Desired, deadline: Option<i64>) -> SandboxRow {
        SandboxRow {
            id: SandboxId::new(),
            org: OrgId::new(),
            app: None,
            template: "base".into(),
            cpu: 1,
            memory_mib: 512,
            metadata: Default::default(),
            created: Timestamp::from_millis(0),
            ttl: None,
            deadline: deadline.map(Timestamp::from_millis),
            persistent: false,
            idle_timeout: None,
            owner_node: NodeId::new(),
            epoch: Epoch::first(),
            desired,
            desired_gen: Generation::first(),
            actual: Actual::Running,
            actual_gen: Generation::first(),
            reason: None,
            boot_ms: 5,
            made_of: MadeOf::Template,
            volumes: Vec::new(),
        }
    }

    #[test]
    fn what_is_gone_says_why() {
        let gone = |reason: Option<&str>| Seen {
            actual: Actual::Deleted,
            generation: Generation::first(),
            reason: reason.map(str::to_owned),
            boot_ms: None,
        };
        let why =
            |row: SandboxRow, seen| reason(&row, &seen, Timestamp::from_millis(1000)).unwrap();
        assert!(why(row(Desired::Deleted, Some(5)), gone(None)).contains("on request"));
        let expired = why(row(Desired::Running, Some(1000)), gone(None));
        assert_eq!(expired, "it expired at 1970-01-01T00:00:01.000Z");
        assert!(why(row(Desired::Running, Some(1001)), gone(None)).contains("node"));
        assert_eq!(why(row(Desired::Running, Some(1)), gone(Some("no room"))), "no room");
    }

    #[test]
    fn running_after_a_pause_is_resumed() {
        assert_eq!(kind(Actual::Creating, Actual::Running), Some(SandboxEventKind::Running));
        assert_eq!(kind(Actual::Paused, Actual::Running), Some(SandboxEventKind::Resumed));
        assert_eq!(kind(Actual::Running, Actual::Running), None);
        assert_eq!(kind(Actual::Hibernated, Actual::Running), Some(SandboxEventKind::Woken));
    }
}
