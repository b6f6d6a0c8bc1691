//! QEMU's `microvm` machine, on KVM where the processor has it and on TCG anywhere.
//!
//! A restore costs one process start: the device state is an inherited file that
//! QEMU loads by itself (`-incoming fd:N`) and then runs, the memory file is
//! mapped privately, and the control line's socket was connected and written to
//! before. No command is sent on that path; the monitor is for later.
//!
//! QEMU runs in a cage ([`crate::cage`]), where it finds no file of its machine
//! by path: all of them are opened here.
//!
//! Device state is saved by `xen-save-devices-state` (needs no Xen): it leaves
//! memory out, which is in its file already.

mod arguments;
#[cfg(fuzzing)]
pub mod fuzzing;
mod qmp;
mod running;
mod state;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use self::arguments::{Arguments, DiskDescriptors, INITRAMFS, KERNEL, Start};
use self::running::Running;
use super::{
    Accelerator, BootSpec, Caching, Disks, FoundMachine, Home, Hypervisor, Machine, MachineName,
    RestoreSpec, SPARE_DISKS, Shape, Started, VmError,
};
use crate::cage::{Cage, CageConfig, Caged, Furniture, Occupant, Room};
use crate::network::Slot;
use crate::sys::process::{Watched, with_argument};
use crate::sys::{host, socket};

/// The machine and what it is made of, as far as a saved device state knows: another name
/// for each change of that.
const DEVICES: &str = "microvm-2";
const PROGRAM: &str = "qemu-system-x86_64";
const MONITOR_SOCKET: &str = "monitor.sock";
const CONTROL_SOCKET: &str = "control.sock";
const LOG: &str = "vmm.log";
const CONSOLE: &str = "console.log";

/// Where distributions keep QEMU's modules; others build them in.
const MODULE_DIRS: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib/qemu"];
/// TCG, where it is a module.
const TCG_MODULE: &str = "accel-tcg-x86_64.so";
/// Where distributions keep QEMU's firmware.
const FIRMWARE_DIRS: [&str; 2] = ["/usr/share/qemu", "/usr/share/seabios"];
/// The machine's firmware, and what loads a kernel at boot (Linux's own format, or PVH).
const FIRMWARE: [&str; 3] = ["bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin"];

/// The driver. One for all machines of a host.
#[derive(Debug)]
pub struct Qemu {
    accelerator: Accelerator,
    caching: Caching,
    version: String,
    cage: Cage,
}

impl Qemu {
    /// A driver that runs guests by `accelerator`, with disks that are cached as `caching`
    /// says, in cages as `cage` does.
    ///
    /// # Errors
    /// [`VmError::Spawn`] when the program is missing; [`VmError::Cage`].
    pub async fn new(
        accelerator: Accelerator,
        caching: Caching,
        cage: CageConfig,
    ) -> Result<Self, VmError> {
        let asked = crate::sys::command::run(PROGRAM, &["--version"], None).await;
        let missing = |source| VmError::Spawn { program: PROGRAM.into(), source };
        let output = asked.map_err(|error| missing(io::Error::other(error)))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().unwrap_or_default().to_owned();
        let program = host::find_program(PROGRAM)
            .ok_or_else(|| missing(io::ErrorKind::NotFound.into()))?
            .canonicalize()
            .map_err(missing)?;
        let find = |dirs: &[&str], name: &str| {
            dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
        };
        let module = find(&MODULE_DIRS, TCG_MODULE);
        let firmware = FIRMWARE.iter().filter_map(|name| find(&FIRMWARE_DIRS, name));
        let furniture = Furniture {
            program,
            files: module.into_iter().chain(firmware).collect(),
            preload: cage.preload.clone(),
            kvm: accelerator == Accelerator::Kvm,
        };
        Ok(Self { accelerator, caching, version, cage: Cage::prepare(cage, &furniture).await? })
    }

