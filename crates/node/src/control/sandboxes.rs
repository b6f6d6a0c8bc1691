//! Finding and removing the sandboxes of an org, and what all changes of them share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pando_store::{Actual, Desired, SandboxRow, Store, StoreError, Swap};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::sandbox::Sandbox;
use pando_types::url::PublicUrls;
use pando_types::{Clock, Code, NodeId, OrgId, PublicError, SandboxId};
use pando_vm::sys::fault::{self, Fault};
use prometheus_client::registry::Registry;
use tokio::sync::{broadcast, mpsc};

use super::ending::{Ending, QUEUE_ENDINGS};
use super::journal::{Journal, Seen};
use super::quotas::RowQuotas;
use super::schedules::Changes;
use super::times::CreateTimes;
use super::{sync, view};
use crate::guest::Guest;
use crate::node::{Node, NodeError};
use crate::shared::Report;

/// How often a change is tried again when somebody else changed the row meanwhile.
const SWAP_TRIES: usize = 5;

/// The sandboxes of every org. Clones share them.
#[derive(Clone)]
pub struct Sandboxes {
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) node: Node,
    pub(super) node_id: NodeId,
    pub(super) urls: Arc<PublicUrls>,
    pub(super) clock: Arc<dyn Clock>,
    endings: broadcast::Sender<Ending>,
    pub(super) times: CreateTimes,
    pub(super) schedules: Changes,
}

impl Sandboxes {
    /// Starts from rows and node: what differs between them is ended, and from
    /// then on every report of the node goes into its row.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn start(
        store: Store,
        node: Node,
        node_id: NodeId,
        reports: mpsc::Receiver<Report>,
        urls: PublicUrls,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PublicError> {
        let (endings, _) = broadcast::channel(QUEUE_ENDINGS);
        let journal = Journal::new(store.clone());
        let urls = Arc::new(urls);
        let times = CreateTimes::default();
        let schedules = Changes::default();
        let sandboxes =
            Self { store, journal, node, node_id, urls, clock, endings, times, schedules };
        sandboxes.node.set_quotas(Arc::new(RowQuotas(sandboxes.store.clone())));
        sandboxes.settle().await?;
        sandboxes.settle_rowless().await?;
        sandboxes.settle_snapshots().await?;
        // After those that held them.
        sandboxes.settle_volumes().await?;
        let rows = sync::Rows {
            store: sandboxes.store.clone(),
            journal: sandboxes.journal.clone(),
            node: node_id,
            endings: sandboxes.endings.clone(),
        };
        sync::spawn(rows, reports);
        let stopping = sandboxes.node.stopping();
        sandboxes.node.spawn(sandboxes.journal.clone().keep_short(stopping));
        sandboxes.keep_schedules().await.map_err(|error| failed(&error))?;
        Ok(sandboxes)
    }

