//! Baking a machine: boot it once, snapshot it when its agent is up.
//!
//! The result is one folder, made under a temporary name and renamed when it is
//! whole: a bake that is killed leaves nothing that could be taken for a machine.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::control::ToHost;
use pando_vm::driver::{
    Accelerator, BootSpec, Disks, Home, Hypervisor, MachineName, SPARE_DISKS, Shape, Started,
    VmError,
};
use pando_vm::network::Slot;
use pando_vm::sys::{durable, reflink};
use serde::{Deserialize, Serialize};

use super::initramfs::{Content, Member, archive};
use super::kernel::Kernel;
use crate::sandbox::control_line::{ControlError, ControlLine};

/// Raised when a change of this code makes older machines unfit.
const BAKE_FORMAT: u32 = 3;
/// The length of a machine's key.
const KEY_DIGITS: usize = 32;
/// How much of the end of a console is shown.
const CONSOLE_BYTES: u64 = 2000;
/// How long, and how often, a first boot is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience {
    limit: Duration,
    tries: usize,
}

impl Patience {
    /// A boot takes 3 s on a quiet host under translation, where the calibration of an
    /// emulated clock can fail on a busy one. On KVM there is nothing of the kind: what
    /// does not come up soon never does.
    const fn with(accelerator: Accelerator) -> Self {
        match accelerator {
            Accelerator::Tcg => Self { limit: Duration::from_secs(120), tries: 3 },
            Accelerator::Kvm => Self { limit: Duration::from_secs(30), tries: 1 },
        }
    }
}

/// Names a baked machine by all that went into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineKey(String);

impl MachineKey {
    #[cfg(test)]
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key of a machine whose folder has that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let is_key = name.len() == KEY_DIGITS
            && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| Self(name.to_owned()))
    }

    /// The key of a machine with these parts.
    pub(super) fn of(parts: &Parts<'_>) -> Result<Self, MachineError> {
        let mut hash = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(&BAKE_FORMAT.to_le_bytes());
        add(parts.rootfs_version.as_bytes());
        add(parts.hypervisor.identity().as_bytes());
        add(&read(&parts.kernel.image)?);
        for module in &parts.kernel.modules {
            add(&read(module)?);
        }
        add(parts.agent);
        add(&parts.shape.cpu.to_le_bytes());
        add(&parts.shape.memory_mib.to_le_bytes());
        add(&parts.mtu.to_le_bytes());
        Ok(Self(hash.finalize().to_hex()[..KEY_DIGITS].to_owned()))
    }
}

impl fmt::Display for MachineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What goes into a machine.
pub(super) struct Parts<'a> {
    pub rootfs: &'a Path,
    pub rootfs_version: &'a str,
    pub kernel: &'a Kernel,
    pub agent: &'a [u8],
    pub shape: Shape,
    pub hypervisor: &'a dyn Hypervisor,
    pub mtu: u32,
}

/// A baked machine: files that many sandboxes are restored from and none writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub key: MachineKey,
    pub shape: Shape,
    dir: PathBuf,
}

impl Machine {
    pub(super) fn new(key: MachineKey, shape: Shape, dir: PathBuf) -> Self {
        Self { key, shape, dir }
    }

    pub(crate) fn parts(&self) -> crate::image::Parts {
        crate::image::Parts::within(&self.dir, 0)
    }
}

