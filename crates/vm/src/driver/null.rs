//! A driver without machines, for tests of policy: its guests answer on the
//! control line as the agent would, and do nothing else. What it holds outlives
//! the node that asked for it, as a real VMM does.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pando_guest_protocol::control::{ToGuest, ToHost};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::memory::{MemoryError, MemoryFiles, Saved};
use crate::network::SlotNumber;
use crate::sys::process::Work;

use super::{
    Accelerator, BootSpec, FoundMachine, Home, Hypervisor, Machine, MachineName, RestoreSpec,
    Started, VmError,
};

/// The driver; clones share its machines.
#[derive(Debug, Clone, Default)]
pub struct Null {
    machines: Arc<Mutex<HashMap<MachineName, Arc<NullMachine>>>>,
    last_pid: Arc<AtomicU32>,
    refuse_restores: Arc<AtomicBool>,
    refuse_saves: Arc<AtomicBool>,
    restores: Arc<AtomicU32>,
    guests: Arc<Guests>,
}

/// What its guests do beside what they are told, and what became of them.
#[derive(Debug, Default)]
struct Guests {
    refuse_mounts: AtomicBool,
    fail_when_restored: AtomicBool,
    written_when_restored: Mutex<Option<Vec<u8>>>,
    frozen_ends: AtomicU32,
}

#[derive(Debug)]
struct NullMachine {
    pid: u32,
    slot: Option<SlotNumber>,
    paused: AtomicBool,
    /// Whether its guest's processes stand still.
    frozen: AtomicBool,
    /// What its guest has in memory: the file that it was restored from, at first.
    memory: Mutex<Vec<u8>>,
    refuse_saves: Arc<AtomicBool>,
    guests: Arc<Guests>,
    worked: Mutex<Work>,
    /// What its guest's programs hold.
    leases: AtomicU32,
    ended: watch::Sender<Option<String>>,
}

impl NullMachine {
    fn memory(&self) -> MutexGuard<'_, Vec<u8>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Null {
    /// Lets the programs of a machine hold so many leases; `false` when there is none of
    /// that name.
    pub fn lease(&self, name: &MachineName, held: u32) -> bool {
        let machine = self.machines().get(name).cloned();
        machine.inspect(|machine| machine.leases.store(held, Ordering::SeqCst)).is_some()
    }

    /// Lets the processors of a machine have worked for `span` more; `false` when there is
    /// none of that name.
    pub fn work(&self, name: &MachineName, span: Duration) -> bool {
        let machine = self.machines().get(name).cloned();
        let Some(machine) = machine else { return false };
        machine.worked.lock().unwrap_or_else(PoisonError::into_inner).ran += span;
        true
    }

    /// Makes every restore from now on fail, or no longer.
    pub fn refuse_restores(&self, refuse: bool) {
        self.refuse_restores.store(refuse, Ordering::SeqCst);
    }

    /// Makes every saving of memory from now on find no room, or no longer.
    pub fn refuse_saves(&self, refuse: bool) {
        self.refuse_saves.store(refuse, Ordering::SeqCst);
    }

    /// Makes every guest from now on mount nothing, as one does that does not know how.
    pub fn refuse_mounts(&self, refuse: bool) {
        self.guests.refuse_mounts.store(refuse, Ordering::SeqCst);
    }

    /// Makes every guest from now on fail once it was restored, or no longer.
    pub fn fail_when_restored(&self, fail: bool) {
        self.guests.fail_when_restored.store(fail, Ordering::SeqCst);
    }

    /// Makes every guest that is restored from now on write this to its spare disks, before
    /// it says anything.
    pub fn write_when_restored(&self, text: &str) {
        let mut written = self.written();
        *written = Some(text.as_bytes().to_owned());
    }

