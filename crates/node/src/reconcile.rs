//! What a start finds: every machine, slot and folder is adopted or removed.
//!
//! The rules, by what is there of a sandbox:
//!
//! | manifest | machine | image | then |
//! | --- | --- | --- | --- |
//! | running or paused | runs | none, or one that it was woken of | adopted; what was being saved is dropped |
//! | running or paused | runs | a later one | it was going to sleep: the machine is ended, it sleeps |
//! | running or paused | gone | whole | it sleeps: nobody was told otherwise |
//! | running or paused | gone | none | failed, with the reason: its disk is kept, and booted if it is woken |
//! | hibernated | any | whole | a machine that was being made of it is ended, it sleeps |
//! | hibernated | any | none | failed, with the reason |
//! | failed | any | a later one | it was booted from its disk: it sleeps in that |
//! | failed | any | none | kept as it is (its owner deletes it, or boots it from its disk) |
//! | creating | any | – | removed: nobody was told of it |
//! | deleting | any | – | removed |
//! | none that makes sense | any | any | removed |
//!
//! Slots and machines that belong to no manifest are removed. Whose machine one is, it says
//! in memory of its own; that is believed of one in the slot that the manifest names, which
//! no machine can change. So one that its guest took over is nobody's when it lies.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use pando_types::SandboxId;
use pando_vm::driver::{FoundMachine, Home, MachineName, VmError};
use pando_vm::memory::MemoryFiles;
use pando_vm::network::{Slot, SlotNumber};
use pando_vm::sys::durable;

use crate::image::Image;
use crate::sandbox::actor::{self, Origin};
use crate::sandbox::files::Files;
use crate::sandbox::manifest::{Lasting, Manifest};
use crate::sandbox::policy::State;
use crate::sandbox::spare;
use crate::shared::Shared;
use crate::slots::SlotError;

/// How many of each kind were found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub adopted: usize,
    pub asleep: usize,
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
    Adopt,
    Asleep,
    Lost { reason: &'static str },
    Keep,
    Remove,
}

/// What there is of an image that a sandbox may sleep in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slept {
    None,
    /// It was taken before the last change that is recorded.
    Before,
    /// It was taken after that.
    After,
}

fn judge(state: &State, runs: bool, slept: Slept) -> Verdict {
    match (state, runs, slept) {
        (State::Running | State::Paused, true, Slept::After) => Verdict::Asleep,
        (State::Running | State::Paused, true, _) => Verdict::Adopt,
        // An image goes before anyone is told that its sandbox is awake.
        (State::Running | State::Paused, false, Slept::Before | Slept::After) => Verdict::Asleep,
        (State::Running | State::Paused, false, Slept::None) => Verdict::Lost {
            reason: "its machine was gone when the server started; its disk is kept",
        },
        (State::Hibernated, _, Slept::Before | Slept::After) => Verdict::Asleep,
        (State::Hibernated, _, Slept::None) => {
            Verdict::Lost { reason: "the image that it slept in is not there, or not whole" }
        }
        (State::Failed { .. }, _, Slept::After) => Verdict::Asleep,
        (State::Failed { .. }, ..) => Verdict::Keep,
        _ => Verdict::Remove,
    }
}

fn slept(manifest: &Manifest, image: Option<&Image>) -> Slept {
    match image {
        // Another's would be nobody's.
        Some(image) if image.about.sandbox != manifest.id => Slept::None,
        Some(image) if image.about.generation > manifest.generation => Slept::After,
        Some(_) => Slept::Before,
        None => Slept::None,
    }
}

