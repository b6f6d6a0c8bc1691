//! The floor: the hypervisor alone, restoring the files that the server restores,
//! in a network slot made ahead, to the agent's first word.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use pando_guest_protocol::control::{Identity, ToGuest};
use pando_vm::cage::{CageConfig, DEFAULT_FIRST_UID};
use pando_vm::driver::qemu::Qemu;
use pando_vm::driver::{
    Accelerator, Disks, Home, Hypervisor, MachineName, RestoreSpec, SPARE_DISKS, Shape,
};
use pando_vm::network::{Network, NetworkConfig, SlotNumber};
use pando_vm::sys::{host, reflink};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::sample::Sample;
use crate::server::PREFIX;

pub(crate) async fn measure(data: &Path, pool: Ipv4Addr, runs: usize) -> anyhow::Result<Sample> {
    let machine = newest_machine(&data.join("pool/machines"))?;
    let accelerator = if host::has_kvm() { Accelerator::Kvm } else { Accelerator::Tcg };
    let cage = CageConfig {
        folder: data.join("room"),
        group: format!("{PREFIX}-machines"),
        first_uid: DEFAULT_FIRST_UID,
    };
    let hypervisor = Qemu::new(accelerator, cage).await?;
    let network = Network::prepare(NetworkConfig::new(PREFIX, pool, &[])?).await?;
    let slot = Arc::new(network.create_slot(SlotNumber::new(0)).await?);
    let mut sample = Sample::default();
    let outcome = async {
        for run in 0..=runs {
            let dir = data.join("pool/staging/floor");
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir)?;
            let begun = Instant::now();
            let root = dir.join("root.raw");
            reflink::clone_file(&machine.join("root.raw"), &root)?;
            let name = MachineName { owner: "bench".into(), machine: "floor".into() };
            let started = hypervisor
                .restore(RestoreSpec {
                    home: Home { dir: dir.clone(), name },
                    // The default size, which the server baked.
                    shape: Shape { cpu: 2, memory_mib: 2048 },
                    memory: machine.join("memory"),
                    device_state: machine.join("devices"),
                    disks: Disks { root, spares: [const { None }; SPARE_DISKS] },
                    slot: Arc::clone(&slot),
                    first_words: first_words()?,
                })
                .await?;
            let mut lines = BufReader::new(started.control).lines();
            let said = lines.next_line().await?.unwrap_or_default();
            let elapsed = begun.elapsed();
            started.machine.kill().await?;
            ensure!(said.contains("ready"), "the guest said `{said}`");
            if run > 0 {
                sample.push(elapsed);
            }
            std::fs::remove_dir_all(&dir)?;
        }
        Ok(())
    }
    .await;
    network.remove_all().await?;
    outcome.map(|()| sample)
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
        hostname: "floor".into(),
        machine_id: "0".repeat(32),
        token: "0".repeat(64),
    }))?;
    words.push(b'\n');
    Ok(words)
}
