//! A saved machine: one folder that holds its memory, its device state and its disks
//! of one instant, and what they are.
//!
//! ```text
//! image.json   what it is of, and how long its files are
//! memory       what its machine began with
//! memory-N     layers over it: the last one is its own, the others were its machine's, too
//! devices
//! root.raw
//! spare-N.raw  what stood in its spare disks
//! ```
//!
//! It is made under a temporary name and moved to where it counts when it is whole.
//! Nothing writes to it after that. Machines that are made of it have its memory
//! under a name of their own (a hard link, so that they share its page cache), and a
//! reflink of its disks: so it may go at any time.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pando_types::{Epoch, Generation, SandboxId, Timestamp};
use pando_vm::driver::{MAX_DEVICE_STATE_BYTES, SPARE_DISKS, Shape};
use pando_vm::memory::{MemoryFiles, Saved};
use pando_vm::network::Cidr;
use pando_vm::sys::{durable, reflink};
use serde::{Deserialize, Serialize};

use crate::bake::MachineKey;
use crate::sandbox::spare::Spare;

/// The format this server writes. It reads the one before it, too, which knew no layers.
const FORMAT: u32 = 2;
const FIRST_FORMAT: u32 = 1;
/// What describes an image is small; a file that is not is none.
const MAX_BYTES: u64 = 64 * 1024;
const FILE: &str = "image.json";

/// The files of a machine that one can be made of, in a template's folder or an image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub memory: MemoryFiles,
    pub devices: PathBuf,
    pub root: PathBuf,
    /// Each where it is if there is one.
    pub spares: [PathBuf; SPARE_DISKS],
    /// What of the memory its machine will use first, in bytes of the file; nothing where
    /// that is in the kernel's cache in any case.
    pub touched: Vec<Range<u64>>,
}

/// What the file of a spare disk is called, in whatever folder.
pub(crate) fn spare_name(index: usize) -> String {
    format!("spare-{index}.raw")
}

impl Parts {
    /// Those in `dir`, whose memory has so many layers.
    pub(crate) fn within(dir: &Path, layers: usize) -> Self {
        Self {
            memory: MemoryFiles::of(dir, layers),
            devices: dir.join("devices"),
            root: dir.join("root.raw"),
            spares: std::array::from_fn(|index| dir.join(spare_name(index))),
            touched: Vec::new(),
        }
    }
}

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    format: u32,
    /// What it is of.
    pub sandbox: SandboxId,
    pub epoch: Epoch,
    /// The number that the change of the sandbox has which made it: what happened to
    /// the sandbox later has a higher one.
    pub generation: Generation,
    pub taken: Timestamp,
    /// The template, kernel, agent and VMM that it began from.
    pub machine: MachineKey,
    /// The VMM and processor that can load it.
    pub hypervisor: String,
    pub shape: Shape,
    /// What it could not reach, and whatever is made of it cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress_deny: Vec<Cidr>,
    /// What stood in its spare disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spares: Vec<Spare>,
    /// Whether none of those is mounted: it was booted, and nobody was told yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    mounts_nothing: bool,
    /// How long the machine stood still for it.
    pub pause_us: u64,
    /// What of its memory is its own and no template's or other image's, in bytes.
    pub own_memory_bytes: u64,
    /// What of its memory it had used, in bytes of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touched: Vec<Range<u64>>,
    #[serde(default)]
    files: Files,
}

/// How long the files are, in bytes, and a checksum of what is not looked at by anybody
/// else before a machine is made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Files {
    memory_bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers_bytes: Vec<u64>,
    root_bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spares_bytes: Vec<u64>,
    devices_blake3: String,
}

/// Why an image is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("its files")]
    Io(#[from] io::Error),
    #[error("its files are not what its description says")]
    Broken,
    #[error("it was saved by another VMM or on another processor ({saved}; here it is {here})")]
    Foreign { saved: String, here: String },
}

/// What is known of a machine when it is saved.
pub(crate) struct Facts {
    pub sandbox: SandboxId,
    pub epoch: Epoch,
    pub generation: Generation,
    pub taken: Timestamp,
    pub machine: MachineKey,
    pub hypervisor: String,
    pub shape: Shape,
    pub egress_deny: Vec<Cidr>,
    pub spares: Vec<Spare>,
    pub mounts_nothing: bool,
    pub pause: Duration,
    pub saved: Saved,
}

/// A whole image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    dir: PathBuf,
    pub about: About,
}