    /// The version line of the program.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    async fn spawn(&self, plan: Plan<'_>) -> Result<(Running, UnixStream), VmError> {
        let dir = &plan.home.dir;
        let io = |what: &'static str| VmError::io(what);
        let monitor = socket::listen(dir, MONITOR_SOCKET).map_err(io("cannot bind the monitor"))?;
        let control =
            socket::listen(dir, CONTROL_SOCKET).map_err(io("cannot bind the control line"))?;
        let disks = OpenDisks::open(plan.disks).map_err(io("cannot open the machine's disks"))?;
        // Connected and spoken to before the VMM starts: the kernel keeps it until
        // the guest listens.
        let mut line =
            socket::connect(dir, CONTROL_SOCKET).map_err(io("cannot reach the control line"))?;
        line.write_all(plan.first_words).await.map_err(io("cannot write to the control line"))?;
        let log = create(&dir.join(LOG)).map_err(io("cannot make the VMM's log"))?;
        // Holds a number for the tap, which is opened where its namespace is.
        let tap = log.try_clone().map_err(io("cannot make a descriptor"))?;

        let mut inherited = vec![monitor.as_fd(), control.as_fd(), disks.root.as_fd()];
        inherited.extend(disks.spares.iter().flatten().map(AsFd::as_fd));
        let (start, room) = match &plan.start {
            PlannedStart::Boot { command_line, console, room } => {
                inherited.push(console.as_fd());
                let console_fd = console.as_raw_fd();
                (Start::Boot { command_line, console_fd }, Some(room))
            }
            PlannedStart::Restore { state } => {
                inherited.push(state.as_fd());
                (Start::Restore { state_fd: state.as_raw_fd() }, None)
            }
        };
        let arguments = Arguments {
            name: &plan.home.name,
            accelerator: self.accelerator,
            shape: plan.shape,
            disks: disks.descriptors(),
            caching: self.caching,
            tap_fd: tap.as_raw_fd(),
            monitor_fd: monitor.as_raw_fd(),
            control_fd: control.as_raw_fd(),
            start,
        }
        .to_vec();
        let memory: Vec<_> = plan.memory.iter().map(AsFd::as_fd).collect();
        let occupant = Occupant {
            slot: plan.slot.number(),
            network: plan.slot.namespace(),
            tap: tap.as_fd(),
            arguments: &arguments,
            log: log.as_fd(),
            inherited: &inherited,
            memory: &memory,
            room,
            cpus: plan.shape.cpu,
            memory_bytes: plan.shape.memory_bytes(),
            largest_file_bytes: disks.largest_bytes.max(plan.shape.memory_bytes()),
        };
        let Caged { process, group } = self.cage.spawn(occupant).await?;
        Ok((Running { process, group, dir: dir.clone() }, line))
    }
}

struct Plan<'a> {
    home: &'a Home,
    shape: Shape,
    /// The whole one first.
    memory: Vec<File>,
    disks: &'a Disks,
    slot: &'a Slot,
    first_words: &'a [u8],
    start: PlannedStart,
}

enum PlannedStart {
    Boot { command_line: String, console: File, room: Room },
    Restore { state: File },
}

/// The disks' files, open for what a guest does with them.
struct OpenDisks {
    root: File,
    spares: [Option<File>; SPARE_DISKS],
    largest_bytes: u64,
}

impl OpenDisks {
    fn open(disks: &Disks) -> io::Result<Self> {
        let mut largest_bytes = 0;
        let mut open = |path: &Path| {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            largest_bytes = file.metadata()?.len().max(largest_bytes);
            io::Result::Ok(file)
        };
        let root = open(&disks.root)?;
        let mut spares = [const { None }; SPARE_DISKS];
        for (place, path) in spares.iter_mut().zip(&disks.spares) {
            *place = path.as_deref().map(&mut open).transpose()?;
        }
        Ok(Self { root, spares, largest_bytes })
    }

    fn descriptors(&self) -> DiskDescriptors {
        let spares = self.spares.each_ref().map(|spare| spare.as_ref().map(AsRawFd::as_raw_fd));
        DiskDescriptors { root: self.root.as_raw_fd(), spares }
    }
}

/// A new file, to write only.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[async_trait]
impl Hypervisor for Qemu {
    fn identity(&self) -> String {
        let (accelerator, cpu) = (self.accelerator, arguments::cpu(self.accelerator));
        let model = host::processor_model();
        format!("{} {DEVICES} {accelerator} {cpu} {model}", self.version)
    }

    fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    async fn boot(&self, spec: BootSpec) -> Result<Started, VmError> {
        let mut command_line = String::from(
            "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t random.trust_cpu=on \
             mitigations=off audit=0 psi=0 lsm=landlock,yama,bpf ",
        );
        if self.accelerator == Accelerator::Tcg {
            // Under TCG the guest reads the host's counter, but calibrating it
            // against an emulated timer fails on a busy host: say its rate.
            let khz = host::tsc_khz(Duration::from_millis(200));
            command_line.push_str(&format!("tsc=reliable tsc_early_khz={khz} "));
        }
        command_line.push_str(&spec.command_line);
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&spec.memory)
            .and_then(|file| file.set_len(spec.shape.memory_bytes()).map(|()| file))
            .map_err(VmError::io("cannot make the memory file"))?;
        let console = create(&spec.home.dir.join(CONSOLE))
            .map_err(VmError::io("cannot make the console's log"))?;
        let files = [(KERNEL, &*spec.kernel), (INITRAMFS, &*spec.initramfs)];
        let room = self.cage.room_with(&files)?;
        let (running, control) = self
            .spawn(Plan {
                home: &spec.home,
                shape: spec.shape,
                memory: vec![memory],
                disks: &spec.disks,
                slot: &spec.slot,
                first_words: &[],
                start: PlannedStart::Boot { command_line, console, room },
            })
            .await?;
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn restore(&self, spec: RestoreSpec) -> Result<Started, VmError> {
        let state = File::open(&spec.device_state)
            .map_err(VmError::io("cannot open the saved device state"))?;
        // To read only: what the guest writes stays in the VMM's own memory.
        let memory = spec.memory.all().map(File::open).collect::<Result<_, _>>();
        let memory = memory.map_err(VmError::io("cannot open the memory files"))?;
        let (running, control) = self
            .spawn(Plan {
                home: &spec.home,
                shape: spec.shape,
                memory,
                disks: &spec.disks,
                slot: &spec.slot,
                first_words: &spec.first_words,
                start: PlannedStart::Restore { state },
            })
            .await?;
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn find(&self, owner: &str) -> Result<Vec<FoundMachine>, VmError> {
        let named = with_argument(PROGRAM, "-name").map_err(VmError::io("cannot read /proc"))?;
        let mut named: HashMap<u32, MachineName> = named
            .into_iter()
            .filter_map(|(pid, value)| {
                let name = MachineName::from_argument(value.split(',').next()?)?;
                (name.owner == owner).then_some((pid, name))
            })
            .collect();
        let caged = self.cage.occupants().map_err(VmError::io("cannot look for machines"))?;
        let mut found: Vec<_> = caged
            .into_iter()
            .map(|(pid, slot)| FoundMachine { name: named.remove(&pid), slot, pid })
            .collect();
        // Whoever says so and is in no room of ours is another's, and lies.
        found.extend(named.into_iter().map(|(pid, name)| FoundMachine {
            name: Some(name),
            slot: None,
            pid,
        }));
        Ok(found)
    }

    async fn adopt(&self, home: Home, pid: u32) -> Result<Started, VmError> {
        let process = Watched::open(pid).map_err(VmError::io("cannot watch the VMM"))?;
        let control = socket::connect(&home.dir, CONTROL_SOCKET)
            .map_err(VmError::io("cannot reach the control line"))?;
        let running = Running { process, group: self.cage.group_of(pid), dir: home.dir };
        Ok(Started { machine: Arc::new(running), control })
    }

    async fn kill(&self, owner: &str, found: &FoundMachine) -> Result<(), VmError> {
        let Ok(process) = Watched::open(found.pid) else { return Ok(()) };
        // The id may have been given to another process since it was found. What it says
        // of itself may have changed, and does not save it.
        let same = |now: &FoundMachine| now.pid == found.pid && now.slot == found.slot;
        if self.find(owner).await?.iter().any(same) {
            let group = self.cage.group_of(found.pid);
            Running { process, group, dir: PathBuf::new() }.kill().await?;
        }
        Ok(())
    }
}
