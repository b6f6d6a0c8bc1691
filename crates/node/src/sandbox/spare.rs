//! What stands in a sandbox's spare disks.
//!
//! Whatever it is, its file is `spare-N.raw` in the sandbox's folder, and a name in there
//! is all that goes with the folder: a volume's file has another under `volumes/`.
//!
//! | disk | its file in a new sandbox | in one that is woken |
//! | --- | --- | --- |
//! | a volume, to write to | the volume's own, by another name | the same |
//! | a volume, to read | a copy of the volume as it was then | a copy of the image's |
//! | blank | a new one, all hole | a copy of the image's |
//! | begun | a copy of the file that it begins as | a copy of the image's |
//! | a copy | a copy of the image's | a copy of the image's |
//!
//! A sandbox that is made of an image has all of the image's spares, and nothing else in
//! their slots: what its memory has mounted is there. Of a volume it has a copy: the
//! volume stays with the one that holds it.
//!
//! Asleep, a sandbox holds its volumes, and its image has a copy of each beside. Nobody
//! else writes to them then, so the two are the same, and a wake takes the volume itself.
//! Until somebody is told that it woke it can go back to its image; the volume then goes
//! back with it, to that copy ([`revert`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pando_guest_protocol::control::{APP_DISK, Layout, Mount};
use pando_types::VolumeId;
use pando_vm::driver::SPARE_DISK_BYTES;
use pando_vm::sys::{durable, reflink};
use serde::{Deserialize, Serialize};

use super::files::Files;
use crate::data::DataDir;
use crate::image::{Image, Parts};

/// One spare disk of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spare {
    /// What stands there.
    #[serde(flatten)]
    pub disk: Disk,
    /// Where the agent mounts it; it does not, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// What becomes of it there.
    #[serde(default)]
    pub layout: Layout,
}

/// What a spare disk is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "disk", rename_all = "snake_case")]
pub enum Disk {
    /// A volume.
    Volume {
        /// Which one.
        volume: VolumeId,
        /// What its owner calls it.
        name: String,
        /// Whether it is a copy that nothing is written to. Else the sandbox is the one
        /// that holds the volume.
        read_only: bool,
    },
    /// A disk of the sandbox's own, empty at first.
    Blank,
    /// A disk of the sandbox's own, at first as a file of the pool is.
    Begun {
        /// The file, which stays until the sandbox is made.
        of: PathBuf,
        /// How long the disk is: more than the file, where its file system is to grow.
        #[serde(default = "spare_disk_bytes")]
        bytes: u64,
    },
    /// A disk of the sandbox's own, as another had it when this one was made of that.
    Copy {
        /// What the volume is called that it was once; none where it was no volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Whether it is mounted so that nothing is written to it.
        #[serde(default)]
        read_only: bool,
    },
}

impl Spare {
    /// A disk that nobody mounts by himself.
    #[must_use]
    pub const fn unmounted(disk: Disk) -> Self {
        Self { disk, mount: None, layout: Layout::Plain }
    }

    /// A disk whose files are at `path`.
    #[must_use]
    pub const fn mounted(disk: Disk, path: String) -> Self {
        Self { disk, mount: Some(path), layout: Layout::Plain }
    }

    /// An app's disk, that lies over the template.
    #[must_use]
    pub fn of_app(disk: Disk) -> Self {
        Self { disk, mount: Some(APP_DISK.to_owned()), layout: Layout::App }
    }

    /// The same in a sandbox that is made of an image of this one.
    pub(crate) fn copied(&self) -> Self {
        let disk = match &self.disk {
            Disk::Volume { name, read_only, .. } => {
                Disk::Copy { name: Some(name.clone()), read_only: *read_only }
            }
            Disk::Blank | Disk::Begun { .. } => Disk::Copy { name: None, read_only: false },
            copy @ Disk::Copy { .. } => copy.clone(),
        };
        Self { disk, mount: self.mount.clone(), layout: self.layout }
    }

