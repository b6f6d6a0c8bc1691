//! Baking: from a recipe to machines that sandboxes are restored from.
//!
//! ```text
//! recipe ──► rootfs.ext4 ──┐
//! kernel package ──────────┼──► boot once ──► memory + devices + root.raw   (one per size)
//! agent ──► initramfs ─────┘
//! ```
//!
//! Each stage is kept under the hash of what went into it and made anew only
//! when that changes: a new agent costs a boot, not a new root disk. Each stage is
//! made under a temporary name and renamed when whole, so a bake may be killed
//! at any instant and simply starts over at the stage it was in.

mod initramfs;
mod kernel;
mod machine;
mod recipe;
mod rootfs;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pando_vm::driver::{Hypervisor, Shape};
use tokio::sync::{Mutex, OnceCell};

use crate::data::DataDir;
use crate::slots::{SlotError, Slots};

use self::kernel::Kernel;
use self::machine::Parts;

pub use self::kernel::KernelError;
pub(crate) use self::machine::Machine;
pub use self::machine::{MachineError, MachineKey};
pub use self::recipe::{Recipe, RecipeError};
pub use self::rootfs::RootfsError;

/// Why a template could not be baked.
#[derive(Debug, thiserror::Error)]
pub enum BakeError {
    /// The recipe.
    #[error("the template's recipe")]
    Recipe(#[from] RecipeError),
    /// The root disk.
    #[error("the template's root disk")]
    Rootfs(#[from] RootfsError),
    /// The guest kernel.
    #[error("the guest kernel")]
    Kernel(#[from] KernelError),
    /// The agent's program.
    #[error("cannot read the guest agent {}; `make build` makes it", path.display())]
    Agent {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The machine.
    #[error("the machine")]
    Machine(#[from] MachineError),
    /// The network slot to boot in.
    #[error("{0}")]
    Slot(String),
}

/// Told as a bake goes on; each line stands alone.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

type BakeOnce = Arc<OnceCell<Machine>>;

/// Makes and finds machines.
pub(crate) struct Bakery {
    data: DataDir,
    owner: String,
    hypervisor: Arc<dyn Hypervisor>,
    slots: Arc<Slots>,
    kernel_path: Option<PathBuf>,
    agent_path: PathBuf,
    recipes: Vec<Recipe>,
    progress: Progress,
    kernel: OnceCell<Kernel>,
    /// One bake at a time for each size; whoever asks meanwhile waits and shares it.
    machines: Mutex<HashMap<(String, Shape), BakeOnce>>,
}

/// What a bakery is made of.
pub(crate) struct BakeryConfig {
    pub data: DataDir,
    pub owner: String,
    pub hypervisor: Arc<dyn Hypervisor>,
    pub slots: Arc<Slots>,
    pub kernel_path: Option<PathBuf>,
    pub agent_path: PathBuf,
    pub progress: Progress,
}

impl Bakery {
    pub(crate) fn new(config: BakeryConfig) -> Result<Self, BakeError> {
        Ok(Self {
            data: config.data,
            owner: config.owner,
            hypervisor: config.hypervisor,
            slots: config.slots,
            kernel_path: config.kernel_path,
            agent_path: config.agent_path,
            recipes: vec![Recipe::base()?],
            progress: config.progress,
            kernel: OnceCell::new(),
            machines: Mutex::default(),
        })
    }

    /// The recipes there are.
    pub(crate) fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// The recipe of that name.
    pub(crate) fn recipe(&self, name: &str) -> Option<&Recipe> {
        self.recipes.iter().find(|recipe| recipe.name() == name)
    }

    /// The machine of that template and size: baked before, or now.
    pub(crate) async fn machine(
        &self,
        recipe: &Recipe,
        shape: Shape,
    ) -> Result<Machine, BakeError> {
        let key = (recipe.name().to_owned(), shape);
        let cell = Arc::clone(self.machines.lock().await.entry(key).or_default());
        cell.get_or_try_init(|| self.find_or_bake(recipe, shape)).await.cloned()
    }

    async fn find_or_bake(&self, recipe: &Recipe, shape: Shape) -> Result<Machine, BakeError> {
        let agent = std::fs::read(&self.agent_path)
            .map_err(|source| BakeError::Agent { path: self.agent_path.clone(), source })?;
        let kernel = self.kernel.get_or_try_init(|| self.find_kernel()).await?;
        let version = recipe.version();
        let rootfs = self.data.template(recipe.name(), version).join("rootfs.ext4");
        let parts = Parts {
            rootfs: &rootfs,
            rootfs_version: version,
            kernel,
            agent: &agent,
            shape,
            hypervisor: &*self.hypervisor,
            mtu: self.slots.mtu(),
        };
        let machine_key = MachineKey::of(&parts)?;
        if let Some(machine) = machine::load(&self.data.machines(), &machine_key, shape) {
            return Ok(machine);
        }
        if !rootfs.exists() {
            rootfs::build(&self.data, recipe, &self.progress).await?;
        }
        (self.progress)(&format!(
            "booting template {} once with {} vCPUs and {} MiB",
            recipe.name(),
            shape.cpu,
            shape.memory_mib
        ));
        let no_slot = |error: SlotError| BakeError::Slot(crate::chain(&error));
        let slot = self.slots.take().await.map_err(no_slot)?;
        let baked = machine::bake(
            &self.data.machines(),
            &self.data.staging(),
            &self.owner,
            &machine_key,
            &parts,
            Arc::clone(&slot),
        )
        .await;
        self.slots.release(&slot).await.map_err(no_slot)?;
        let machine = baked?;
        (self.progress)(&format!("machine {} is ready", machine.key));
        Ok(machine)
    }

    async fn find_kernel(&self) -> Result<Kernel, KernelError> {
        match &self.kernel_path {
            Some(path) => Kernel::of_operator(&self.data, path).await,
            None => {
                (self.progress)("finding the guest kernel");
                Kernel::of_debian(&self.data).await
            }
        }
    }
}
