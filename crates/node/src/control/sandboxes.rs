//! Creating, finding and removing sandboxes for an org.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pando_store::{Actual, Desired, Insert, SandboxRow, Store, StoreError, Swap};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::sandbox::{CreateSandbox, Sandbox, SandboxEventKind};
use pando_types::url::PublicUrls;
use pando_types::{AppId, Clock, Code, Epoch, Generation, NodeId, OrgId, PublicError, SandboxId};
use pando_vm::sys::fault::{self, Fault};
use prometheus_client::registry::Registry;
use tokio::sync::{broadcast, mpsc};

use super::ending::{Ending, QUEUE_ENDINGS};
use super::journal::{Journal, Seen};
use super::times::{CreateTimes, Phase};
use super::{spec, sync, view};
use crate::guest::Guest;
use crate::node::{Node, NodeError, SandboxSpec, Source};
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
    times: CreateTimes,
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
        let sandboxes = Self { store, journal, node, node_id, urls, clock, endings, times };
        sandboxes.settle().await?;
        let rows = sync::Rows {
            store: sandboxes.store.clone(),
            journal: sandboxes.journal.clone(),
            node: node_id,
            endings: sandboxes.endings.clone(),
        };
        sync::spawn(rows, reports);
        let stopping = sandboxes.node.stopping();
        sandboxes.node.spawn(sandboxes.journal.clone().keep_short(stopping));
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

    /// Creates a sandbox of a new id and returns when it answers. When it cannot be
    /// made, nothing of it is left.
    ///
    /// # Errors
    /// What the request, the org's quota or the host stands against.
    pub async fn create(
        &self,
        org: OrgId,
        app: Option<AppId>,
        request: CreateSandbox,
    ) -> Result<Sandbox, PublicError> {
        self.create_as(SandboxId::new(), org, app, request).await
    }

    /// The same under an id that was chosen, and written down, before.
    ///
    /// # Errors
    /// As [`Sandboxes::create`]; [`Code::Conflict`] for an id that is taken.
    pub async fn create_as(
        &self,
        id: SandboxId,
        org: OrgId,
        app: Option<AppId>,
        request: CreateSandbox,
    ) -> Result<Sandbox, PublicError> {
        let wanted = spec::wanted(&request)?;
        if !self.node.templates().iter().any(|template| template.name == wanted.template) {
            return Err(PublicError::from(&self.node.unknown_template(&wanted.template)));
        }
        let now = self.clock.now();
        let row = SandboxRow {
            id,
            org,
            app,
            template: wanted.template.clone(),
            cpu: wanted.shape.cpu,
            memory_mib: wanted.shape.memory_mib,
            metadata: request.metadata.unwrap_or_default(),
            created: now,
            ttl: wanted.ttl,
            deadline: wanted.ttl.map(|ttl| now.plus(ttl)),
            persistent: wanted.persistent,
            owner_node: self.node_id,
            epoch: Epoch::first(),
            desired: Desired::Running,
            desired_gen: Generation::first(),
            actual: Actual::Creating,
            actual_gen: Generation::first(),
            reason: None,
            boot_ms: 0,
        };
        let begun = Instant::now();
        self.admit(&row).await?;
        let admitted = begun.elapsed();
        fault::point(Fault::CreateRowed);
        // In a task of its own: a client that goes away cannot cut it midway.
        let this = self.clone();
        let made = tokio::spawn(async move { this.make(row, wanted).await }).await;
        let sandbox = made.unwrap_or_else(|_| Err(PublicError::internal()))?;
        self.times.observe(Phase::Admit, admitted);
        self.times.observe(Phase::Whole, begun.elapsed());
        Ok(sandbox)
    }

    /// Adds the row, if the org's quota has room for it. One transaction, so that
    /// no two creates are given the same room.
    async fn admit(&self, row: &SandboxRow) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let quota = tx.org_quota(row.org).await.map_err(failed)?.quota();
        let usage = tx.sandbox_usage(row.org, quota.creates_per_minute).await.map_err(failed)?;
        quota.admit(&usage, row.cpu, row.memory_mib)?;
        if tx.sandbox_insert(row).await.map_err(failed)? == Insert::Exists {
            return Err(PublicError::new(Code::Conflict, "the sandbox was made before"));
        }
        tx.event_add(row.id, SandboxEventKind::Created, None).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.journal.tell(row.id);
        Ok(())
    }

    async fn make(&self, row: SandboxRow, wanted: spec::Wanted) -> Result<Sandbox, PublicError> {
        let spec = SandboxSpec {
            egress_deny: wanted.egress_deny,
            org: row.org,
            source: Source::Template(wanted.template),
            shape: wanted.shape,
            deadline: row.deadline,
            persistent: row.persistent,
        };
        let begun = Instant::now();
        match self.node.create(row.id, row.epoch, spec).await {
            Ok(_) => {
                self.times.observe(Phase::Make, begun.elapsed());
                fault::point(Fault::CreateRecorded);
                let begun = Instant::now();
                let observed = self.observed(row.org, row.id).await;
                self.times.observe(Phase::Record, begun.elapsed());
                match observed {
                    // Deleted while it was made: nobody else knows of the machine.
                    Err(refusal) if refusal.code == Code::NotFound => {
                        let gone = self.node.delete(row.id, row.epoch).await;
                        gone.map_err(|error| PublicError::from(&error))?;
                        Err(refusal)
                    }
                    outcome => outcome,
                }
            }
            Err(error) => {
                tracing::warn!(
                    sandbox = row.id.short(),
                    error = crate::chain(&error),
                    "not created"
                );
                let refusal = PublicError::from(&error);
                self.bury(&row, Some(format!("it could not be made: {refusal}"))).await?;
                Err(refusal)
            }
        }
    }

    /// A sandbox as its node sees it now. The node's own report says the same and
    /// may come later; whoever asked must not see an older state after the answer.
    async fn observed(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
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
    async fn bury(&self, row: &SandboxRow, reason: Option<String>) -> Result<(), PublicError> {
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

    /// Stops a sandbox's vCPUs.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when its state stands against it.
    pub async fn pause(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        self.want(&row, Desired::Paused).await?;
        self.node.pause(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }

    /// Lets a paused sandbox run.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when its state stands against it.
    pub async fn resume(&self, org: OrgId, id: SandboxId) -> Result<Sandbox, PublicError> {
        let row = self.row(org, id).await?;
        self.want(&row, Desired::Running).await?;
        self.node.resume(id, row.epoch).await.map_err(|error| PublicError::from(&error))?;
        self.observed(org, id).await
    }

    /// The client of a sandbox's agent; one that sleeps is woken first.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when it does not run; what stands against
    /// waking it.
    pub async fn guest(&self, org: OrgId, id: SandboxId) -> Result<Guest, PublicError> {
        self.row(org, id).await?;
        self.node.access(id).await.map_err(|error| match error {
            NodeError::NotFound => PublicError::not_found("sandbox", id),
            other => PublicError::from(&other),
        })
    }

    /// Records what is wanted, over whatever was wanted before (but never over a deletion).
    async fn want(&self, row: &SandboxRow, desired: Desired) -> Result<(), PublicError> {
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

    /// Ends every difference between rows and node, at a start.
    async fn settle(&self) -> Result<(), PublicError> {
        let rows =
            self.store.sandbox_list_owned(self.node_id).await.map_err(|error| failed(&error))?;
        for row in rows {
            let on_node = self.node.observe(row.id).is_some();
            // Unacknowledged, wanted gone, or lost with the node's memory of it.
            let unwanted = row.desired == Desired::Deleted || row.actual == Actual::Creating;
            if on_node && unwanted {
                self.node
                    .delete(row.id, row.epoch)
                    .await
                    .map_err(|error| PublicError::from(&error))?;
            }
            if unwanted || !on_node {
                tracing::info!(sandbox = row.id.short(), "its row is a tombstone now");
                let reason = (row.actual == Actual::Creating)
                    .then(|| "the server stopped before it was made".to_owned());
                self.bury(&row, reason).await?;
            }
        }
        Ok(())
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
