//! Creating a sandbox for an org, of a template or of a snapshot.

use std::time::Instant;

use pando_store::{Actual, Desired, Insert, MadeOf, SandboxRow, Tx, VolumeUse};
use pando_types::sandbox::{CreateSandbox, Sandbox, SandboxEventKind};
use pando_types::volume::AttachVolume;
use pando_types::{AppId, Code, Epoch, Generation, OrgId, PublicError, SandboxId, SnapshotId};
use pando_vm::driver::Shape;
use pando_vm::sys::fault::{self, Fault};

use super::sandboxes::{Sandboxes, failed};
use super::spec;
use super::templates::AskedSize;
use super::times::Phase;
use super::volumes;
use crate::node::{SandboxSpec, Source};
use crate::sandbox::spare::Spare;

/// What a sandbox begins as.
pub(super) struct Beginning {
    /// The template, which it goes back to.
    pub template: String,
    pub source: Source,
    pub made_of: MadeOf,
    pub shape: Shape,
    /// What it has of volumes by that, and how many spare disks.
    pub copies: Vec<VolumeUse>,
    pub inherited: usize,
    /// Disks of its own, before its volumes.
    pub disks: Vec<Spare>,
}

impl Sandboxes {
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
        let beginning = match wanted.snapshot {
            None => self.of_template(org, &request, &wanted).await?,
            Some(id) => {
                let template = self.snapshot_row(org, id).await?.template;
                self.of_snapshot(id, template).await?
            }
        };
        self.create_of(id, org, app, request, wanted, beginning).await
    }

    pub(super) async fn of_template(
        &self,
        org: OrgId,
        request: &CreateSandbox,
        wanted: &spec::Wanted,
    ) -> Result<Beginning, PublicError> {
        let template = wanted.template.clone();
        let asked = AskedSize { cpu: request.cpu, memory_mb: request.memory_mb };
        let (source, shape) = self.template_source(org, &template, asked, wanted.shape).await?;
        Ok(Beginning {
            template,
            source,
            made_of: MadeOf::Template,
            shape,
            copies: Vec::new(),
            inherited: 0,
            disks: Vec::new(),
        })
    }

    /// What the machine is was decided when it was saved, whatever is asked for.
    pub(super) async fn of_snapshot(
        &self,
        id: SnapshotId,
        template: String,
    ) -> Result<Beginning, PublicError> {
        let saved = self.node.snapshot_get(id).await.map_err(|error| PublicError::from(&error))?;
        let saved = saved.ok_or_else(|| PublicError::not_found("snapshot", id))?;
        Ok(Beginning {
            template,
            source: Source::Snapshot(id),
            made_of: MadeOf::Snapshot(id),
            shape: saved.shape,
            copies: volumes::copies_of(&saved.spares),
            inherited: saved.spares.len(),
            disks: Vec::new(),
        })
    }

    /// Creates it of what was found for it.
    pub(super) async fn create_of(
        &self,
        id: SandboxId,
        org: OrgId,
        app: Option<AppId>,
        request: CreateSandbox,
        wanted: spec::Wanted,
        beginning: Beginning,
    ) -> Result<Sandbox, PublicError> {
        let asked = request.volumes.unwrap_or_default();
        let Beginning { template, source, made_of, shape, copies, inherited, disks } = beginning;
        let now = self.clock.now();
        let row = SandboxRow {
            id,
            org,
            app,
            template,
            cpu: shape.cpu,
            memory_mib: shape.memory_mib,
            metadata: request.metadata.unwrap_or_default(),
            created: now,
            ttl: wanted.ttl,
            deadline: wanted.ttl.map(|ttl| now.plus(ttl)),
            persistent: wanted.persistent,
            idle_timeout: wanted.idle_timeout,
            owner_node: self.node_id,
            epoch: Epoch::first(),
            desired: Desired::Running,
            desired_gen: Generation::first(),
            actual: Actual::Creating,
            actual_gen: Generation::first(),
            reason: None,
            boot_ms: 0,
            made_of,
            volumes: volumes::wanted(&asked, &copies, inherited)?,
        };
        let begun = Instant::now();
        let mut spares = disks;
        spares.extend(self.admit_with(&row, &asked).await?);
        let admitted = begun.elapsed();
        fault::point(Fault::CreateRowed);
        // In a task of its own: a client that goes away cannot cut it midway.
        let this = self.clone();
        let spec = SandboxSpec {
            spares,
            egress_deny: wanted.egress_deny,
            org,
            source,
            shape,
            deadline: row.deadline,
            persistent: row.persistent,
            idle_timeout: row.idle_timeout,
        };
        let made = tokio::spawn(async move { this.make(row, spec).await }).await;
        let sandbox = made.unwrap_or_else(|_| Err(PublicError::internal()))?;
        self.times.observe(Phase::Admit, admitted);
        self.times.observe(Phase::Whole, begun.elapsed());
        Ok(sandbox)
    }

    /// Adds the rows, all or none, if the org's quota has room for them. One transaction,
    /// so that no two creates are given the same room.
    pub(super) async fn admit(&self, rows: &[SandboxRow]) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        for row in rows {
            insert(&mut tx, row).await?;
        }
        tx.commit().await.map_err(failed)?;
        rows.iter().for_each(|row| self.journal.tell(row.id));
        Ok(())
    }

    /// The same of one, with volumes, which no other create is then given.
    async fn admit_with(
        &self,
        row: &SandboxRow,
        volumes: &[AttachVolume],
    ) -> Result<Vec<Spare>, PublicError> {
        let mut tx = self.store.begin().await.map_err(|error| failed(&error))?;
        insert(&mut tx, row).await?;
        let spares = volumes::attach(&mut tx, row, volumes).await?;
        tx.commit().await.map_err(|error| failed(&error))?;
        self.journal.tell(row.id);
        Ok(spares)
    }

    async fn make(&self, row: SandboxRow, spec: SandboxSpec) -> Result<Sandbox, PublicError> {
        let begun = Instant::now();
        let to_read = volumes::to_read(&spec.spares);
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
                let refusal = match PublicError::from(&error) {
                    internal if internal.code == Code::Internal => {
                        self.volumes_gone(&to_read).await.unwrap_or(internal)
                    }
                    refusal => refusal,
                };
                self.bury(&row, Some(format!("it could not be made: {refusal}"))).await?;
                Err(refusal)
            }
        }
    }
}

async fn insert(tx: &mut Tx, row: &SandboxRow) -> Result<(), PublicError> {
    let failed = |error| failed(&error);
    let quota = tx.org_quota(row.org).await.map_err(failed)?.quota();
    let usage = tx.sandbox_usage(row.org, quota.creates_per_minute).await.map_err(failed)?;
    quota.admit(&usage, row.cpu, row.memory_mib)?;
    if tx.sandbox_insert(row).await.map_err(failed)? == Insert::Exists {
        return Err(PublicError::new(Code::Conflict, "the sandbox was made before"));
    }
    tx.event_add(row.id, SandboxEventKind::Created, None).await.map_err(failed)
}