    /// Adds what is known of creates to what is exposed.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.times.register(registry);
    }

    /// The sandboxes that end from now on, each as it does.
    #[must_use]
    pub fn endings(&self) -> broadcast::Receiver<Ending> {
        self.endings.subscribe()
    }

    /// A sandbox as its node sees it now. The node's own report says the same and
    /// may come later; whoever asked must not see an older state after the answer.
    pub(super) async fn observed(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        if let Some(observation) = self.node.observe(id) {
            let report = Report {
                id,
                epoch: row.epoch,
                state: observation.state,
                generation: observation.generation,
                boot: observation.boot,
            };
            sync::apply(&self.store, &self.journal, self.node_id, &report)
                .await
                .map_err(|error| failed(&error))?;
        }
        self.get(org, id).await
    }

    /// Makes a row a tombstone whose sandbox is on no node. Without a reason the
    /// row says why.
    pub(super) async fn bury(
        &self,
        row: &SandboxRow,
        reason: Option<String>,
    ) -> Result<(), PublicError> {
        let current = self.store.sandbox_get(row.id).await.map_err(|error| failed(&error))?;
        let Some(row) = current.filter(|row| row.actual != Actual::Deleted) else { return Ok(()) };
        let generation = row.actual_gen.next();
        let seen = Seen { actual: Actual::Deleted, generation, reason, boot_ms: None };
        self.journal.report(&row, seen).await.map(drop).map_err(|error| failed(&error))
    }

    /// One sandbox of an org.
    ///
    /// # Errors
    /// [`Code::NotFound`] when it is unknown, another org's or deleted.
    pub async fn get(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        Ok(self.view(&self.row(org, id).await?))
    }

    /// What became of a create whose end nobody heard: the sandbox, if it ever
    /// answered. `None` when nothing of it was left.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub async fn made(&self, org: OrgId, id: SandboxId) -> Result<Option<Sandbox>, PublicError> {
        let row = self.store.sandbox_get(id).await.map_err(|error| failed(&error))?;
        let row = row.filter(|row| row.org == org);
        let row = row.filter(|row| row.actual != Actual::Deleted || row.boot_ms > 0);
        Ok(row.map(|row| self.view(&row)))
    }

    /// An org's sandboxes that are not gone and have all of these pairs, oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn list(
        &self,
        org: OrgId,
        pairs: &BTreeMap<String, String>,
        page: PageRequest<SandboxId>,
    ) -> Result<List<Sandbox>, PublicError> {
        let rows = self.store.sandbox_list(org, pairs, page.after, page.rows()).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let place = |row: &SandboxRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, |row| self.view(row)))
    }

    /// Removes a sandbox; returns when it is gone. Deleting twice is deleting once.
    ///
    /// # Errors
    /// [`Code::NotFound`] for one that never was, or is another org's.
    pub async fn delete(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError> {
        let row = self.tombstone(org, id).await?;
        if row.actual == Actual::Deleted {
            return Ok(());
        }
        self.want(&row, Desired::Deleted).await?;
        fault::point(Fault::DeleteWanted);
        let this = self.clone();
        let deleted = tokio::spawn(async move {
            this.node.delete(row.id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
            this.bury(&row, None).await
        });
        deleted.await.unwrap_or_else(|_| Err(PublicError::internal()))
    }

    /// The client of a sandbox's agent; one that sleeps is woken first.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when it does not run; what stands against
    /// waking it.
    pub async fn guest(&self, org: OrgId, id: SandboxId) -> Result<Guest, PublicError> {
        self.row(org, id).await?;
        self.node.access(id, Some(org)).await.map_err(|error| match error {
            NodeError::NotFound => PublicError::not_found("sandbox", id),
            other => PublicError::from(&other),
        })
    }

    /// Records what is wanted, over whatever was wanted before (but never over a deletion).
    pub(super) async fn want(&self, row: &SandboxRow, desired: Desired) -> Result<(), PublicError> {
        let mut row = row.clone();
        for _ in 0..SWAP_TRIES {
            if row.desired == desired {
                return Ok(());
            }
            let swap = self
                .store
                .sandbox_set_desired(row.id, row.owner_node, row.epoch, row.desired_gen, desired)
                .await
                .map_err(|error| failed(&error))?;
            if swap == Swap::Done {
                return Ok(());
            }
            row = self.row(row.org, row.id).await?;
            if row.desired == Desired::Deleted {
                break;
            }
        }
        if row.desired == desired {
            return Ok(());
        }
        Err(PublicError::new(Code::Conflict, "the sandbox is being changed by somebody else"))
    }

    pub(super) async fn row(&self, org: OrgId, id: SandboxId) -> Result<SandboxRow, PublicError> {
        let row = self.tombstone(org, id).await?;
        if row.actual == Actual::Deleted {
            let gone = PublicError::not_found("sandbox", id);
            return Err(match row.reason {
                Some(reason) => gone.hint(format!("{reason}; its events tell more")),
                None => gone,
            });
        }
        Ok(row)
    }

    pub(super) async fn tombstone(
        &self,
        org: OrgId,
        id: SandboxId,
    ) -> Result<SandboxRow, PublicError> {
        let row = self.store.sandbox_get(id).await.map_err(|error| failed(&error))?;
        row.filter(|row| row.org == org).ok_or_else(|| PublicError::not_found("sandbox", id))
    }

    pub(super) fn view(&self, row: &SandboxRow) -> Sandbox {
        view::sandbox(row, &self.urls, self.node.guest_address())
    }
}

/// A failure of the rows, logged here.
pub(super) fn failed(error: &StoreError) -> PublicError {
    tracing::error!(error = crate::chain(error), "the store failed");
    PublicError::from(error)
}

/// Whole seconds, for an answer.
pub(super) fn seconds(span: Duration) -> u64 {
    span.as_secs()
}