pub(crate) async fn run(shared: &Arc<Shared>) -> Result<Found, ReconcileError> {
    let mut found = Found::default();
    let mut folders = Vec::new();
    for entry in fs::read_dir(shared.data.sandboxes())? {
        let dir = entry?.path();
        folders.push((read(&dir)?, dir));
    }
    let places = folders.iter().filter_map(|(manifest, _)| {
        let manifest = manifest.as_ref()?;
        Some(((manifest.slot?, name_of(shared, manifest.id)), manifest.id))
    });
    let places = places.collect();
    let (mut machines, others) = sort(shared.hypervisor.find(&shared.owner).await?, &places);
    // First, so that none writes to what is removed or put to rest below.
    for machine in others {
        tracing::warn!(?machine, "ending a machine that belongs to no sandbox");
        shared.hypervisor.kill(&shared.owner, &machine).await?;
        found.removed += 1;
    }
    let mut keep = Vec::new();
    for (manifest, dir) in folders {
        let Some(mut manifest) = manifest else {
            bury(shared, &dir)?;
            found.removed += 1;
            continue;
        };
        let id = manifest.id;
        let files = Files::new(dir.clone());
        let slept = slept(&manifest, files.image()?.as_ref());
        match judge(&manifest.state, machines.contains_key(&id), slept) {
            Verdict::Adopt => {
                let machine = machines.remove(&id);
                // What it was woken of, when the server ended before that was removed.
                durable::remove_dir(&files.consumed())?;
                durable::remove_dir(&files.asleep())?;
                keep.push((manifest, machine));
                found.adopted += 1;
            }
            Verdict::Asleep => {
                kill_of(shared, &mut machines, id).await?;
                lay_to_rest(shared, &manifest, &files)?;
                if manifest.state != State::Hibernated {
                    change(&mut manifest, State::Hibernated, &dir);
                }
                keep.push((manifest, None));
                found.asleep += 1;
            }
            Verdict::Lost { reason } => {
                kill_of(shared, &mut machines, id).await?;
                change(&mut manifest, State::failed(reason), &dir);
                keep.push((manifest, None));
                found.lost += 1;
            }
            Verdict::Keep => keep.push((manifest, None)),
            Verdict::Remove => {
                kill_of(shared, &mut machines, id).await?;
                bury(shared, &dir)?;
                found.removed += 1;
            }
        }
    }
    let mut ready = Vec::new();
    for (manifest, machine) in keep {
        let slot = match (manifest.slot, &machine) {
            (Some(number), Some(_)) => Some(shared.slots.adopt(number)),
            // Without a machine there is no use for one.
            _ => None,
        };
        ready.push((manifest, machine, slot));
    }
    found.removed += shared.slots.discard_unused()?;
    for (mut manifest, machine, slot) in ready {
        let id = manifest.id;
        let origin = match (machine, slot) {
            (Some(machine), Some(slot)) => adopt(shared, &mut manifest, &machine, slot).await?,
            _ => Origin::Still,
        };
        shared.remember(id, actor::spawn(shared, manifest, origin));
    }
    Ok(found)
}

/// Leaves nothing of a sandbox that sleeps but its image, under the name that counts, and
/// its volumes as they are in there.
fn lay_to_rest(shared: &Shared, manifest: &Manifest, files: &Files) -> io::Result<()> {
    durable::remove_dir(&files.saving())?;
    // Of two, the other one was used up, or never whole.
    let image = Image::find(&files.asleep())?;
    let begun_with = image.is_none();
    durable::remove_dir(&if begun_with { files.asleep() } else { files.consumed() })?;
    let image = image.map_or_else(|| Image::find(&files.consumed()), |image| Ok(Some(image)))?;
    let reverted =
        image.map_or(Ok(()), |image| spare::revert(&manifest.spares, &image, &shared.data));
    match reverted {
        Ok(()) if begun_with => files.put_back()?,
        Ok(()) => {}
        // A full disk keeps no server from starting. Under the name of an image that was
        // begun with, its wake does it.
        Err(error) => {
            tracing::warn!(sandbox = manifest.id.short(), %error, "its volumes are not put back");
            if !begun_with {
                fs::rename(files.asleep(), files.consumed())?;
            }
        }
    }
    Manifest::forget_prepared(&files.dir)?;
    files.remove_machine()
}

/// Records what was found, as a change: it is told with a number of its own.
fn change(manifest: &mut Manifest, state: State, dir: &Path) {
    manifest.state = state;
    manifest.slot = None;
    manifest.generation = manifest.generation.next();
    if let Err(error) = manifest.write(dir, Lasting::PowerCut) {
        // A full disk keeps no server from starting; the next one finds the same.
        tracing::warn!(sandbox = manifest.id.short(), %error, "what was found is not recorded");
    }
}

/// Gives a machine that an older server made what is saved with it: its memory's
/// beginnings under a name of its own.
fn link_memory(shared: &Shared, manifest: &Manifest) {
    let dir = shared.data.sandbox(manifest.id);
    if !MemoryFiles::of(&dir, 0).whole().exists() {
        let machine = shared.data.machines().join(manifest.machine.to_string());
        if let Err(error) = MemoryFiles::of(&machine, 0).link_to(&dir) {
            tracing::warn!(sandbox = manifest.id.short(), %error, "it can be neither saved nor put to sleep");
        }
    }
}

