//! What a start finds: every machine, slot and folder is adopted or removed.
//!
//! The rules, by what is there of a sandbox:
//!
//! | manifest | machine | then |
//! | --- | --- | --- |
//! | running or paused | runs | adopted |
//! | running or paused | gone | failed, with the reason; its files stay if it is persistent, else it is removed |
//! | failed | – | kept as it is (its owner deletes it) |
//! | creating | any | removed: nobody was told of it |
//! | deleting | any | removed |
//! | none that makes sense | any | removed |
//!
//! Slots and machines that belong to no manifest are removed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use pando_types::SandboxId;
use pando_vm::driver::{Home, MachineName, VmError};
use pando_vm::sys::durable;

use crate::sandbox::actor::{self, Origin};
use crate::sandbox::manifest::Manifest;
use crate::sandbox::policy::State;
use crate::shared::Shared;
use crate::slots::SlotError;

/// How many of each kind were found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub adopted: usize,
    pub lost: usize,
    pub removed: usize,
}

/// Why the start cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error("the sandboxes' folder")]
    Io(#[from] io::Error),
    #[error("a machine that was left over")]
    Vm(#[from] VmError),
    #[error(transparent)]
    Slot(#[from] SlotError),
}

/// What to do with a sandbox that a manifest names.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Adopt { pid: u32 },
    Lost,
    Keep,
    Remove,
}

fn judge(state: &State, persistent: bool, pid: Option<u32>) -> Verdict {
    match (state, pid) {
        (State::Running | State::Paused, Some(pid)) => Verdict::Adopt { pid },
        (State::Running | State::Paused, None) if persistent => Verdict::Lost,
        (State::Failed { .. }, _) => Verdict::Keep,
        _ => Verdict::Remove,
    }
}

pub(crate) async fn run(shared: &Arc<Shared>) -> Result<Found, ReconcileError> {
    let mut found = Found::default();
    let mut machines: HashMap<MachineName, u32> =
        shared.hypervisor.find(&shared.owner).await?.into_iter().collect();
    let mut keep = Vec::new();
    for entry in fs::read_dir(shared.data.sandboxes())? {
        let dir = entry?.path();
        let Some(mut manifest) = read(&dir)? else {
            // Its machine, if any, is killed below, before its files go.
            kill_of(shared, &mut machines, &dir).await?;
            bury(shared, &dir)?;
            found.removed += 1;
            continue;
        };
        let name = MachineName { owner: shared.owner.clone(), machine: manifest.id.to_string() };
        match judge(&manifest.state, manifest.persistent, machines.get(&name).copied()) {
            Verdict::Adopt { pid } => {
                machines.remove(&name);
                keep.push((manifest, Some((name, pid))));
                found.adopted += 1;
            }
            Verdict::Lost => {
                manifest.state = State::Failed {
                    reason: "its machine was gone when the server started; its disk is kept".into(),
                };
                keep.push((manifest, None));
                found.lost += 1;
            }
            Verdict::Keep => keep.push((manifest, None)),
            Verdict::Remove => {
                kill_of(shared, &mut machines, &dir).await?;
                bury(shared, &dir)?;
                found.removed += 1;
            }
        }
    }
    for (name, pid) in machines {
        tracing::warn!(machine = name.machine, pid, "ending a machine that belongs to no sandbox");
        shared.hypervisor.kill(&name, pid).await?;
        found.removed += 1;
    }
    // Those in use first: a slot that is taken anew must be nobody's.
    keep.sort_by_key(|(_, machine)| machine.is_none());
    let mut ready = Vec::new();
    for (manifest, machine) in keep {
        let slot = match manifest.slot {
            Some(number) if machine.is_some() => shared.slots.adopt(number)?,
            // A failed sandbox has no use for its slot; it gets one that is its own.
            _ => shared.slots.take().await?,
        };
        ready.push((manifest, machine, slot));
    }
    found.removed += shared.slots.discard_unused()?;
    for (mut manifest, machine, slot) in ready {
        let id = manifest.id;
        let origin = match machine {
            Some((name, pid)) => adopt(shared, &mut manifest, name, pid).await?,
            None => Origin::Lost,
        };
        shared.remember(id, actor::spawn(shared, manifest, slot, origin));
    }
    Ok(found)
}

/// Takes over a machine. One that cannot be is ended: a VMM that was taken over by
/// its guest, or that died just now, keeps no server from starting.
async fn adopt(
    shared: &Shared,
    manifest: &mut Manifest,
    name: MachineName,
    pid: u32,
) -> Result<Origin, VmError> {
    let home = Home { dir: shared.data.sandbox(manifest.id), name: name.clone() };
    match shared.hypervisor.adopt(home, pid).await {
        Ok(started) => {
            let promise = shared.promises.keep(manifest.shape);
            Ok(Origin::Adopt { started, promise })
        }
        Err(error) => {
            let reason = format!("after a restart of the server: {}", crate::chain(&error));
            tracing::warn!(sandbox = manifest.id.short(), reason, "not adopted");
            shared.hypervisor.kill(&name, pid).await?;
            manifest.state = State::Failed { reason };
            Ok(Origin::Lost)
        }
    }
}

fn read(dir: &Path) -> io::Result<Option<Manifest>> {
    let manifest = Manifest::read(dir)?;
    // A folder that bears another's name is nobody's.
    let id = dir.file_name().and_then(|name| name.to_str()?.parse::<SandboxId>().ok());
    Ok(manifest.filter(|manifest| Some(manifest.id) == id))
}

async fn kill_of(
    shared: &Shared,
    machines: &mut HashMap<MachineName, u32>,
    dir: &Path,
) -> Result<(), VmError> {
    let machine = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = MachineName { owner: shared.owner.clone(), machine };
    match machines.remove(&name) {
        Some(pid) => shared.hypervisor.kill(&name, pid).await,
        None => Ok(()),
    }
}

fn bury(shared: &Shared, dir: &Path) -> io::Result<()> {
    let grave = shared.data.staging().join(dir.file_name().unwrap_or_default());
    fs::rename(dir, &grave)?;
    durable::remove_dir(&grave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_adopted_without_a_machine_and_nothing_unacknowledged_stays() {
        let failed = State::Failed { reason: String::new() };
        for (state, persistent, pid, verdict) in [
            (State::Running, false, Some(7), Verdict::Adopt { pid: 7 }),
            (State::Paused, true, Some(7), Verdict::Adopt { pid: 7 }),
            (State::Running, true, None, Verdict::Lost),
            (State::Running, false, None, Verdict::Remove),
            (State::Creating, true, Some(7), Verdict::Remove),
            (State::Deleting, true, None, Verdict::Remove),
            (failed, false, None, Verdict::Keep),
        ] {
            assert_eq!(judge(&state, persistent, pid), verdict, "{state}");
        }
    }
}