    /// The volume that a sandbox with this disk holds.
    pub(crate) fn held(&self) -> Option<VolumeId> {
        match self.disk {
            Disk::Volume { volume, read_only: false, .. } => Some(volume),
            _ => None,
        }
    }

    fn is_read_only(&self) -> bool {
        match self.disk {
            Disk::Volume { read_only, .. } | Disk::Copy { read_only, .. } => read_only,
            Disk::Blank | Disk::Begun { .. } => false,
        }
    }

    /// What the agent is told of the disk in slot `index`.
    pub(crate) fn order(&self, index: usize) -> Option<Mount> {
        let path = self.mount.clone()?;
        Some(Mount { spare: index, path, read_only: self.is_read_only(), layout: self.layout })
    }
}

/// Puts the files of all spares into the folder of a sandbox whose machine is about to be
/// made of `parts`, which has the first `inherited` of them.
pub(crate) fn place(
    spares: &[Spare],
    inherited: usize,
    parts: &Parts,
    files: &Files,
    data: &DataDir,
) -> io::Result<()> {
    for (index, spare) in spares.iter().enumerate() {
        let target = files.spare(index);
        match (&spare.disk, spare.held()) {
            // The name in the sandbox's folder goes with it, the volume stays.
            (_, Some(volume)) => fs::hard_link(data.volume(volume), target)?,
            _ if index < inherited => reflink::clone_file(&parts.spares[index], &target)?,
            (Disk::Volume { volume, .. }, None) => {
                reflink::clone_file(&data.volume(*volume), &target)?;
            }
            (Disk::Begun { of, bytes }, None) => {
                reflink::clone_file(of, &target)?;
                OpenOptions::new().write(true).open(&target)?.set_len(*bytes)?;
            }
            (Disk::Blank | Disk::Copy { .. }, None) => make_blank(&target, SPARE_DISK_BYTES)?,
        }
    }
    Ok(())
}

/// Makes every volume of a sandbox that sleeps what its image says: a machine that was
/// being made of it may have written to them, and nobody was told that it ran. Durable.
pub(crate) fn revert(spares: &[Spare], image: &Image, data: &DataDir) -> io::Result<()> {
    for (spare, copy) in spares.iter().zip(image.spares()) {
        if let Some(volume) = spare.held() {
            let (place, staged) = (data.volume(volume), data.grave());
            reflink::clone_file(&copy, &staged)?;
            File::open(&staged)?.sync_all()?;
            durable::rename(&staged, &place)?;
        }
    }
    Ok(())
}

/// What a disk's length was before it was written down.
fn spare_disk_bytes() -> u64 {
    SPARE_DISK_BYTES
}

/// A new disk of zeros that takes no space.
pub(crate) fn make_blank(path: &Path, bytes: u64) -> io::Result<()> {
    let mut new = OpenOptions::new();
    new.write(true).create_new(true).mode(0o600).open(path)?.set_len(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_volume_holds_nothing() {
        let volume = VolumeId::new();
        let disk = Disk::Volume { volume, name: "data".into(), read_only: false };
        let spare = Spare::mounted(disk, "/volumes/data".into());
        assert_eq!(spare.held(), Some(volume));
        let copy = spare.copied();
        assert_eq!((copy.held(), copy.copied()), (None, copy.clone()));
        assert_eq!(copy.mount, spare.mount);
        let disk = Disk::Volume { volume, name: "data".into(), read_only: true };
        let to_read = Spare { disk, ..spare };
        assert_eq!(to_read.held(), None);
        assert!(to_read.copied().is_read_only());
    }

    #[test]
    fn what_stands_there_is_written_down_and_read_back() {
        let volume = VolumeId::new();
        for disk in [
            Disk::Volume { volume, name: "data".into(), read_only: true },
            Disk::Blank,
            Disk::Begun { of: "/pool/disk".into(), bytes: 1 },
            Disk::Copy { name: None, read_only: false },
        ] {
            let spare = Spare::of_app(disk);
            let text = serde_json::to_string(&spare).unwrap();
            assert_eq!(serde_json::from_str::<Spare>(&text).unwrap(), spare, "{text}");
        }
    }
}