    fn written(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.guests.written_when_restored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many machines were killed while their guest stood still, its disks written to.
    #[must_use]
    pub fn frozen_ends(&self) -> u32 {
        self.guests.frozen_ends.load(Ordering::SeqCst)
    }

    /// How many machines were restored, since ever.
    #[must_use]
    pub fn restores(&self) -> u32 {
        self.restores.load(Ordering::SeqCst)
    }

    /// What a machine has in memory; none when there is none of that name.
    #[must_use]
    pub fn memory(&self, name: &MachineName) -> Option<Vec<u8>> {
        self.machines().get(name).map(|machine| machine.memory().clone())
    }

    /// Writes into a machine's memory. False when there is none of that name.
    pub fn write_memory(&self, name: &MachineName, bytes: &[u8]) -> bool {
        let machine = self.machines().get(name).cloned();
        machine.is_some_and(|machine| {
            *machine.memory() = bytes.to_owned();
            true
        })
    }

    /// Makes a machine that an earlier server has started, as far as anyone can tell.
    pub fn put(&self, name: MachineName, slot: SlotNumber, memory: &[u8]) {
        let machine = self.machine(Some(slot), memory.to_owned());
        self.machines().insert(name, machine);
    }

    fn machine(&self, slot: Option<SlotNumber>, memory: Vec<u8>) -> Arc<NullMachine> {
        Arc::new(NullMachine {
            worked: Mutex::default(),
            leases: AtomicU32::new(0),
            pid: self.last_pid.fetch_add(1, Ordering::SeqCst) + 1,
            slot,
            paused: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            memory: Mutex::new(memory),
            refuse_saves: Arc::clone(&self.refuse_saves),
            guests: Arc::clone(&self.guests),
            ended: watch::Sender::new(None),
        })
    }

    /// Whether a machine's vCPUs run, and its guest's processes; none when there is
    /// none of that name.
    #[must_use]
    pub fn runs(&self, name: &MachineName) -> Option<bool> {
        let stands = |machine: &Arc<NullMachine>| {
            machine.paused.load(Ordering::SeqCst) || machine.frozen.load(Ordering::SeqCst)
        };
        self.machines().get(name).map(|machine| !stands(machine))
    }

    /// Stops a machine and its guest, as one that is saved.
    pub fn hold(&self, name: &MachineName) {
        if let Some(machine) = self.machines().get(name) {
            machine.paused.store(true, Ordering::SeqCst);
            machine.frozen.store(true, Ordering::SeqCst);
        }
    }

    /// Ends a machine as a crash would. False when there is none of that name.
    pub fn crash(&self, name: &MachineName) -> bool {
        self.machines().remove(name).is_some_and(|machine| {
            machine.ended.send_replace(Some("it crashed".into()));
            true
        })
    }

    /// How many machines run.
    #[must_use]
    pub fn count(&self) -> usize {
        self.machines().len()
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<MachineName, Arc<NullMachine>>> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines.retain(|_, machine| machine.ended.borrow().is_none());
        machines
    }

    fn start(
        &self,
        home: Home,
        slot: SlotNumber,
        first_words: &[u8],
        memory: Vec<u8>,
    ) -> Result<Started, VmError> {
        let machine = self.machine(Some(slot), memory);
        self.machines().insert(home.name, Arc::clone(&machine));
        let control = guest(&machine, first_words)?;
        Ok(Started { machine, control })
    }
}

/// A guest that does at once what it is told, until its machine ends.
fn guest(machine: &Arc<NullMachine>, first_words: &[u8]) -> Result<UnixStream, VmError> {
    let (host, guest) = UnixStream::pair().map_err(VmError::io("cannot make a control line"))?;
    let (reader, mut writer) = guest.into_split();
    let mut lines =
        BufReader::new(std::io::Cursor::new(first_words.to_vec()).chain(reader)).lines();
    let mut ended = machine.ended.subscribe();
    let machine = Arc::clone(machine);
    tokio::spawn(async move {
        loop {
            let line = tokio::select! {
                line = lines.next_line() => line,
                _ = ended.wait_for(Option::is_some) => return,
            };
            let Ok(Some(line)) = line else { return };
            let message = serde_json::from_str(&line);
            match &message {
                Ok(ToGuest::Freeze { .. }) => machine.frozen.store(true, Ordering::SeqCst),
                Ok(ToGuest::Thaw { .. }) => machine.frozen.store(false, Ordering::SeqCst),
                _ => {}
            }
            let answer = match message {
                Ok(ToGuest::Restored(_))
                    if machine.guests.fail_when_restored.load(Ordering::SeqCst) =>
                {
                    ToHost::Failed { message: "as asked".into() }
                }
                Ok(ToGuest::Restored(new)) => {
                    let refused = machine.guests.refuse_mounts.load(Ordering::SeqCst);
                    ToHost::Ready { mounted: if refused { 0 } else { new.mounts.len() } }
                }
                Ok(ToGuest::Attached { .. }) => ToHost::Attached,
                Ok(ToGuest::Freeze { .. }) => ToHost::Frozen,
                Ok(ToGuest::CountLeases) => {
                    ToHost::Leases { held: machine.leases.load(Ordering::SeqCst) }
                }
                Ok(ToGuest::Thaw { .. }) => ToHost::Thawed,
                Ok(ToGuest::ReadClock { question }) => {
                    ToHost::Clock { question, wall_clock_ns: wall_clock_ns() }
                }
                Ok(ToGuest::Clock { .. } | ToGuest::ShiftClock { .. } | ToGuest::Shutdown)
                | Err(_) => continue,
            };
            let mut answer = serde_json::to_vec(&answer).unwrap_or_default();
            answer.push(b'\n');
            if writer.write_all(&answer).await.is_err() {
                return;
            }
        }
    });
    Ok(host)
}

fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Hypervisor for Null {
    fn identity(&self) -> String {
        "null".into()
    }

    fn accelerator(&self) -> Accelerator {
        Accelerator::Tcg
    }

    async fn boot(&self, spec: BootSpec) -> Result<Started, VmError> {
        std::fs::write(&spec.memory, []).map_err(VmError::io("cannot make the memory file"))?;
        let mut booted =
            serde_json::to_vec(&ToHost::Booted { agent: "null".into() }).unwrap_or_default();
        booted.push(b'\n');
        let (mut guest, host) =
            UnixStream::pair().map_err(VmError::io("cannot make a control line"))?;
        guest.write_all(&booted).await.map_err(VmError::io("cannot write to the control line"))?;
        let started = self.start(spec.home, spec.slot.number(), &[], Vec::new())?;
        Ok(Started { control: host, ..started })
    }

    async fn restore(&self, spec: RestoreSpec) -> Result<Started, VmError> {
        if self.refuse_restores.load(Ordering::SeqCst) {
            return Err(VmError::Exited { said: "refused, as asked".into() });
        }
        // As a real one would: without its files there is no machine.
        let read = |path: &Path| {
            std::fs::read(path).map_err(VmError::io(format!("cannot read {}", path.display())))
        };
        let memory = read(&spec.memory.whole())?;
        read(&spec.device_state)?;
        read(&spec.disks.root)?;
        for spare in spec.disks.spares.iter().flatten() {
            let io = VmError::io(format!("cannot use {}", spare.display()));
            match &*self.written() {
                Some(bytes) => std::fs::write(spare, bytes).map_err(io)?,
                // As large as it is, and mostly a hole: it is not read.
                None => std::fs::File::open(spare).map(drop).map_err(io)?,
            }
        }
        self.restores.fetch_add(1, Ordering::SeqCst);
        self.start(spec.home, spec.slot.number(), &spec.first_words, memory)
    }

    async fn find(&self, owner: &str) -> Result<Vec<FoundMachine>, VmError> {
        let machines = self.machines();
        let owned = machines.iter().filter(|(name, _)| name.owner == owner);
        let found = owned.map(|(name, machine)| FoundMachine {
            name: Some(name.clone()),
            slot: machine.slot,
            pid: machine.pid,
        });
        Ok(found.collect())
    }

    async fn adopt(&self, home: Home, pid: u32) -> Result<Started, VmError> {
        let machine = self.machines().get(&home.name).filter(|machine| machine.pid == pid).cloned();
        let machine = machine.ok_or_else(|| VmError::Exited { said: "it is gone".into() })?;
        let control = guest(&machine, &[])?;
        Ok(Started { machine, control })
    }

    async fn kill(&self, _owner: &str, found: &FoundMachine) -> Result<(), VmError> {
        if let Some(name) = &found.name {
            self.crash(name);
        }
        Ok(())
    }
}

#[async_trait]
impl Machine for NullMachine {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn worked(&self) -> Option<Work> {
        Some(*self.worked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn pause(&self) -> Result<(), VmError> {
        self.paused.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn resume(&self) -> Result<(), VmError> {
        self.paused.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn save_device_state(&self, path: &Path) -> Result<(), VmError> {
        std::fs::write(path, []).map_err(VmError::io("cannot save the device state"))
    }

    async fn save_memory(
        &self,
        _from: &MemoryFiles,
        to: &Path,
        room_bytes: u64,
    ) -> Result<Saved, VmError> {
        let memory = self.memory().clone();
        let written_bytes = memory.len() as u64;
        if self.refuse_saves.load(Ordering::SeqCst) {
            let needed_bytes = room_bytes.saturating_add(1);
            return Err(MemoryError::NoRoom { needed_bytes, room_bytes }.into());
        }
        std::fs::write(MemoryFiles::of(to, 0).whole(), memory)
            .map_err(VmError::io("cannot save the memory"))?;
        Ok(Saved { written_bytes, ..Saved::default() })
    }

    async fn kill(&self) -> Result<(), VmError> {
        if self.frozen.load(Ordering::SeqCst) && self.ended.borrow().is_none() {
            self.guests.frozen_ends.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.send_replace(Some("it was killed".into()));
        Ok(())
    }

    async fn exited(&self) -> String {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "it is gone".into(),
        }
    }
}
