//! The server ends at every step of saving, sleeping and waking, with its machines or
//! without them; the next one finds every sandbox as it was before or as it is after, and
//! the volume that it holds with it.
//!
//! The server that ends is another process: this test, run once more.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use pando_types::{Epoch, OrgId, SandboxId, SnapshotId, VolumeId};
use pando_vm::driver::null::Null;
use pando_vm::network::SlotNumber;
use pando_vm::sys::fault::{Fault, VARIABLE};

use super::volumes::{file, spare};
use super::{Folder, World, name, node};
use crate::{Child, Life, State};

const EPOCH: Epoch = Epoch::first();
/// Where the server that ends finds its folder.
const FOLDER: &str = "PANDO_TEST_FOLDER";
/// And what its sandbox is called.
const SANDBOX: &str = "PANDO_TEST_SANDBOX";

/// The volume that it holds.
fn volume() -> VolumeId {
    "6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11".parse().unwrap()
}

/// What becomes of the machine when its server ends there, and of the sandbox then.
struct Case {
    fault: Fault,
    /// What its machine does, if it is still there.
    machine: Option<Machine>,
    /// The sandbox's state if it is.
    alive: &'static str,
    /// And if it is gone.
    dead: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Machine {
    Runs,
    Held,
}

fn cases() -> Vec<Case> {
    use Machine::{Held, Runs};
    let case = |fault, machine, alive, dead| Case { fault, machine, alive, dead };
    vec![
        case(Fault::SaveFrozen, Some(Held), "running", "failed"),
        case(Fault::SaveStopped, Some(Held), "running", "failed"),
        case(Fault::SaveWritten, Some(Held), "running", "failed"),
        case(Fault::SaveResumed, Some(Runs), "running", "failed"),
        case(Fault::SaveMoved, Some(Runs), "running", "failed"),
        case(Fault::SnapshotSynced, Some(Runs), "running", "failed"),
        case(Fault::SnapshotNamed, Some(Runs), "running", "failed"),
        case(Fault::ForkTaken, Some(Runs), "running", "failed"),
        case(Fault::ForkMade, Some(Runs), "running", "failed"),
        case(Fault::HibernateSynced, Some(Held), "running", "failed"),
        case(Fault::HibernateDurable, Some(Held), "hibernated", "hibernated"),
        case(Fault::HibernateKilled, None, "", "hibernated"),
        case(Fault::HibernateRecorded, None, "", "hibernated"),
        case(Fault::WakeConsumed, None, "", "hibernated"),
        case(Fault::WakeDiskCloned, None, "", "hibernated"),
        case(Fault::WakeStarted, Some(Runs), "hibernated", "hibernated"),
        case(Fault::WakeReady, Some(Runs), "hibernated", "hibernated"),
        case(Fault::WakeRecorded, Some(Runs), "running", "hibernated"),
        case(Fault::WakeBuried, Some(Runs), "running", "failed"),
    ]
}

#[test]
fn every_step_is_tried() {
    let steps = ["save.", "snapshot.", "fork.", "hibernate.", "wake."];
    // Between row and node: tried through the API, in real machines.
    let of_rows = [Fault::SnapshotRowed, Fault::SnapshotUnwanted, Fault::ForkRowed];
    let all = Fault::ALL.iter().filter(|fault| !of_rows.contains(fault)).map(|fault| fault.name());
    let all: Vec<_> = all.filter(|name| steps.iter().any(|step| name.starts_with(step))).collect();
    let tried: Vec<_> = cases().iter().map(|case| case.fault.name()).collect();
    assert_eq!(tried, all);
}

#[tokio::test]
async fn a_server_that_ends_leaves_before_or_after() {
    for case in cases() {
        if let Some(machine) = case.machine {
            crash_and_look(&case, Some(machine), case.alive).await;
        }
        crash_and_look(&case, None, case.dead).await;
    }
}

/// Where the machine of a sandbox is, as far as it is recorded.
fn slot(folder: &Path, id: SandboxId) -> SlotNumber {
    let manifest = folder.join("pool/sandboxes").join(id.to_string()).join("manifest.json");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    let number = manifest["slot"].as_u64().unwrap_or_default();
    SlotNumber::new(number.try_into().unwrap())
}

async fn crash_and_look(case: &Case, machine: Option<Machine>, expected: &str) {
    let what =
        format!("{}, {}", case.fault.name(), if machine.is_some() { "alive" } else { "dead" });
    let folder = Folder(tempfile::tempdir().unwrap());
    let id = SandboxId::new();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "tests::faults::a_server_that_ends"])
        .env(FOLDER, folder.path())
        .env(SANDBOX, id.to_string())
        .env(VARIABLE, case.fault.name())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!ended.success(), "{what}: it went through");

    let machines = Null::default();
    let name = name(folder.path(), id);
    let began_anew = [Fault::WakeStarted, Fault::WakeReady, Fault::WakeRecorded, Fault::WakeBuried];
    if began_anew.contains(&case.fault) {
        // Its guest wrote before it ended, whether somebody was told of it or not.
        std::fs::write(file(folder.path(), volume()), "two").unwrap();
    }
    if let Some(machine) = machine {
        machines.put(name.clone(), slot(folder.path(), id), b"one");
        if machine == Machine::Held {
            machines.hold(&name);
        }
    }
    let (node, reports) = node(folder.path(), Arc::new(machines.clone())).await;
    let world = World { folder, machines, node, reports, org: OrgId::new() };
    let state = world.node.observe(id).unwrap().state;
    assert_eq!(state.to_string(), expected, "{what}");
    let others: Vec<SandboxId> = world
        .names("sandboxes")
        .iter()
        .map(|name| name.parse().unwrap())
        .filter(|it| *it != id)
        .collect();
    // A child that ran, and that nobody was told of: its machine went with the server.
    assert_eq!(others.len(), usize::from(case.fault == Fault::ForkMade), "{what}");
    for child in others {
        assert!(matches!(world.state(child), Some(State::Failed { .. })), "{what}");
        world.node.delete(child, EPOCH).await.unwrap();
    }
    assert_eq!(world.names("staging"), [""; 0], "{what}");
    match state {
        State::Failed { .. } => {
            let now = if case.fault == Fault::WakeBuried { "two" } else { "one" };
            assert_eq!(
                (world.disk(id), world.volume_text(volume())),
                ("one".into(), now.into()),
                "{what}"
            );
        }
        State::Hibernated => {
            assert_eq!(world.machines.count(), 0, "{what}");
            assert_eq!(super::names(&world.dir(id)), ["asleep", "manifest.json"], "{what}");
            assert_eq!(world.volume_text(volume()), "one", "{what}");
            world.node.wake(id, EPOCH).await.unwrap();
            assert_eq!((world.memory(id), world.disk(id)), ("one".into(), "one".into()), "{what}");
            assert_eq!(world.spare_text(id, 0), "one", "{what}");
            assert!(world.is_volume(id, 0, volume()), "{what}");
        }
        _ => {
            // It is told to run, and to let its processes go, by its actor.
            let life = Life { deadline: None, persistent: true, idle_timeout: None };
            world.node.set_lifecycle(id, EPOCH, life).await.unwrap();
            assert_eq!(world.machines.runs(&name), Some(true), "{what}");
            let files = super::names(&world.dir(id));
            assert_eq!(files, ["manifest.json", "memory", "root.raw", "spare-0.raw"], "{what}");
            let now = if began_anew.contains(&case.fault) { "two" } else { "one" };
            for _ in 0..2 {
                assert_eq!(
                    (world.spare_text(id, 0), world.volume_text(volume())),
                    (now.into(), now.into()),
                    "{what}"
                );
                assert!(world.is_volume(id, 0, volume()), "{what}");
                world.node.hibernate(id, EPOCH).await.unwrap();
                world.node.wake(id, EPOCH).await.unwrap();
            }
            assert_eq!((world.memory(id), world.disk(id)), ("one".into(), "one".into()), "{what}");
        }
    }
    for snapshot in world.node.snapshots().await.unwrap() {
        assert_eq!(case.fault, Fault::SnapshotNamed, "{what}");
        world.node.snapshot_delete(snapshot.id).await.unwrap();
    }
    world.finish().await;
}