/// Takes over a machine. One that cannot be is ended: a VMM that was taken over by
/// its guest, or that died just now, or whose network somebody removed, keeps no server
/// from starting.
async fn adopt(
    shared: &Shared,
    manifest: &mut Manifest,
    found: &FoundMachine,
    slot: Result<Arc<Slot>, SlotError>,
) -> Result<Origin, ReconcileError> {
    link_memory(shared, manifest);
    let dir = shared.data.sandbox(manifest.id);
    let (cause, slot) = match slot {
        Ok(slot) => {
            let home = Home { dir: dir.clone(), name: name_of(shared, manifest.id) };
            match shared.hypervisor.adopt(home, found.pid).await {
                Ok(started) => {
                    let promise = shared.promises.keep(manifest.org, manifest.shape);
                    return Ok(Origin::Adopt { started, slot, promise });
                }
                Err(error) => (crate::chain(&error), Some(slot)),
            }
        }
        Err(error) => (crate::chain(&error), None),
    };
    let reason = format!("after a restart of the server: {cause}");
    tracing::warn!(sandbox = manifest.id.short(), reason, "not adopted");
    shared.hypervisor.kill(&shared.owner, found).await?;
    change(manifest, State::failed(&reason), &dir);
    if let Some(slot) = slot
        && let Err(error) = shared.slots.release(&slot).await
    {
        tracing::warn!(error = crate::chain(&error), "a network slot stays");
    }
    Ok(Origin::Still)
}

fn read(dir: &Path) -> io::Result<Option<Manifest>> {
    let manifest = Manifest::read(dir)?;
    // A folder that bears another's name is nobody's.
    let id = dir.file_name().and_then(|name| name.to_str()?.parse::<SandboxId>().ok());
    Ok(manifest.filter(|manifest| Some(manifest.id) == id))
}

/// What the machine of a sandbox is called.
fn name_of(shared: &Shared, id: SandboxId) -> MachineName {
    MachineName { owner: shared.owner.clone(), machine: id.to_string() }
}

/// The machines that are where their sandboxes have them, and all others.
fn sort(
    found: Vec<FoundMachine>,
    places: &HashMap<(SlotNumber, MachineName), SandboxId>,
) -> (HashMap<SandboxId, FoundMachine>, Vec<FoundMachine>) {
    let (mut machines, mut others) = (HashMap::new(), Vec::new());
    for machine in found {
        let place = machine.slot.zip(machine.name.clone());
        match place.and_then(|place| places.get(&place)).map(|id| machines.entry(*id)) {
            Some(Entry::Vacant(vacant)) => drop(vacant.insert(machine)),
            _ => others.push(machine),
        }
    }
    (machines, others)
}

async fn kill_of(
    shared: &Shared,
    machines: &mut HashMap<SandboxId, FoundMachine>,
    id: SandboxId,
) -> Result<(), VmError> {
    match machines.remove(&id) {
        Some(machine) => shared.hypervisor.kill(&shared.owner, &machine).await,
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
        for (state, runs, slept, verdict) in [
            (State::Running, true, Slept::None, "adopt"),
            (State::Paused, true, Slept::Before, "adopt"),
            (State::Running, true, Slept::After, "asleep"),
            (State::Running, false, Slept::None, "lost"),
            (State::Running, false, Slept::Before, "asleep"),
            (State::Paused, false, Slept::After, "asleep"),
            (State::Hibernated, true, Slept::Before, "asleep"),
            (State::Hibernated, false, Slept::Before, "asleep"),
            (State::Hibernated, false, Slept::None, "lost"),
            (State::Creating, true, Slept::None, "remove"),
            (State::Deleting, false, Slept::Before, "remove"),
            // A boot from its disk was cut off after its image had its name.
            (failed.clone(), false, Slept::After, "asleep"),
            (failed, false, Slept::None, "keep"),
        ] {
            assert_eq!(judge(&state, runs, slept).kind(), verdict, "{state} {slept:?}");
        }
    }

    #[test]
    fn a_machine_is_believed_where_its_sandbox_has_it() {
        let (one, two) = (SandboxId::new(), SandboxId::new());
        let name = |id: SandboxId| MachineName { owner: "us".into(), machine: id.to_string() };
        let place = |slot| SlotNumber::new(slot);
        let places = HashMap::from([((place(1), name(one)), one), ((place(2), name(two)), two)]);
        let machine = |id: Option<SandboxId>, slot: Option<u32>, pid| FoundMachine {
            name: id.map(name),
            slot: slot.map(place),
            pid,
        };
        // The third says that it is the second one, the fourth that it is nobody, the fifth
        // is outside of every slot, and the last is a process that the first one made.
        let (machines, others) = sort(
            vec![
                machine(Some(one), Some(1), 11),
                machine(Some(two), Some(3), 13),
                machine(None, Some(2), 14),
                machine(Some(two), None, 15),
                machine(Some(one), Some(1), 16),
            ],
            &places,
        );
        assert_eq!(machines, HashMap::from([(one, machine(Some(one), Some(1), 11))]));
        assert_eq!(others.iter().map(|other| other.pid).collect::<Vec<_>>(), [13, 14, 15, 16]);
    }

    impl Verdict {
        fn kind(&self) -> &'static str {
            match self {
                Self::Adopt => "adopt",
                Self::Asleep => "asleep",
                Self::Lost { .. } => "lost",
                Self::Keep => "keep",
                Self::Remove => "remove",
            }
        }
    }
}