/// Why a machine could not be baked.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The hypervisor.
    #[error("the machine could not be booted")]
    Vm(#[from] VmError),
    /// The guest did not come up.
    #[error(
        "the guest did not come up on {accelerator}, tried {tries}×: {ending}; its console {}",
        console_words(console)
    )]
    Boot {
        /// What ran it.
        accelerator: Accelerator,
        /// How often it was tried.
        tries: usize,
        /// How the last try ended.
        ending: String,
        /// The end of its console.
        console: String,
    },
    /// A file.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn console_words(console: &str) -> String {
    match console {
        "" => "is empty".to_owned(),
        end => format!("ends in: {end}"),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> MachineError {
    let path = path.to_owned();
    move |source| MachineError::Io { path, source }
}

fn read(path: &Path) -> Result<Vec<u8>, MachineError> {
    fs::read(path).map_err(io_error(path))
}

/// Boots and snapshots the machine of `parts` into the folder `home`.
pub(super) async fn bake(
    home: &Path,
    staging: &Path,
    owner: &str,
    key: &MachineKey,
    parts: &Parts<'_>,
    slot: Arc<Slot>,
) -> Result<(), MachineError> {
    let dir = staging.join(format!("machine-{key}"));
    boot(&dir, owner, parts, slot).await?;
    durable::rename(&dir, home).map_err(io_error(home))
}

/// Boots the machine of `parts`, and leaves its files in `dir`; nothing when it fails.
pub(super) async fn boot(
    dir: &Path,
    owner: &str,
    parts: &Parts<'_>,
    slot: Arc<Slot>,
) -> Result<(), MachineError> {
    let accelerator = parts.hypervisor.accelerator();
    let patience = Patience::with(accelerator);
    let mut tries = 0;
    loop {
        tries += 1;
        durable::remove_dir(dir).map_err(io_error(dir))?;
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        let (ending, is_last) =
            match snapshot(dir, owner, parts, Arc::clone(&slot), patience.limit).await? {
                Booted::Up => return Ok(()),
                Booted::Silent(error) => (error.to_string(), tries == patience.tries),
                // It gave up by itself, and would again.
                Booted::Ended(said) => (said, true),
            };
        let console = pando_vm::sys::process::tail(&dir.join("console.log"), CONSOLE_BYTES);
        tracing::warn!(tries, ending, console, "the guest did not come up");
        durable::remove_dir(dir).map_err(io_error(dir))?;
        if is_last {
            return Err(MachineError::Boot { accelerator, tries, ending, console });
        }
    }
}

enum Booted {
    Up,
    Silent(ControlError),
    Ended(String),
}

async fn snapshot(
    dir: &Path,
    owner: &str,
    parts: &Parts<'_>,
    slot: Arc<Slot>,
    limit: Duration,
) -> Result<Booted, MachineError> {
    let initramfs = dir.join("initramfs");
    fs::write(&initramfs, initramfs_bytes(parts)?).map_err(io_error(&initramfs))?;
    let kernel = dir.join("vmlinuz");
    fs::copy(&parts.kernel.image, &kernel).map_err(io_error(&kernel))?;
    let root = dir.join("root.raw");
    reflink::clone_file(parts.rootfs, &root).map_err(io_error(&root))?;
    let memory = dir.join("memory");
    let devices = dir.join("devices");
    let name = MachineName { owner: owner.to_owned(), machine: "bake".to_owned() };
    let Started { machine, control } = parts
        .hypervisor
        .boot(BootSpec {
            home: Home { dir: dir.to_owned(), name },
            shape: parts.shape,
            kernel,
            initramfs,
            command_line: format!("pando.mtu={}", parts.mtu),
            memory: memory.clone(),
            disks: Disks { root: root.clone(), spares: [const { None }; SPARE_DISKS] },
            slot,
        })
        .await?;
    let outcome = async {
        let mut control = ControlLine::new(control);
        let booted = tokio::select! {
            booted = control.wait(limit, |said| matches!(said, ToHost::Booted { .. })) => booted,
            said = machine.exited() => return Ok(Booted::Ended(said)),
        };
        if let Err(error) = booted {
            return Ok(Booted::Silent(error));
        }
        machine.pause().await?;
        machine.save_device_state(&devices).await?;
        Ok::<_, MachineError>(Booted::Up)
    }
    .await;
    machine.kill().await?;
    if matches!(outcome, Ok(Booted::Up)) {
        for file in [&memory, &devices, &root] {
            let sync = fs::File::open(file).and_then(|file| file.sync_all());
            sync.map_err(io_error(file))?;
        }
    }
    outcome
}

fn initramfs_bytes(parts: &Parts<'_>) -> Result<Vec<u8>, MachineError> {
    let directory = |path: &str| Member { path: path.to_owned(), content: Content::Directory };
    let file = |path: String, bytes: Vec<u8>, executable: bool| Member {
        path,
        content: Content::File { bytes, executable },
    };
    let mut members: Vec<Member> =
        ["dev", "proc", "sys", "newroot", "modules"].map(directory).into();
    for (path, major, minor) in [("dev/console", 5, 1), ("dev/null", 1, 3)] {
        let content = Content::Device { major, minor };
        members.push(Member { path: path.into(), content });
    }
    members.push(file("init".into(), parts.agent.to_vec(), true));
    let mut order = String::new();
    for module in &parts.kernel.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        order.push_str(&name);
        order.push('\n');
        members.push(file(format!("modules/{name}"), read(module)?, false));
    }
    members.push(file("modules/order".into(), order.into_bytes(), false));
    Ok(archive(&members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfit_kernel_on_kvm_is_told_within_a_minute() {
        let Patience { limit, tries } = Patience::with(Accelerator::Kvm);
        assert!(limit * u32::try_from(tries).unwrap() <= Duration::from_secs(60));
        // An emulated clock may have been what went wrong.
        assert!(Patience::with(Accelerator::Tcg).tries > 1);
    }

    #[test]
    fn a_guest_that_did_not_come_up_is_told_with_its_console() {
        let error = |console: &str| MachineError::Boot {
            accelerator: Accelerator::Kvm,
            tries: 1,
            ending: "the guest said nothing for 30 s".into(),
            console: console.into(),
        };
        assert_eq!(
            error("").to_string(),
            "the guest did not come up on kvm, tried 1×: the guest said nothing for 30 s; \
             its console is empty"
        );
        assert!(error("Kernel panic").to_string().ends_with("its console ends in: Kernel panic"));
    }
}
