//! What the build of an image needs of the node: a machine that builds, and for a template the
//! disk that came of it and a sandbox that is booted from that disk. None of a template's has a
//! row: a server that starts removes what it finds of them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pando_types::{Epoch, OrgId, SandboxId, Timestamp};
use pando_vm::driver::Shape;
use pando_vm::sys::reflink;

use super::create::Wanted;
use super::{Node, NodeError};
use crate::bake::{Machine, Recipe};
use crate::data::DataDir;
use crate::sandbox::files::Files;
use crate::sandbox::restore::Model;
use crate::sandbox::spare::Spare;

/// What builds is as large as a sandbox is that names no size.
pub(crate) const BUILDER: Shape = Shape {
    cpu: pando_types::limits::DEFAULT_CPU,
    memory_mib: pando_types::limits::DEFAULT_MEMORY_MIB,
};

impl Node {
    /// Makes a machine that builds, with these disks.
    pub(crate) async fn create_builder(
        &self,
        id: SandboxId,
        org: OrgId,
        deadline: Timestamp,
        spares: Vec<Spare>,
    ) -> Result<(), NodeError> {
        self.admit().await?;
        let wanted = Wanted { spares, ..internal(org, deadline) };
        let model = Model::Baked(self.builder().await?);
        self.create_of(id, Epoch::first(), wanted, model).await.map(drop)
    }

    /// What machines that build are made of.
    pub(super) async fn builder(&self) -> Result<Arc<Machine>, NodeError> {
        let bakery = &self.shared.bakery;
        Ok(bakery.machine(bakery.builder(), BUILDER, || self.shared.machines()).await?)
    }

    /// Makes a sandbox of a root disk that was never booted: it is, once, for this.
    pub(crate) async fn create_on_disk(
        &self,
        id: SandboxId,
        org: OrgId,
        deadline: Timestamp,
        shape: Shape,
        disk: &Path,
        version: &str,
    ) -> Result<(), NodeError> {
        self.admit().await?;
        let home = self.shared.data.grave();
        let machine = self.shared.bakery.bake_disk(disk, version, shape, &home).await?;
        let model = Model::Baked(Arc::new(machine));
        let created = self.create_of(id, Epoch::first(), internal(org, deadline), model).await;
        // The sandbox has its files under names of its own.
        self.shared.sweep(home);
        created.map(drop)
    }

    /// A copy, in a new file, of what stands in a spare disk. Whoever asks has made the guest
    /// write all of it, and let go of it.
    pub(crate) async fn copy_spare(
        &self,
        id: SandboxId,
        index: usize,
        bytes: Option<u64>,
        to: PathBuf,
    ) -> Result<(), NodeError> {
        let from = Files::new(self.shared.data.sandbox(id)).spare(index);
        self.disk(move || {
            reflink::clone_file(&from, &to)?;
            let file = File::options().write(true).open(&to)?;
            if let Some(bytes) = bytes {
                file.set_len(bytes)?;
            }
            file.sync_all()
        })
        .await
    }

    /// The root disk of `base`, for builds that begin with it, and its length.
    pub(crate) async fn base_disk(&self) -> Result<(PathBuf, u64), NodeError> {
        let base = self.shared.bakery.recipes().first();
        let base = base.ok_or_else(|| self.unknown_template("base"))?;
        Ok((self.shared.bakery.disk(base).await?, base.disk_bytes()))
    }

    /// Changes when what layers are kept of does: a layer is of use only where `base` and
    /// what built it are the same.
    pub(crate) fn layers_version(&self) -> String {
        let parts = self.shared.bakery.recipes().iter().chain([self.shared.bakery.builder()]);
        let mut hash = blake3::Hasher::new();
        for version in parts.map(Recipe::version) {
            hash.update(version.as_bytes());
        }
        hash.finalize().to_hex()[..16].to_owned()
    }

    /// Where everything is.
    pub(crate) fn data(&self) -> &DataDir {
        &self.shared.data
    }

    /// The sandboxes that are here, whoever knows of them.
    pub(crate) fn here(&self) -> Vec<(SandboxId, Epoch)> {
        self.shared.all().into_iter().map(|(id, handle)| (id, handle.epoch)).collect()
    }

    /// Runs work on files, whose failures are told as a node's.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, NodeError> {
        self.disk(work).await
    }
}

fn internal(org: OrgId, deadline: Timestamp) -> Wanted {
    Wanted {
        org,
        deadline: Some(deadline),
        persistent: false,
        idle_timeout: None,
        egress_deny: Vec::new(),
        spares: Vec::new(),
    }
}
