//! The floor: the hypervisor alone, restoring the files that the server restores,
//! in network slots made ahead, to the agent's first word; and what its agent
//! and its process cost by themselves.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pando_guest_protocol::control::{Identity, ToGuest, Who};
use pando_vm::cage::{CageConfig, DEFAULT_FIRST_UID, PRELOAD_FILE};
use pando_vm::driver::qemu::Qemu;
use pando_vm::driver::{
    Accelerator, Caching, Disks, Home, Hypervisor, Machine, MachineName, RestoreSpec, SPARE_DISKS,
    Shape,
};
use pando_vm::memory::MemoryFiles;
use pando_vm::network::{Network, NetworkConfig, Slot, SlotNumber};
use pando_vm::sys::{host, reflink};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::agent;
use crate::memory::Memory;
use crate::sample::Sample;
use crate::server::PREFIX;

/// How long a machine is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);
/// How often the agent of each machine is asked directly; the first counts apart.
const EXECS: usize = 4;

/// What the hypervisor alone needs.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    /// One after another: files to the agent's first word.
    pub restore: Sample,
    /// An exec asked of the agent directly, the first in its life left out.
    pub exec: Sample,
    /// Each of many at once.
    pub crowd: Sample,
    /// From the first to the last of them.
    pub crowd_all: Duration,
    pub memory: Vec<Memory>,
}

struct Bare {
    hypervisor: Qemu,
    machine: PathBuf,
    staging: PathBuf,
}

pub(crate) async fn measure(
    data: &Path,
    pool: Ipv4Addr,
    runs: usize,
    crowd: usize,
) -> anyhow::Result<Floor> {
    let accelerator = if host::has_kvm() { Accelerator::Kvm } else { Accelerator::Tcg };
    let cage = CageConfig {
        folder: data.join("room"),
        group: format!("{PREFIX}-machines"),
        first_uid: DEFAULT_FIRST_UID,
        preload: std::env::current_exe()?.with_file_name(PRELOAD_FILE),
    };
    let bare = Bare {
        hypervisor: Qemu::new(accelerator, Caching::None, cage).await?,
        machine: newest_machine(&data.join("pool/machines"))?,
        staging: data.join("pool/staging"),
    };
    let network = Network::prepare(NetworkConfig::new(PREFIX, pool, &[])?).await?;
    let measured = bare.measure_in(&network, runs, crowd).await;
    network.remove_all().await?;
    measured
}

impl Bare {
    async fn measure_in(
        &self,
        network: &Network,
        runs: usize,
        crowd: usize,
    ) -> anyhow::Result<Floor> {
        let mut floor = Floor::default();
        let mut slots = Vec::new();
        for number in 0..crowd.max(1) {
            let number = SlotNumber::new(u32::try_from(number)?);
            slots.push(Arc::new(network.create_slot(number).await?));
        }
        // The first warms the page cache and is not counted.
        for run in 0..=runs {
            let (machine, took) = self.restore("floor", &slots[0]).await?;
            for exec in 0..EXECS {
                let begun = Instant::now();
                agent::exec_true(&slots[0]).await?;
                if exec > 0 && run > 0 {
                    floor.exec.push(begun.elapsed());
                }
            }
            machine.kill().await?;
            if run > 0 {
                floor.restore.push(took);
            }
        }
        if crowd == 0 {
            return Ok(floor);
        }
        let begun = Instant::now();
        let names: Vec<String> = (0..crowd).map(|number| format!("floor{number}")).collect();
        let restores = names.iter().zip(&slots).map(|(name, slot)| self.restore(name, slot));
        let restored = futures_util::future::join_all(restores).await;
        floor.crowd_all = begun.elapsed();
        tokio::time::sleep(SETTLE).await;
        let memory = restored.iter().flatten().map(|(machine, _)| Memory::of(machine.pid()));
        let memory: anyhow::Result<Vec<_>> = memory.collect();
        // All of them, before anything is said of one that failed.
        for (machine, _) in restored.iter().flatten() {
            machine.kill().await?;
        }
        for one in restored {
            floor.crowd.push(one?.1);
        }
        floor.memory = memory?;
        Ok(floor)
    }

    async fn restore(
        &self,
        name: &str,
        slot: &Arc<Slot>,
    ) -> anyhow::Result<(Arc<dyn Machine>, Duration)> {
        let dir = self.staging.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        let begun = Instant::now();
        let root = dir.join("root.raw");
        reflink::clone_file(&self.machine.join("root.raw"), &root)?;
        let started = self
            .hypervisor
            .restore(RestoreSpec {
                home: Home {
                    dir: dir.clone(),
                    name: MachineName { owner: "bench".into(), machine: name.to_owned() },
                },
                // The default size, which the server baked.
                shape: Shape { cpu: 2, memory_mib: 2048 },
                memory: MemoryFiles::of(&self.machine, 0),
                device_state: self.machine.join("devices"),
                disks: Disks { root, spares: [const { None }; SPARE_DISKS] },
                slot: Arc::clone(slot),
                first_words: first_words()?,
            })
            .await?;
        let mut lines = BufReader::new(started.control).lines();
        let said = lines.next_line().await?.unwrap_or_default();
        let took = begun.elapsed();
        // Its files stay open; nobody else needs their names.
        std::fs::remove_dir_all(&dir)?;
        if !said.contains("ready") {
            started.machine.kill().await?;
        }
        ensure!(said.contains("ready"), "the guest said `{said}`");
        Ok((started.machine, took))
    }
}

/// The machine of the default size is the one with 2048 MiB of memory.
fn newest_machine(machines: &Path) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(machines)
        .with_context(|| format!("no machines in {}", machines.display()))?
    {
        let path = entry?.path();
        let memory = std::fs::metadata(path.join("memory"))?;
        if memory.len() == 2048 << 20 {
            found.push((memory.modified()?, path));
        }
    }
    found.sort();
    found.pop().map(|(_, path)| path).context("the default machine is not baked")
}

fn first_words() -> anyhow::Result<Vec<u8>> {
    let mut words = serde_json::to_vec(&ToGuest::Restored(Identity {
        seed: "5a".repeat(32),
        wall_clock_ns: 1_800_000_000_000_000_000,
        token: agent::TOKEN.into(),
        who: Who::Copy { hostname: "floor".into(), machine_id: "0".repeat(32) },
        mounts: Vec::new(),
    }))?;
    words.push(b'\n');
    Ok(words)
}