impl About {
    /// How many of its spare disks its memory has mounted.
    pub(crate) fn mounted(&self) -> usize {
        if self.mounts_nothing { 0 } else { self.spares.len() }
    }

    /// The files of such an image in `dir`.
    pub(crate) fn parts_in(&self, dir: &Path) -> Parts {
        let layers = self.files.layers_bytes.len();
        Parts { touched: self.touched.clone(), ..Parts::within(dir, layers) }
    }
}

impl Image {
    /// Makes an image of the files in `dir`. It outlasts this process; see [`Image::sync`].
    pub(crate) fn describe(dir: &Path, facts: Facts) -> io::Result<Self> {
        let memory = MemoryFiles::find(dir)?;
        let parts = Parts::within(dir, memory.layer_count());
        let length = |path: PathBuf| fs::metadata(path).map(|file| file.len());
        let layers_bytes = memory.layers().map(length).collect::<io::Result<_>>()?;
        let spares = parts.spares.into_iter().take(facts.spares.len());
        let spares_bytes = spares.map(length).collect::<io::Result<_>>()?;
        let about = About {
            format: FORMAT,
            sandbox: facts.sandbox,
            epoch: facts.epoch,
            generation: facts.generation,
            taken: facts.taken,
            machine: facts.machine,
            hypervisor: facts.hypervisor,
            shape: facts.shape,
            egress_deny: facts.egress_deny,
            spares: facts.spares,
            mounts_nothing: facts.mounts_nothing,
            pause_us: u64::try_from(facts.pause.as_micros()).unwrap_or(u64::MAX),
            own_memory_bytes: facts.saved.written_bytes,
            touched: facts.saved.touched,
            files: Files {
                memory_bytes: length(memory.whole())?,
                layers_bytes,
                root_bytes: length(parts.root)?,
                spares_bytes,
                devices_blake3: checksum(&parts.devices)?,
            },
        };
        let mut file = File::create_new(dir.join(FILE))?;
        file.write_all(&serde_json::to_vec_pretty(&about)?)?;
        Ok(Self { dir: dir.to_owned(), about })
    }

