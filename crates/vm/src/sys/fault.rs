//! Fault points: where a test ends this process as a crash would, or holds it while
//! something else ends.
//!
//! Each names a moment at which being cut off must leave a sandbox either as it
//! was before or as it is after. The operator of a real server never sets
//! [`VARIABLE`]; unset, a point costs one load.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// The environment variable that names the point to end at.
pub const VARIABLE: &str = "PANDO_FAULT";
/// The environment variable that names a file. With it the process does not end at the
/// point: it makes the file, once, and goes on when the file is gone.
pub const HOLD_VARIABLE: &str = "PANDO_FAULT_HOLD";
/// How often it is looked whether that file is gone.
const LOOK: Duration = Duration::from_millis(10);

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A moment to end at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// All of them, in the order of a sandbox's life.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What [`VARIABLE`] says to end here.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

points! {
    /// A namespace exists, and nothing in it yet.
    SlotHalfMade = "slot.half_made",
    /// A sandbox has its row, and nothing on its node yet.
    CreateRowed = "create.rowed",
    /// Its folder and root disk are there, and no manifest.
    CreateDiskCloned = "create.disk_cloned",
    /// Its VMM runs; whether its manifest is there is left to chance.
    CreateStarted = "create.started",
    /// Its guest is ready, and nobody was told.
    CreateReady = "create.ready",
    /// Its manifest says that it runs, its row does not.
    CreateRecorded = "create.recorded",
    /// Its vCPUs are stopped, and no record says so.
    PauseStopped = "pause.stopped",
    /// Its vCPUs run again, and no record says so.
    ResumeStarted = "resume.started",
    /// Its guest stands still, its vCPUs run.
    SaveFrozen = "save.frozen",
    /// Its vCPUs are stopped, and nothing is saved.
    SaveStopped = "save.stopped",
    /// It is saved and stands still.
    SaveWritten = "save.written",
    /// It is saved and goes on.
    SaveResumed = "save.resumed",
    /// What was saved is an image, that nobody knows.
    SaveMoved = "save.moved",
    /// A snapshot has its row, and no files.
    SnapshotRowed = "snapshot.rowed",
    /// The image of a snapshot is on the disk, under no name.
    SnapshotSynced = "snapshot.synced",
    /// A snapshot is there, and nobody was told.
    SnapshotNamed = "snapshot.named",
    /// A snapshot is not wanted any more, and still there.
    SnapshotUnwanted = "snapshot.unwanted",
    /// The children of a fork have their rows, and nothing on a node.
    ForkRowed = "fork.rowed",
    /// Its image is taken, and no child is made of it.
    ForkTaken = "fork.taken",
    /// Its children run, and nobody was told.
    ForkMade = "fork.made",
    /// Its image is on the disk, under a name that does not count.
    HibernateSynced = "hibernate.synced",
    /// Its image is durable, its VMM is there.
    HibernateDurable = "hibernate.durable",
    /// Its VMM is gone, and no record says so.
    HibernateKilled = "hibernate.killed",
    /// It sleeps, and nobody was told.
    HibernateRecorded = "hibernate.recorded",
    /// Its image is begun with, and no machine is made of it.
    WakeConsumed = "wake.consumed",
    /// The disk of its next machine is there.
    WakeDiskCloned = "wake.disk_cloned",
    /// Its next VMM runs.
    WakeStarted = "wake.started",
    /// Its guest is ready, and no record says so.
    WakeReady = "wake.ready",
    /// Its manifest says that it runs, its image is there.
    WakeRecorded = "wake.recorded",
    /// Its image is gone, and nobody was told.
    WakeBuried = "wake.buried",
    /// A volume has its row, and no file.
    VolumeRowed = "volume.rowed",
    /// The file of a volume is on the disk, under no name.
    VolumeSynced = "volume.synced",
    /// A volume is there, and nobody was told.
    VolumeNamed = "volume.named",
    /// A volume is not wanted any more, and still there.
    VolumeUnwanted = "volume.unwanted",
    /// The file of a volume is gone, its row is there.
    VolumeRemoved = "volume.removed",
    /// Its row wants it gone, its node does not know.
    DeleteWanted = "delete.wanted",
    /// Its manifest says that it is taken apart.
    DeleteRecorded = "delete.recorded",
    /// Its VMM is gone, its files are there.
    DeleteKilled = "delete.killed",
    /// Its folder was moved away from where sandboxes live.
    DeleteMoved = "delete.moved",
    /// Its files are gone, its slot is there.
    DeleteUnfiled = "delete.unfiled",
    /// Nothing of it is left but its row.
    DeleteReleased = "delete.released",
    /// A deployment is about to fetch its commit.
    DeployFetching = "deploy.fetching",
    /// Its commit is in the mirror.
    DeployDetecting = "deploy.detecting",
    /// What it is, is known; it has no machine.
    DeployInstalling = "deploy.installing",
    /// It is installed, and its layer is kept.
    DeployBuilding = "deploy.building",
    /// It is built, in the machine that built it.
    DeployReleasing = "deploy.releasing",
    /// What was built is kept, and the machine that built it is there.
    DeployBuiltKept = "deploy.built_kept",
    /// It has the machine that runs it, and nothing runs there.
    DeployStarting = "deploy.starting",
    /// Its processes run, and nobody asked them anything.
    DeployChecking = "deploy.checking",
    /// Its row names the machine that is to be kept of it, which is not there.
    DeployReadyNamed = "deploy.ready_named",
    /// That is kept, and nothing leads to the deployment.
    DeployReadyKept = "deploy.ready_kept",
    /// It is live, and the one before it is there.
    DeployFlipped = "deploy.flipped",
}

/// Ends the process, or holds this thread, when it was told to here.
pub fn point(here: Fault) {
    static TOLD: OnceLock<Option<String>> = OnceLock::new();
    let told = TOLD.get_or_init(|| std::env::var(VARIABLE).ok());
    if told.as_deref() != Some(here.name()) {
        return;
    }
    static HOLD: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(file) = HOLD.get_or_init(|| std::env::var_os(HOLD_VARIABLE).map(PathBuf::from)) {
        hold(file);
        return;
    }
    tracing::error!(point = here.name(), "ending here, as {VARIABLE} says");
    std::process::abort();
}

fn hold(file: &Path) {
    static HELD: OnceLock<()> = OnceLock::new();
    if HELD.set(()).is_ok() && File::create_new(file).is_ok() {
        while file.exists() {
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_points_share_a_name() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
