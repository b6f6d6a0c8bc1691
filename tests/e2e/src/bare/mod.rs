//! Machines by the hypervisor driver alone, of the template that a [`Server`] baked:
//! for what is the guest's own part, seen without a node between.
//!
//! The server only bakes and cleans up: it is stopped while these run, and its
//! teardown finds what a failed test leaves, since they carry its name.

mod agent;
mod machine;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use pando_guest_protocol::control::Who;
use pando_vm::cage::{CageConfig, DEFAULT_FIRST_UID, PRELOAD_FILE};
use pando_vm::driver::qemu::Qemu;
use pando_vm::driver::{Accelerator, Caching, Shape};
use pando_vm::network::{Network, NetworkConfig, SlotNumber};
use pando_vm::sys::host;
use serde_json::{Value, json};

pub use self::agent::{Cell, Watched};
pub use self::machine::{BareMachine, Image};

use crate::host::{pool, prefix};
use crate::server::{Options, Server, program};

/// The default size of a sandbox.
const SHAPE: Shape = Shape { cpu: 2, memory_mib: 2048 };
/// Slots from here on are nobody's: the server makes its own from 0.
const FIRST_SLOT: u32 = 2000;

/// Makes machines.
pub struct Bare {
    server: Server,
    hypervisor: Qemu,
    network: Network,
    owner: String,
    template: Image,
    made: u32,
}

impl Bare {
    /// Has the template baked where it is not.
    ///
    /// # Errors
    /// When it cannot be.
    pub async fn start() -> anyhow::Result<Self> {
        let mut server = Server::start(Options::default()).await?;
        let sandbox = server.sandbox(json!({})).await?;
        let pool_dir = server.data().join("pool");
        let manifest = pool_dir.join("sandboxes").join(&sandbox.id).join("manifest.json");
        let manifest: Value = serde_json::from_str(&std::fs::read_to_string(manifest)?)?;
        let key = manifest["machine"].as_str().context("no machine in the manifest")?;
        let template = Image::at(pool_dir.join("machines").join(key));
        sandbox.delete().await?;
        server.terminate()?;

        let accelerator = if host::has_kvm() { Accelerator::Kvm } else { Accelerator::Tcg };
        let cage = CageConfig {
            folder: server.data().join("room"),
            group: format!("{}-machines", prefix()),
            first_uid: DEFAULT_FIRST_UID,
            preload: program(PRELOAD_FILE),
        };
        let hypervisor = Qemu::new(accelerator, Caching::None, cage).await?;
        let network = Network::prepare(NetworkConfig::new(&prefix(), pool(), &[])?).await?;
        let node: Value =
            serde_json::from_str(&std::fs::read_to_string(server.data().join("node.json"))?)?;
        let owner = node["id"].as_str().context("no node id")?.to_owned();
        Ok(Self { server, hypervisor, network, owner, template, made: 0 })
    }

    /// A new machine of the template.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn machine(&mut self) -> anyhow::Result<BareMachine> {
        let template = self.template.clone();
        self.restore(&template, copy("parent")).await
    }

    /// A machine of an image.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restore(&mut self, image: &Image, who: Who) -> anyhow::Result<BareMachine> {
        let number = SlotNumber::new(FIRST_SLOT + self.made);
        self.made += 1;
        let slot = Arc::new(self.network.create_slot(number).await?);
        let dir = self.staging().join(format!("bare{number}"));
        machine::restore(&self.hypervisor, &self.owner, dir, image, slot, who).await
    }

    fn staging(&self) -> PathBuf {
        self.server.data().join("pool/staging")
    }

    /// Proves that nothing is left. Machines end before.
    ///
    /// # Errors
    /// When something is left.
    pub async fn finish(self) -> anyhow::Result<()> {
        for number in 0..self.made {
            self.network.remove_slot(SlotNumber::new(FIRST_SLOT + number)).await?;
        }
        self.server.finish()
    }
}

/// A machine of its own with this hostname.
#[must_use]
pub fn copy(hostname: &str) -> Who {
    Who::Copy { hostname: hostname.to_owned(), machine_id: machine::random_hex(16) }
}
