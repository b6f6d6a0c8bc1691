//! What this node knows of a sandbox, on disk: the truth after any crash.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use pando_types::{Epoch, Generation, OrgId, SandboxId, Timestamp};
use pando_vm::driver::{SPARE_DISKS, Shape};
use pando_vm::network::{Cidr, SlotNumber};
use pando_vm::sys::durable;
use serde::{Deserialize, Serialize};

use super::policy::State;
use super::spare::Spare;
use crate::bake::MachineKey;

/// The format this server writes. It reads this one and the one before it, which
/// knew neither orgs nor sleep.
const FORMAT: u32 = 2;
/// A manifest is small; a file that is not is no manifest.
const MAX_BYTES: u64 = 64 * 1024;
const FILE: &str = "manifest.json";

/// Everything about a sandbox that is not in its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub format: u32,
    pub id: SandboxId,
    pub epoch: Epoch,
    /// Whose it is; nobody knows it of one that an older server made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// Counts the changes of this sandbox on its node, over restarts of the server.
    pub generation: Generation,
    pub machine: MachineKey,
    pub shape: Shape,
    /// The network slot; none before it was taken.
    pub slot: Option<SlotNumber>,
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether its files are kept when its machine is lost.
    pub persistent: bool,
    /// It is put to sleep when nobody used it for as long; never, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// It is not put to sleep before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leased_until: Option<Timestamp>,
    /// What it may not reach, beside what no sandbox may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress_deny: Vec<Cidr>,
    /// What stands in its spare disks: the first in the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spares: Vec<Spare>,
    #[serde(flatten)]
    pub state: State,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// What a written manifest must outlast.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lasting {
    /// The end of this process: the page cache is enough, and costs no wait for
    /// the disk. For intents: after a power cut there is no machine to look for.
    Crash,
    /// A power cut: for what was acknowledged.
    PowerCut,
}

impl Manifest {
    pub(crate) fn new(
        id: SandboxId,
        epoch: Epoch,
        machine: MachineKey,
        shape: Shape,
        deadline: Option<Timestamp>,
        persistent: bool,
    ) -> Self {
        Self {
            format: FORMAT,
            id,
            epoch,
            org: None,
            generation: Generation::first(),
            machine,
            shape,
            slot: None,
            deadline,
            persistent,
            idle_timeout: None,
            leased_until: None,
            egress_deny: Vec::new(),
            spares: Vec::new(),
            state: State::Creating,
        }
    }

    /// Writes it into the sandbox's folder, to outlast what `lasting` says.
    pub(crate) fn write(&self, dir: &Path, lasting: Lasting) -> io::Result<()> {
        let (path, bytes) = (dir.join(FILE), serde_json::to_vec_pretty(self)?);
        match lasting {
            Lasting::Crash => durable::replace_file(&path, &bytes),
            Lasting::PowerCut => durable::write_file(&path, &bytes),
        }
    }

    /// Puts it on the disk beside the one that counts, which [`Self::replace`] makes it.
    pub(crate) fn prepare(&self, dir: &Path) -> io::Result<()> {
        durable::prepare_file(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Makes the one that was prepared the one that counts. It outlasts this process, and
    /// a power cut once the folder is synced.
    pub(crate) fn replace(dir: &Path) -> io::Result<()> {
        let path = dir.join(FILE);
        fs::rename(durable::prepared(&path), path)
    }

    /// Removes one that was prepared for nothing.
    pub(crate) fn forget_prepared(dir: &Path) -> io::Result<()> {
        match fs::remove_file(durable::prepared(&dir.join(FILE))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads it back; `None` when the folder holds none that makes sense.
    ///
    /// # Errors
    /// What the file system said; `InvalidData` for a later version's.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(FILE);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > MAX_BYTES => return Ok(None),
            Ok(_) => {}
        }
        let bytes = fs::read(&path)?;
        // Whoever does not understand it must not take it for nobody's.
        match serde_json::from_slice(&bytes) {
            Ok(Header { format }) if format > FORMAT => {
                let text = format!("{} is of a later version of pando", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
            _ => Ok(Self::parse(&bytes)),
        }
    }

    /// Reads it from its file's bytes; `None` when they make no sense.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Option<Self> = serde_json::from_slice(bytes).ok();
        let fits = |manifest: &Self| manifest.spares.len() <= SPARE_DISKS;
        manifest.filter(|manifest| manifest.format <= FORMAT && fits(manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_the_format_before_is_read() {
        let text = r#"{"format": 1, "id": "1d1f5b6e-8f0e-4c38-9d5f-0a8f1c0f8a11", "epoch": 1,
            "generation": 3, "machine": "abc", "shape": {"cpu": 1, "memory_mib": 512},
            "slot": 4, "deadline": null, "persistent": false, "state": "paused"}"#;
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!((manifest.state, manifest.org), (State::Paused, None));
    }

    #[test]
    fn what_was_written_is_read_and_junk_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let shape = Shape { cpu: 2, memory_mib: 2048 };
        let mut manifest = Manifest::new(
            SandboxId::new(),
            Epoch::first(),
            MachineKey::from_text("abc"),
            shape,
            Some(Timestamp::from_millis(5)),
            true,
        );
        // As long as a false VMM can make it, it is still read.
        manifest.state = State::failed(&"\u{1}\"\u{1f419}".repeat(400_000));
        manifest.write(dir.path(), Lasting::PowerCut).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
        fs::write(dir.path().join(FILE), "{\"format\": 1").unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        fs::write(dir.path().join(FILE), "{\"format\": 99, \"new\": 1}").unwrap();
        assert!(Manifest::read(dir.path()).is_err(), "taken for nobody's");
    }
}
