//! Snapshots: images of sandboxes that are kept under an id. Each is whole, so any of
//! them may go at any time, whatever was made of it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pando_types::{Epoch, SandboxId, SnapshotId, Timestamp};
use pando_vm::driver::Shape;
use pando_vm::sys::extents::{self, Held};
use pando_vm::sys::fault::{self, Fault};

use super::{Node, NodeError};
use crate::image::{Image, ImageError, Passing};
use crate::sandbox::handle::{Command, Taken};
use crate::sandbox::spare::Spare;

/// How many pieces of files are looked at to tell what snapshots hold: some hundredths of a
/// second.
const MAX_EXTENTS: usize = 1 << 16;

/// What is known of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The sandbox that it is of.
    pub sandbox: SandboxId,
    /// When it was taken.
    pub taken: Timestamp,
    /// The size of the machines that are made of it.
    pub shape: Shape,
    /// What stands in its spare disks: a machine that is made of it has a copy of each.
    pub spares: Vec<Spare>,
    /// How long the sandbox stood still for it.
    pub pause: Duration,
    /// Memory that is its own, and shared with nothing that it came from, in bytes.
    pub own_memory_bytes: u64,
    /// All that its files hold, shared or not, in bytes.
    pub held_bytes: u64,
}

impl Node {
    /// Takes a snapshot of a sandbox, which goes on; returns when it is durable. Asked
    /// again under the same id, it returns what was taken.
    ///
    /// # Errors
    /// Any [`NodeError`]; nothing is then left of it. [`NodeError::NoSpace`] on a full disk.
    pub async fn snapshot(
        &self,
        id: SandboxId,
        epoch: Epoch,
        snapshot: SnapshotId,
    ) -> Result<Snapshot, NodeError> {
        if let Some(found) = self.snapshot_get(snapshot).await? {
            return Ok(found);
        }
        let Taken { image, .. } = self.take_image(id, epoch).await?;
        let dir = self.shared.data.snapshot(snapshot);
        let named = self
            .disk(move || {
                let Passing(image) = &image;
                image.sync()?;
                fault::point(Fault::SnapshotSynced);
                image.clone().move_to(&dir).map(drop)
            })
            .await;
        fault::point(Fault::SnapshotNamed);
        match (named, self.snapshot_get(snapshot).await?) {
            // Of two who asked at once, the other one may have been first.
            (_, Some(snapshot)) => Ok(snapshot),
            (Err(error), None) => Err(error),
            (Ok(()), None) => Err(NodeError::NoSnapshot(snapshot)),
        }
    }

    /// The snapshots of this node, in no order.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when they cannot be read.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, NodeError> {
        let dir = self.shared.data.snapshots();
        self.disk(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let id = name.to_str().and_then(|name| name.parse().ok());
                if let (Some(id), Some(image)) = (id, Image::find(&entry.path())?) {
                    found.push(describe(id, &image)?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// What the files of these snapshots hold now: what comes free with each, and what others
    /// hold, too. Left out is one that is not here, and what would take too long to tell: in
    /// a list of many, the last ones.
    pub async fn snapshots_held(&self, ids: Vec<SnapshotId>) -> HashMap<SnapshotId, Held> {
        let data = self.shared.data.clone();
        let look = move || {
            let mut budget = MAX_EXTENTS;
            let mut found = HashMap::new();
            for id in ids {
                match held(&data.snapshot(id), &mut budget) {
                    Ok(Some(held)) => {
                        found.insert(id, held);
                    }
                    Ok(None) => break,
                    Err(error) => tracing::debug!(%error, "what a snapshot holds is not known"),
                }
            }
            found
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// One snapshot; `None` when there is none of that id.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when it cannot be read.
    pub async fn snapshot_get(&self, id: SnapshotId) -> Result<Option<Snapshot>, NodeError> {
        let dir = self.shared.data.snapshot(id);
        self.disk(move || Image::find(&dir)?.map(|image| describe(id, &image)).transpose()).await
    }

    /// Removes a snapshot. What was made of it goes on; fine when it is gone already.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when it cannot be removed.
    pub async fn snapshot_delete(&self, id: SnapshotId) -> Result<(), NodeError> {
        let (dir, grave) = (self.shared.data.snapshot(id), self.shared.data.grave());
        let buried = grave.clone();
        self.disk(move || match fs::rename(&dir, &buried) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => pando_vm::sys::durable::sync_parent(&dir),
        })
        .await?;
        self.shared.sweep(grave);
        Ok(())
    }

    /// The image of a snapshot, for a machine that is to be made of it: it stays until
    /// that is done, whatever becomes of the snapshot.
    pub(super) async fn snapshot_image(&self, id: SnapshotId) -> Result<Arc<Passing>, NodeError> {
        let (dir, copy) = (self.shared.data.snapshot(id), self.shared.data.grave());
        let here = self.shared.hypervisor.identity();
        let copied = tokio::task::spawn_blocking(move || {
            let image = Image::open(&dir)?;
            image.check_fits(&here)?;
            Ok(Passing(image.copy_to(&copy)?))
        });
        match copied.await.map_err(|error| NodeError::Failed(error.to_string()))? {
            Ok(passing) => Ok(Arc::new(passing)),
            Err(ImageError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(NodeError::NoSnapshot(id))
            }
            Err(error @ ImageError::Foreign { .. }) => {
                Err(NodeError::Denied(format!("the snapshot cannot be used: {error}")))
            }
            Err(error) => Err(NodeError::Failed(crate::chain(&error))),
        }
    }

    /// Takes an image of a sandbox, which goes on or sleeps on.
    pub(super) async fn take_image(&self, id: SandboxId, epoch: Epoch) -> Result<Taken, NodeError> {
        self.room_on_disk().await?;
        self.ask(id, epoch, Command::Save).await
    }

    pub(super) async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, NodeError> {
        let outcome = tokio::task::spawn_blocking(work).await;
        outcome.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
            if pando_vm::sys::durable::is_out_of_space(&error) {
                NodeError::NoSpace(error.to_string())
            } else {
                NodeError::Failed(format!("its files: {error}"))
            }
        })
    }
}

fn held(dir: &Path, budget: &mut usize) -> io::Result<Option<Held>> {
    let mut sum = Held::default();
    for entry in fs::read_dir(dir)? {
        let Some(held) = extents::held(&entry?.path(), budget)? else { return Ok(None) };
        sum = sum + held;
    }
    Ok(Some(sum))
}

fn describe(id: SnapshotId, image: &Image) -> io::Result<Snapshot> {
    const BLOCK_BYTES: u64 = 512;
    let mut held_bytes = 0;
    for path in image.files() {
        held_bytes += fs::metadata(path)?.blocks() * BLOCK_BYTES;
    }
    Ok(Snapshot {
        id,
        sandbox: image.about.sandbox,
        taken: image.about.taken,
        shape: image.about.shape,
        spares: image.about.spares.clone(),
        pause: Duration::from_micros(image.about.pause_us),
        own_memory_bytes: image.about.own_memory_bytes,
        held_bytes,
    })
}
