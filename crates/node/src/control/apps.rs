//! The machines of apps: each has the app's disk, which goes from the one that builds to the
//! one that runs, and a deployment that is ready may be kept as a whole.
//!
//! A kept machine is a snapshot that a deployment's row names. The row is there before the
//! files and after them; what no row names is removed at the next start.

use pando_types::sandbox::{CreateSandbox, Sandbox};
use pando_types::{AppId, OrgId, PublicError, SandboxId, SnapshotId};

use super::sandboxes::Sandboxes;
use super::spec;
use crate::node::{BUILDER, BegunDisk, DiskName, NodeError, Source};
use crate::sandbox::spare::Spare;

/// Which of its spare disks the app's is.
const APP_DISK: usize = 0;

/// What the machine of an app begins as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppMachine {
    /// The template, and an empty disk.
    Empty,
    /// The template, and a disk that was kept.
    Disk(DiskName),
    /// A machine that was kept, as it was.
    Ready(SnapshotId),
    /// One that builds images, which has a size of its own, and an empty disk.
    Builder,
}

impl Sandboxes {
    /// Creates a sandbox for an app; `None` when what it was to begin as is there no more.
    ///
    /// # Errors
    /// As [`Sandboxes::create`].
    pub async fn create_app(
        &self,
        org: OrgId,
        app: AppId,
        request: CreateSandbox,
        machine: &AppMachine,
    ) -> Result<Option<Sandbox>, PublicError> {
        let wanted = spec::wanted(&request)?;
        let failed = |error: NodeError| PublicError::from(&error);
        // Their files stay until the sandbox is made.
        let (mut begun, mut layers): (Option<BegunDisk>, Option<BegunDisk>) = (None, None);
        let beginning = match machine {
            AppMachine::Ready(snapshot) => {
                if self.node.snapshot_get(*snapshot).await.map_err(failed)?.is_none() {
                    return Ok(None);
                }
                self.of_snapshot(*snapshot, wanted.template.clone()).await?
            }
            AppMachine::Empty | AppMachine::Disk(_) | AppMachine::Builder => {
                let disk = match machine {
                    AppMachine::Disk(name) => self.node.disk_begin(name).await,
                    _ => self.node.disk_begin_empty().await.map(Some),
                };
                let Some(disk) = disk.map_err(failed)? else { return Ok(None) };
                let disk = begun.insert(disk);
                let mut beginning = self.of_template(org, &request, &wanted).await?;
                beginning.disks = vec![Spare::of_app(disk.disk())];
                if *machine == AppMachine::Builder {
                    let (disks, kept) = self.image_disks(org).await.map_err(failed)?;
                    layers = kept;
                    beginning.disks.extend(disks);
                    (beginning.source, beginning.shape) = (Source::Builder, BUILDER);
                }
                beginning
            }
        };
        let id = SandboxId::new();
        let made = self.create_of(id, org, Some(app), request, wanted, beginning).await;
        drop((begun, layers));
        made.map(Some)
    }

    /// Keeps the app's disk of a sandbox as it is now, in the place of what had that name.
    /// Whoever asks has made the guest write all of it.
    ///
    /// # Errors
    /// [`pando_types::Code::NotFound`], [`pando_types::Code::InsufficientStorage`].
    pub async fn disk_keep(
        &self,
        org: OrgId,
        id: SandboxId,
        name: &DiskName,
    ) -> Result<(), PublicError> {
        let row = self.row(org, id).await?;
        let kept = self.node.disk_keep(id, row.epoch, APP_DISK, name).await;
        kept.map_err(|error| PublicError::from(&error))
    }

    /// Keeps a sandbox, which goes on, as a machine that others begin as.
    ///
    /// # Errors
    /// [`pando_types::Code::NotFound`], [`pando_types::Code::InsufficientStorage`]. Nothing is
    /// left of it then.
    pub async fn ready_keep(
        &self,
        org: OrgId,
        id: SandboxId,
        snapshot: SnapshotId,
    ) -> Result<(), PublicError> {
        let row = self.row(org, id).await?;
        let kept = self.node.snapshot(id, row.epoch, snapshot).await;
        kept.map(drop).map_err(|error| PublicError::from(&error))
    }
}
