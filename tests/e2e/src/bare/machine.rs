//! One machine: its control line, and saving it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use pando_guest_protocol::control::{Identity, ToGuest, ToHost, Who};
use pando_vm::driver::{
    Disks, Home, Hypervisor, Machine, MachineName, RestoreSpec, SPARE_DISKS, Started,
};
use pando_vm::memory::MemoryFiles;
use pando_vm::network::Slot;
use pando_vm::sys::reflink;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::SHAPE;

/// How long a guest may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What a machine is restored from: files that none of them writes.
#[derive(Debug, Clone)]
pub struct Image {
    dir: PathBuf,
}

impl Image {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn memory(&self) -> anyhow::Result<MemoryFiles> {
        Ok(MemoryFiles::find(&self.dir)?)
    }

    fn devices(&self) -> PathBuf {
        self.dir.join("devices")
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root.raw")
    }
}

/// A running machine.
pub struct BareMachine {
    machine: Arc<dyn Machine>,
    control: BufReader<UnixStream>,
    slot: Arc<Slot>,
    image: Image,
    dir: PathBuf,
    token: String,
}

/// Restores a machine, and waits until its agent is ready.
pub(super) async fn restore(
    hypervisor: &impl Hypervisor,
    owner: &str,
    dir: PathBuf,
    image: &Image,
    slot: Arc<Slot>,
    who: Who,
) -> anyhow::Result<BareMachine> {
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    let root = dir.join("root.raw");
    reflink::clone_file(&image.root(), &root)?;
    let token = random_hex(32);
    let identity = Identity {
        seed: random_hex(32),
        wall_clock_ns: wall_clock_ns(),
        token: token.clone(),
        who,
        mounts: Vec::new(),
    };
    let begun = Instant::now();
    let name = dir.file_name().context("no name")?.to_string_lossy().into_owned();
    let Started { machine, control } = hypervisor
        .restore(RestoreSpec {
            home: Home {
                dir: dir.clone(),
                name: MachineName { owner: owner.to_owned(), machine: name },
            },
            shape: SHAPE,
            memory: image.memory()?,
            device_state: image.devices(),
            disks: Disks { root, spares: [const { None }; SPARE_DISKS] },
            slot: Arc::clone(&slot),
            first_words: line(&ToGuest::Restored(identity))?,
        })
        .await?;
    let control = BufReader::new(control);
    let mut restored = BareMachine { machine, control, slot, image: image.clone(), dir, token };
    restored.wait_for(&ToHost::Ready { mounted: 0 }).await?;
    told("restore", begun);
    // Loading took a while that the guest did not see.
    restored.send(&ToGuest::Clock { wall_clock_ns: wall_clock_ns() }).await?;
    Ok(restored)
}

impl BareMachine {
    /// Says something on its control line.
    ///
    /// # Errors
    /// When the line is broken.
    pub async fn send(&mut self, order: &ToGuest) -> anyhow::Result<()> {
        Ok(self.control.get_mut().write_all(&line(order)?).await?)
    }

    /// Waits for its next word.
    ///
    /// # Errors
    /// When none comes, or another.
    pub async fn wait_for(&mut self, wanted: &ToHost) -> anyhow::Result<()> {
        let mut line = String::new();
        let read = timeout(ANSWER_LIMIT, self.control.read_line(&mut line)).await;
        read.context("the guest says nothing")??;
        let said: ToHost = serde_json::from_str(&line).with_context(|| line.clone())?;
        if said != *wanted {
            bail!("the guest said {said:?}, not {wanted:?}");
        }
        Ok(())
    }

    /// Freezes it.
    ///
    /// # Errors
    /// When it does not answer so.
    pub async fn freeze(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.send(&ToGuest::Freeze { write_disks: true }).await?;
        self.wait_for(&ToHost::Frozen).await?;
        told("freeze", begun);
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not answer so.
    pub async fn thaw(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.send(&ToGuest::Thaw { wall_clock_ns: wall_clock_ns() }).await?;
        self.wait_for(&ToHost::Thawed).await?;
        told("thaw", begun);
        Ok(())
    }

    /// Freezes it and saves all of it. It then stands still.
    ///
    /// # Errors
    /// When any of it fails.
    pub async fn save(&mut self) -> anyhow::Result<Image> {
        let begun = Instant::now();
        self.freeze().await?;
        self.machine.pause().await?;
        let image = Image { dir: self.dir.join("image") };
        fs::create_dir_all(&image.dir)?;
        self.machine.save_device_state(&image.devices()).await?;
        reflink::clone_file(&self.dir.join("root.raw"), &image.root())?;
        self.machine.save_memory(&self.image.memory()?, &image.dir, u64::MAX).await?;
        told("save", begun);
        Ok(image)
    }

    /// Lets it go on after it was saved.
    ///
    /// # Errors
    /// When it does not.
    pub async fn go_on(&mut self) -> anyhow::Result<()> {
        self.machine.resume().await?;
        self.thaw().await
    }

    /// A connection to one of its ports, from the host's end of its link: to the guest
    /// that is elsewhere.
    ///
    /// # Errors
    /// What `connect` said.
    pub async fn connect(&self, port: u16) -> anyhow::Result<TcpStream> {
        Ok(self.slot.connect(port, CONNECT_LIMIT).await?)
    }

    /// What its sessions must show.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Ends it. Its image, if it has one, stays until the test is over.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(self) -> anyhow::Result<()> {
        Ok(self.machine.kill().await?)
    }
}

/// Shown where a test is run with its output.
fn told(what: &str, begun: Instant) {
    println!("{what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1000.0);
}

fn line(order: &ToGuest) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    Ok(line)
}

/// The host's clock.
#[must_use]
pub(super) fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    // A test's secrets may as well be zeros.
    let _ = File::open(Path::new("/dev/urandom")).and_then(|mut file| file.read_exact(&mut random));
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
