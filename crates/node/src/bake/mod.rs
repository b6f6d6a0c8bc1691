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
mod shelf;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use pando_vm::driver::{Hypervisor, Shape};
use pando_vm::network::Slot;
use tokio::sync::{Mutex, OnceCell};

use crate::data::DataDir;
use crate::garbage;
use crate::slots::{SlotError, Slots};

use self::kernel::Kernel;
use self::machine::Parts;
use self::shelf::Shelf;

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
    /// The machines that are there already.
    #[error("the machines that were baked before")]
    Shelf(#[source] io::Error),
    /// The network slot to boot in.
    #[error("{0}")]
    Slot(String),
}

/// Told as a bake goes on; each line stands alone.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Makes and finds machines.
pub(crate) struct Bakery {
    data: DataDir,
    owner: String,
    hypervisor: Arc<dyn Hypervisor>,
    slots: Arc<Slots>,
    kernel_path: Option<PathBuf>,
    agent_path: PathBuf,
    recipes: Vec<Recipe>,
    builder: Recipe,
    progress: Progress,
    kernel: OnceCell<Kernel>,
    /// What the machine of a template and size is made of, which takes a while to tell.
    keys: Mutex<HashMap<(String, Shape), MachineKey>>,
    shelf: Shelf,
    /// Those that are always ready.
    kept: std::sync::Mutex<Vec<Arc<Machine>>>,
    /// One bake at a time: many sizes that nobody asked for before would else be many
    /// boots at once. Whoever asks for the same one meanwhile waits and shares it.
    baking: Mutex<()>,
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
            shelf: Shelf::new(config.data.clone()),
            data: config.data,
            owner: config.owner,
            hypervisor: config.hypervisor,
            slots: config.slots,
            kernel_path: config.kernel_path,
            agent_path: config.agent_path,
            recipes: vec![Recipe::base()?],
            builder: Recipe::builder()?,
            progress: config.progress,
            kernel: OnceCell::new(),
            keys: Mutex::default(),
            kept: Default::default(),
            baking: Mutex::default(),
        })
    }

    /// The recipes there are.
    pub(crate) fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// The recipe of the machine that builds the templates of orgs.
    pub(crate) fn builder(&self) -> &Recipe {
        &self.builder
    }

    /// The recipe of that name.
    pub(crate) fn recipe(&self, name: &str) -> Option<&Recipe> {
        self.recipes.iter().find(|recipe| recipe.name() == name)
    }

    /// The machine of that template and size: baked before, or now. To bake may mean
    /// that others go, of which none is held or among those `in_use`.
    pub(crate) async fn machine(
        &self,
        recipe: &Recipe,
        shape: Shape,
        in_use: impl FnOnce() -> HashSet<MachineKey>,
    ) -> Result<Arc<Machine>, BakeError> {
        if let Some(machine) = self.find(recipe, shape).await? {
            return Ok(machine);
        }
        let _turn = self.baking.lock().await;
        if let Some(machine) = self.find(recipe, shape).await? {
            return Ok(machine);
        }
        match self.shelf.make_room(in_use) {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "machines of sizes that were long not asked for are gone");
            }
            // It costs disk, and nobody's create.
            Err(error) => tracing::warn!(%error, "no room made for another machine"),
        }
        self.bake(recipe, shape).await?;
        let made = self.find(recipe, shape).await?;
        made.ok_or_else(|| BakeError::Shelf(io::ErrorKind::NotFound.into()))
    }

    /// Boots a machine of the root disk `rootfs` into the new folder `home`. It is on no
    /// shelf: whoever asked for it removes it.
    pub(crate) async fn bake_disk(
        &self,
        rootfs: &Path,
        version: &str,
        shape: Shape,
        home: &Path,
    ) -> Result<Machine, BakeError> {
        let _turn = self.baking.lock().await;
        let (agent, kernel) = (self.agent()?, self.kernel().await?);
        let parts = self.parts(version, rootfs, kernel, &agent, shape);
        let key = MachineKey::of(&parts)?;
        self.boot_into(&key, &parts, home).await?;
        Ok(Machine::new(key, shape, home.to_owned()))
    }

    /// The root disk of a recipe, built before or now.
    pub(crate) async fn disk(&self, recipe: &Recipe) -> Result<PathBuf, BakeError> {
        let _turn = self.baking.lock().await;
        self.make_disk(recipe).await
    }

    async fn make_disk(&self, recipe: &Recipe) -> Result<PathBuf, BakeError> {
        let rootfs = self.rootfs(recipe);
        if !rootfs.exists() {
            rootfs::build(&self.data, recipe, &self.progress).await?;
        }
        garbage::touch(&self.data.template(recipe.name(), recipe.version()));
        Ok(rootfs)
    }

    /// The machines that were baked.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether that root disk stays, even unused. One of a recipe as it is now takes minutes
    /// and the network to make anew, and more disk than it holds.
    pub(crate) fn needs_disk(&self, template: &str, version: &str) -> bool {
        let mut recipes = self.recipes.iter().chain([&self.builder]);
        recipes.any(|recipe| recipe.name() == template && recipe.version() == version)
    }

    /// Holds a machine for as long as this lives.
    pub(crate) fn keep(&self, machine: Arc<Machine>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(machine);
    }

    /// Whether that folder holds the kernel that guests have. As long as nobody asked which
    /// one that is, it may be any.
    pub(crate) fn needs_kernel(&self, dir: &Path) -> bool {
        self.kernel.get().is_none_or(|kernel| kernel.image.parent() == Some(dir))
    }

    /// Does what needs no root disk to be in use; nothing while a machine is baked.
    pub(crate) fn while_nothing_bakes(
        &self,
        work: impl FnOnce(&Self) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let Ok(_turn) = self.baking.try_lock() else { return Ok(false) };
        work(self)
    }

    async fn find(&self, recipe: &Recipe, shape: Shape) -> Result<Option<Arc<Machine>>, BakeError> {
        let name = (recipe.name().to_owned(), shape);
        let mut keys = self.keys.lock().await;
        let key = match keys.get(&name) {
            Some(key) => key.clone(),
            None => {
                let (agent, kernel) = (self.agent()?, self.kernel().await?);
                let rootfs = self.rootfs(recipe);
                let key =
                    MachineKey::of(&self.parts(recipe.version(), &rootfs, kernel, &agent, shape))?;
                keys.insert(name, key.clone());
                key
            }
        };
        drop(keys);
        Ok(self.shelf.take(&key, shape))
    }

    async fn bake(&self, recipe: &Recipe, shape: Shape) -> Result<(), BakeError> {
        let (agent, kernel) = (self.agent()?, self.kernel().await?);
        let rootfs = self.rootfs(recipe);
        let parts = self.parts(recipe.version(), &rootfs, kernel, &agent, shape);
        // The agent may be another than when it was last looked at.
        let key = MachineKey::of(&parts)?;
        self.keys.lock().await.insert((recipe.name().to_owned(), shape), key.clone());
        self.make_disk(recipe).await?;
        (self.progress)(&format!(
            "booting template {} once with {} vCPUs and {} MiB",
            recipe.name(),
            shape.cpu,
            shape.memory_mib
        ));
        self.boot_into(&key, &parts, &self.data.machines().join(key.to_string())).await?;
        (self.progress)(&format!("machine {key} is ready"));
        Ok(())
    }

    /// Boots a machine of that disk, of which a copy is made, and leaves its files in
    /// `dir`. It is no template's: nobody else is given it.
    pub(crate) async fn boot(
        &self,
        dir: &Path,
        root: &Path,
        shape: Shape,
        slot: Arc<Slot>,
    ) -> Result<(), BakeError> {
        let (agent, kernel) = (self.agent()?, self.kernel().await?);
        let parts = Parts {
            rootfs: root,
            rootfs_version: "",
            kernel,
            agent: &agent,
            shape,
            hypervisor: &*self.hypervisor,
            mtu: self.slots.mtu(),
        };
        Ok(machine::boot(dir, &self.owner, &parts, slot).await?)
    }

    async fn boot_into(
        &self,
        key: &MachineKey,
        parts: &Parts<'_>,
        home: &Path,
    ) -> Result<(), BakeError> {
        let no_slot = |error: SlotError| BakeError::Slot(crate::chain(&error));
        let slot = self.slots.take().await.map_err(no_slot)?;
        let staging = self.data.staging();
        let baked = machine::bake(home, &staging, &self.owner, key, parts, Arc::clone(&slot)).await;
        self.slots.release(&slot).await.map_err(no_slot)?;
        Ok(baked?)
    }

    fn parts<'a>(
        &'a self,
        rootfs_version: &'a str,
        rootfs: &'a Path,
        kernel: &'a Kernel,
        agent: &'a [u8],
        shape: Shape,
    ) -> Parts<'a> {
        Parts {
            rootfs,
            rootfs_version,
            kernel,
            agent,
            shape,
            hypervisor: &*self.hypervisor,
            mtu: self.slots.mtu(),
        }
    }

    fn rootfs(&self, recipe: &Recipe) -> PathBuf {
        self.data.template(recipe.name(), recipe.version()).join("rootfs.ext4")
    }

    fn agent(&self) -> Result<Vec<u8>, BakeError> {
        std::fs::read(&self.agent_path)
            .map_err(|source| BakeError::Agent { path: self.agent_path.clone(), source })
    }

    async fn kernel(&self) -> Result<&Kernel, BakeError> {
        Ok(self.kernel.get_or_try_init(|| self.find_kernel()).await?)
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