    /// The image in `dir`; `None` when there is no folder, or none of a whole image.
    pub(crate) fn find(dir: &Path) -> io::Result<Option<Self>> {
        match Self::open(dir) {
            Ok(image) => Ok(Some(image)),
            Err(ImageError::Io(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The image in `dir`, when its files are what they were.
    pub(crate) fn open(dir: &Path) -> Result<Self, ImageError> {
        let path = dir.join(FILE);
        if fs::metadata(&path)?.len() > MAX_BYTES {
            return Err(ImageError::Broken);
        }
        let about = Self::parse(&fs::read(&path)?).ok_or(ImageError::Broken)?;
        let (parts, files) = (about.parts_in(dir), &about.files);
        let memory_bytes = [files.memory_bytes].into_iter().chain(files.layers_bytes.clone());
        let disks_bytes = [files.root_bytes].into_iter().chain(files.spares_bytes.clone());
        let memory = parts.memory.all().zip(memory_bytes);
        let disks = [parts.root].into_iter().chain(parts.spares).zip(disks_bytes);
        for (path, bytes) in memory.chain(disks) {
            if fs::metadata(path)?.len() != bytes {
                return Err(ImageError::Broken);
            }
        }
        if checksum(&parts.devices)? != files.devices_blake3 {
            return Err(ImageError::Broken);
        }
        Ok(Self { dir: dir.to_owned(), about })
    }

    fn parse(bytes: &[u8]) -> Option<About> {
        let about: Option<About> = serde_json::from_slice(bytes).ok();
        about.filter(|about| {
            (FIRST_FORMAT..=FORMAT).contains(&about.format)
                && about.spares.len() <= SPARE_DISKS
                && about.spares.len() == about.files.spares_bytes.len()
        })
    }

    /// Refuses an image that the VMM of this host cannot load.
    pub(crate) fn check_fits(&self, hypervisor: &str) -> Result<(), ImageError> {
        if self.about.hypervisor == hypervisor {
            return Ok(());
        }
        let (saved, here) = (self.about.hypervisor.clone(), hypervisor.to_owned());
        Err(ImageError::Foreign { saved, here })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn parts(&self) -> Parts {
        self.about.parts_in(&self.dir)
    }

    /// Puts all of it on the disk, so that it outlasts a power cut once its folder has
    /// its name.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let rest = [self.dir.join(FILE), self.dir.clone()];
        self.files().chain(rest).try_for_each(|path| File::open(path)?.sync_all())
    }

    /// Its memory, device state and disks.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let Parts { memory, devices, root, .. } = self.parts();
        memory.all().collect::<Vec<_>>().into_iter().chain(self.spares()).chain([devices, root])
    }

    /// The files of its spare disks.
    pub(crate) fn spares(&self) -> impl Iterator<Item = PathBuf> + use<> {
        self.parts().spares.into_iter().take(self.about.spares.len())
    }

    /// Gives it another name.
    pub(crate) fn rename(self, dir: &Path) -> io::Result<Self> {
        fs::rename(&self.dir, dir)?;
        Ok(Self { dir: dir.to_owned(), ..self })
    }

    /// Moves it to where it counts, durably.
    pub(crate) fn move_to(self, dir: &Path) -> io::Result<Self> {
        durable::rename(&self.dir, dir)?;
        Ok(Self { dir: dir.to_owned(), ..self })
    }

    /// The same image once more, in the new folder `dir`.
    pub(crate) fn copy_to(&self, dir: &Path) -> io::Result<Self> {
        make_dir(dir)?;
        let (here, there) = (self.parts(), self.about.parts_in(dir));
        here.memory.link_to(dir)?;
        fs::hard_link(&here.devices, &there.devices)?;
        reflink::clone_file(&here.root, &there.root)?;
        for (from, to) in self.spares().zip(&there.spares) {
            reflink::clone_file(&from, to)?;
        }
        fs::hard_link(self.dir.join(FILE), dir.join(FILE))?;
        Ok(Self { dir: dir.to_owned(), about: self.about.clone() })
    }
}

/// A new folder that only we may look into.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(dir)
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut state = Vec::new();
    File::open(path)?.take(MAX_DEVICE_STATE_BYTES + 1).read_to_end(&mut state)?;
    if state.len() as u64 > MAX_DEVICE_STATE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(blake3::hash(&state).to_hex().to_string())
}

/// An image that goes when nobody uses it any more: what a fork's children are made of.
#[derive(Debug)]
pub(crate) struct Passing(pub Image);

impl Drop for Passing {
    fn drop(&mut self) {
        // What stays is removed at the next start, with all that is half made.
        if let Err(error) = durable::remove_dir(&self.0.dir) {
            tracing::warn!(%error, "an image that nobody uses stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::spare::Disk;

    fn image(dir: &Path) -> Image {
        make_dir(dir).unwrap();
        let parts = Parts::within(dir, 1);
        let memory = parts.memory.all();
        let [spare, ..] = parts.spares;
        for path in memory.chain([parts.devices, parts.root, spare]) {
            fs::write(path, "bytes").unwrap();
        }
        let facts = Facts {
            sandbox: SandboxId::new(),
            epoch: Epoch::first(),
            generation: Generation::first(),
            taken: Timestamp::from_millis(7),
            machine: MachineKey::from_text("abc"),
            hypervisor: "null".into(),
            shape: Shape { cpu: 1, memory_mib: 512 },
            egress_deny: Vec::new(),
            spares: vec![Spare::unmounted(Disk::Blank)],
            mounts_nothing: false,
            pause: Duration::from_millis(2),
            saved: Saved::default(),
        };
        Image::describe(dir, facts).unwrap()
    }

    #[test]
    fn an_image_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("image");
        assert_eq!(Image::find(&dir).unwrap(), None);
        let image = image(&dir);
        image.sync().unwrap();
        assert_eq!(Image::find(&dir).unwrap(), Some(image));
        for (file, bytes) in [
            ("memory", "byte"),
            ("memory-1", "bytes!"),
            ("root.raw", "bytes!"),
            ("spare-0.raw", "byte"),
            ("devices", "BYTES"),
        ] {
            fs::write(dir.join(file), bytes).unwrap();
            assert_eq!(Image::find(&dir).unwrap(), None, "{file}");
            fs::write(dir.join(file), "bytes").unwrap();
        }
        assert!(Image::find(&dir).unwrap().is_some());
        fs::write(dir.join(FILE), "{").unwrap();
        assert_eq!(Image::find(&dir).unwrap(), None);
    }

    #[test]
    fn what_another_vmm_saved_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(&folder.path().join("image"));
        image.check_fits("null").unwrap();
        let error = image.check_fits("QEMU 11").unwrap_err();
        assert!(error.to_string().contains("QEMU 11"), "{error}");
    }
}
