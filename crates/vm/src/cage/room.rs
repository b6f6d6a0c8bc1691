//! The room: four namespaces that VMMs enter, made on a thread that ends with it.
//!
//! It lives as long as somebody is in it or the server holds it; nothing of it is
//! mounted where the host could see it, so there is nothing to remove.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};
use rustix::system::sethostname;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::{CageError, room_error};

/// What is mounted in a room with its tag for a source, which the kernel shows to the host
/// and nobody inside can change.
pub(super) const TAGGED: &str = "tmpfs";

/// Where a machine that boots finds its kernel.
pub(crate) const BOOT_DIR: &str = "boot";

/// A device that stands in the room's `/dev`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    name: &'static str,
    major: u32,
    minor: u32,
}

impl Device {
    pub(super) const NULL: Self = Self { name: "null", major: 1, minor: 3 };
    pub(super) const URANDOM: Self = Self { name: "urandom", major: 1, minor: 9 };
    pub(super) const KVM: Self = Self { name: "kvm", major: 10, minor: 232 };
}

/// The namespaces.
#[derive(Debug)]
pub(crate) struct Room {
    mount: OwnedFd,
    network: OwnedFd,
    ipc: OwnedFd,
    uts: OwnedFd,
}

impl Room {
    /// Makes a room whose root is `root`, read-only, with these devices, and copies
    /// of `files` in [`BOOT_DIR`]. By `tag` whoever is in it can be told ([`TAGGED`]).
    ///
    /// # Errors
    /// [`CageError::Room`].
    pub(super) fn make(
        root: &Path,
        tag: &str,
        devices: &[Device],
        files: &[(&str, &Path)],
    ) -> Result<Self, CageError> {
        // A thread that has left its namespaces is of no other use.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .spawn_scoped(scope, || build(root, tag, devices, files))
                .map_err(room_error("a thread"))?;
            thread.join().unwrap_or_else(|_| {
                Err(room_error("making the room")(io::Error::other("the thread panicked")))
            })
        })
    }

    /// The namespaces, the one of mounts last: entering it leaves all paths behind.
    pub(super) fn namespaces(&self) -> [BorrowedFd<'_>; 4] {
        [self.network.as_fd(), self.ipc.as_fd(), self.uts.as_fd(), self.mount.as_fd()]
    }
}

fn build(
    root: &Path,
    tag: &str,
    devices: &[Device],
    files: &[(&str, &Path)],
) -> Result<Room, CageError> {
    // Opened before we leave the mounts that they are seen through.
    let files: Vec<(&str, File)> = files
        .iter()
        .map(|(name, path)| {
            let file = File::open(path);
            Ok((*name, file.map_err(room_error(format!("cannot read {}", path.display())))?))
        })
        .collect::<Result<_, CageError>>()?;
    let flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // SAFETY: descriptors stay shared (no CLONE_FILES); the rest is this thread's alone.
    unsafe { unshare_unsafe(flags) }.map_err(at("cannot make the room's namespaces"))?;
    // The host's name is nobody's business in there.
    sethostname(b"room").map_err(at("cannot name the room"))?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(at("cannot keep the room's mounts to itself"))?;
    mount_bind(root, root).map_err(at("cannot mount the room's files"))?;
    let dev = root.join("dev");
    mount_tmpfs(&dev, tag)?;
    for device in devices {
        make_device(&dev.join(device.name), device)?;
    }
    seal(&dev, MountFlags::NOSUID | MountFlags::NOEXEC)?;
    if !files.is_empty() {
        let boot = root.join(BOOT_DIR);
        mount_tmpfs(&boot, tag)?;
        for (name, mut file) in files {
            copy_to(&mut file, &boot.join(name))?;
        }
        seal(&boot, MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV)?;
    }
    seal(root, MountFlags::NOSUID | MountFlags::NODEV)?;
    let namespace = |kind: &str| {
        let path = format!("/proc/thread-self/ns/{kind}");
        File::open(&path).map(OwnedFd::from).map_err(room_error(path))
    };
    let room = Room {
        mount: namespace("mnt")?,
        network: namespace("net")?,
        ipc: namespace("ipc")?,
        uts: namespace("uts")?,
    };
    // The old root ends up on top of the new one, and goes (pivot_root(2)).
    chdir(root).map_err(at("cannot enter the room's files"))?;
    pivot_root(".", ".").map_err(at("cannot make the room's files the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(at("cannot leave the host's files"))?;
    Ok(room)
}

fn at(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> CageError {
    move |source| room_error(what)(source.into())
}

fn mount_tmpfs(target: &Path, tag: &str) -> Result<(), CageError> {
    let what = "cannot mount a tmpfs in the room";
    mount(tag, target, TAGGED, MountFlags::NOSUID, Some(c"mode=0755")).map_err(at(what))
}

fn make_device(path: &Path, device: &Device) -> Result<(), CageError> {
    let number = makedev(device.major, device.minor);
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), number)
        .map_err(at("cannot make a device in the room"))?;
    // Apart from its making, which the umask has a say in.
    fs::set_permissions(path, Permissions::from_mode(0o666))
        .map_err(room_error("cannot open a device of the room to its VMMs"))
}

fn copy_to(source: &mut File, target: &Path) -> Result<(), CageError> {
    let copied = File::create(target).and_then(|mut file| {
        io::copy(source, &mut file)?;
        file.set_permissions(Permissions::from_mode(0o444))
    });
    copied.map_err(room_error("cannot copy a boot file into the room"))
}

fn seal(target: &Path, flags: MountFlags) -> Result<(), CageError> {
    mount_remount(target, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
        .map_err(at("cannot make the room read-only"))
}
