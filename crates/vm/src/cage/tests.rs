//! Ways into the cage that fail, for real: they need root. That a VMM which got
//! in finds nothing is shown end to end (`tests/e2e/tests/cage.rs`).

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use super::*;
use crate::sys::process::with_argument;

/// Stands in for a VMM: it never asks for its memory.
const PROGRAM: &str = "/bin/sleep";

async fn cage(dir: &Path, group: &str) -> Cage {
    Cage::prepare(config(dir, group, DEFAULT_FIRST_UID), &furniture()).await.unwrap()
}

fn config(dir: &Path, group: &str, first_uid: u32) -> CageConfig {
    let preload = PROGRAM.into();
    CageConfig { folder: dir.join("room"), group: group.into(), first_uid, preload }
}

fn furniture() -> Furniture {
    let (program, preload) = (PROGRAM.into(), PROGRAM.into());
    Furniture { program, files: Vec::new(), preload, kvm: false }
}

/// Sends an occupant in whose network namespace is `network`; it would sleep for `name`.
async fn send_in(cage: &Cage, network: &File, name: &str) -> Result<Caged, CageError> {
    let memory = File::open("/dev/null").unwrap();
    let log = File::options().write(true).open("/dev/null").unwrap();
    let tap = File::open("/dev/null").unwrap();
    cage.spawn(Occupant {
        slot: SlotNumber::new(UIDS - 1),
        network: network.as_fd(),
        tap: tap.as_fd(),
        arguments: &["--".into(), name.into()],
        log: log.as_fd(),
        inherited: &[],
        memory: &[memory.as_fd()],
        room: None,
        cpus: 1,
        memory_bytes: 1 << 30,
        largest_file_bytes: 0,
    })
    .await
}

fn sleeps(name: &str) -> bool {
    with_argument("sleep", "--").unwrap().iter().any(|(_, value)| value == name)
}

fn nothing_is_left(cage: &Cage, name: &str) {
    assert!(!sleeps(name));
    if let Some(groups) = &cage.groups {
        let path = groups.path();
        let left =
            fs::read_dir(path).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(left.count(), 0, "a control group is left in {}", path.display());
    }
}

#[tokio::test]
async fn a_step_that_fails_is_named_and_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    let cage = cage(dir.path(), "vmcage1").await;

    let no_namespace = File::open("/dev/null").unwrap();
    let error = send_in(&cage, &no_namespace, "7001").await.unwrap_err();
    assert!(matches!(error, CageError::Entry { step: Step::Tap, .. }), "{error:?}");
    assert_eq!(error.to_string(), "step `tap` of going into the cage");
    nothing_is_left(&cage, "7001");

    fs::remove_file(dir.path().join("room/root/bin/sleep")).unwrap();
    let here = network_of_its_own();
    let error = send_in(&cage, &here, "7002").await.unwrap_err();
    assert!(matches!(error, CageError::Entry { step: Step::Program, .. }), "{error:?}");
    nothing_is_left(&cage, "7002");
}

#[tokio::test]
async fn whoever_is_given_up_on_the_way_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let cage = cage(dir.path(), "vmcage2").await;
    let here = network_of_its_own();
    let begun = send_in(&cage, &here, "7003");
    let waited = tokio::time::timeout(Duration::from_secs(2), begun).await;
    assert!(waited.is_err(), "it was let in without its memory");
    assert!(!sleeps("7003"));
}

#[tokio::test]
async fn whoever_ends_before_it_has_its_memory_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let cage = cage(dir.path(), "vmcage4").await;
    let caged = send_in(&cage, &network_of_its_own(), "0.2").await.unwrap();
    // Until it is reaped, what was set is there to be read.
    let path = format!("/proc/{}/oom_score_adj", caged.process.pid());
    assert_eq!(fs::read_to_string(path).unwrap().trim(), OOM_SCORE.to_string());
    caged.process.ended().await;
    caged.process.reap();
    remove_group(caged.group.as_deref()).await;
    nothing_is_left(&cage, "0.2");
}

#[tokio::test]
async fn a_server_with_many_open_files_still_makes_cages() {
    let dir = tempfile::tempdir().unwrap();
    let cage = cage(dir.path(), "vmcage5").await;
    let many = (0..2 * OPEN_FILES).map(|_| File::open("/dev/null").unwrap());
    let many: Vec<File> = many.collect();
    let caged = send_in(&cage, &network_of_its_own(), "0.3").await.unwrap();
    drop(many);
    caged.process.ended().await;
    caged.process.reap();
    remove_group(caged.group.as_deref()).await;
    nothing_is_left(&cage, "0.3");
}

#[tokio::test]
async fn whoever_is_in_the_room_is_found_with_control_groups_and_without() {
    let dir = tempfile::tempdir().unwrap();
    let mut cage = cage(dir.path(), "vmcage6").await;
    for with_groups in [true, false] {
        if !with_groups {
            cage.groups = None;
        }
        let here = network_of_its_own();
        let staying = send_in(&cage, &here, "0.5");
        let looking = async {
            loop {
                let found = cage.occupants().unwrap();
                let slots: Vec<_> = found.into_values().collect();
                if !slots.is_empty() {
                    return slots;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (caged, slots) = tokio::join!(staying, looking);
        assert_eq!(slots, [Some(SlotNumber::new(UIDS - 1))]);
        let caged = caged.unwrap();
        caged.process.ended().await;
        caged.process.reap();
        remove_group(caged.group.as_deref()).await;
        assert_eq!(cage.occupants().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn users_that_are_not_ours_to_give_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Cage::prepare(config(dir.path(), "vmcage3", 0), &furniture()).await.unwrap_err();
    assert!(matches!(error, CageError::Ids { first: 0 }), "{error:?}");
}

/// A network namespace that a tap may be made in, for as long as it is held.
fn network_of_its_own() -> File {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread ends with this.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        thread.join().unwrap()
    })
}

#[test]
fn only_mapped_ids_that_are_not_roots_will_do() {
    let all = "         0          0 4294967295";
    assert!(range_holds(all, DEFAULT_FIRST_UID.into(), UIDS.into()));
    assert!(!range_holds(all, 0, 1));
    assert!(!range_holds("0 100000 65536", DEFAULT_FIRST_UID.into(), UIDS.into()));
    assert!(range_holds("0 100000 65536", 60000, UIDS.into()));
    assert!(!range_holds("0 100000 65536", 65000, UIDS.into()));
}