/// The server that ends.
#[tokio::test]
#[ignore = "another test runs it"]
async fn a_server_that_ends() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let id: SandboxId = std::env::var(SANDBOX).unwrap().parse().unwrap();
    let fault = std::env::var(VARIABLE).unwrap();
    let machines = Null::default();
    let (node, reports) = node(&folder, Arc::new(machines.clone())).await;
    let world = World {
        // Not one that unmounts it at its end: the other process does.
        folder: Folder(tempfile::tempdir_in(&folder).unwrap()),
        machines,
        node,
        reports,
        org: OrgId::new(),
    };
    std::fs::write(file(&folder, volume()), "empty").unwrap();
    world.try_create_with(id, None, true, vec![spare(volume(), false)]).await.unwrap();
    std::fs::write(file(&folder, volume()), "one").unwrap();
    assert!(world.machines.write_memory(&name(&folder, id), b"one"));
    let sandboxes = folder.join("pool/sandboxes");
    std::fs::write(sandboxes.join(id.to_string()).join("root.raw"), "one").unwrap();
    match fault.split('.').next().unwrap() {
        "save" | "snapshot" => {
            let _ = world.node.snapshot(id, EPOCH, SnapshotId::new()).await;
        }
        "fork" => {
            let child = Child {
                id: SandboxId::new(),
                epoch: EPOCH,
                org: world.org,
                deadline: None,
                persistent: false,
                idle_timeout: None,
                egress_deny: Vec::new(),
            };
            let _ = world.node.fork(id, EPOCH, vec![child]).await;
        }
        _ => {
            let _ = world.node.hibernate(id, EPOCH).await;
            let _ = world.node.wake(id, EPOCH).await;
        }
    }
}
