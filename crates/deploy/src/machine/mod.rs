//! What deployments need of machines: the seam to the node, so that everything
//! above it runs in tests without a VM.

mod node;

pub use node::NodeMachines;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pando_guest_protocol::log::LogQuery;
use pando_guest_protocol::session::{Exec, Listener};
use pando_guest_protocol::supervise::{Supervise, Watched};
use pando_node::DiskName;
use pando_node::NodeError;
use pando_node::control::{AppImage, AppImageError, AppImageLog, AppMachine, Ending};
use pando_node::guest::{ExecEvent, ExecInput, GuestError, LogStream};
use pando_types::template::TemplateConfig;
use pando_types::{AppId, DeploymentId, OrgId, PublicError, SandboxId, SnapshotId};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

/// What a deployment's sandbox is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    /// Whose it is.
    pub org: OrgId,
    /// The app it will serve.
    pub app: AppId,
    /// The deployment it is made for.
    pub deployment: DeploymentId,
    /// The template it is restored from.
    pub template: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
    /// After how long without use it is put to sleep.
    pub idle_timeout: Option<Duration>,
    /// What it begins as.
    pub begins: AppMachine,
}

/// A template that machines of apps can be restored from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppTemplate {
    /// Its name.
    pub name: String,
    /// What changes when it does; empty for one that is gone.
    pub version: String,
    /// The size of each machine of it, where that was decided when it was saved.
    pub size: Option<Size>,
}

/// The size of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// vCPUs.
    pub cpu: u32,
    /// Memory.
    pub memory_mib: u32,
}

/// What a running command says.
pub type Output = BoxStream<'static, Result<ExecEvent, GuestError>>;

/// Makes, finds and removes machines.
#[async_trait]
pub trait Machines: Send + Sync + 'static {
    /// Makes a machine that is kept until it is removed; returns when it answers. `None` when
    /// what it was to begin as is there no more.
    async fn create(&self, spec: MachineSpec) -> Result<Option<SandboxId>, PublicError>;
    /// The machines of an app that are not gone, and the deployment each was made for.
    async fn list(&self, app: AppId)
    -> Result<Vec<(SandboxId, Option<DeploymentId>)>, PublicError>;
    /// Removes a machine. Fine when it is gone.
    async fn remove(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError>;
    /// A running machine.
    async fn open(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, PublicError>;
    /// A running machine, which was woken where it slept; the refusal as the node says it, which
    /// tells what passes from what does not.
    async fn wake(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, NodeError>;
    /// A machine that is awake, to look on: nothing is woken for it, and it is no use of it.
    async fn look_on(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, GuestError>;
    /// Asks the processes of a machine that runs to end, and waits until they have. One that
    /// sleeps is left alone.
    async fn stop(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError>;
    /// Whether requests are under way in a machine, or came since this was last asked; open
    /// sockets count.
    fn is_visited(&self, id: SandboxId) -> bool;
    /// Whether commands run in a machine, other than what is kept running there.
    fn is_used(&self, id: SandboxId) -> bool;
    /// Whether a machine can serve: not when it failed or is gone.
    async fn is_well(&self, id: SandboxId) -> Result<bool, PublicError>;
    /// The machines that end, each as it does.
    fn endings(&self) -> broadcast::Receiver<Ending>;
    /// The templates that apps of an org can name: those for all, and its own.
    async fn templates(&self, org: OrgId) -> Result<Vec<AppTemplate>, PublicError>;
    /// Builds an image in a machine that is for that, and puts its tree on the app's disk;
    /// returns what the image says runs in it.
    async fn build_image(
        &self,
        org: OrgId,
        id: SandboxId,
        image: AppImage,
        log: AppImageLog,
    ) -> Result<TemplateConfig, AppImageError>;
    /// Keeps the app's disk of a machine, which has written all of it, under a name.
    async fn keep_disk(
        &self,
        org: OrgId,
        id: SandboxId,
        name: &DiskName,
    ) -> Result<(), PublicError>;
    /// The kept disks whose names begin so, those first that were used last.
    async fn disks(&self, prefix: String) -> Result<Vec<DiskName>, PublicError>;
    /// Removes a kept disk. Fine when it is gone.
    async fn forget_disk(&self, name: &DiskName) -> Result<(), PublicError>;
    /// Keeps a machine, which goes on, for others to begin as.
    async fn keep_ready(
        &self,
        org: OrgId,
        id: SandboxId,
        snapshot: SnapshotId,
    ) -> Result<(), PublicError>;
    /// Removes a kept machine. Fine when it is gone.
    async fn forget_ready(&self, snapshot: SnapshotId) -> Result<(), PublicError>;
}

/// One running machine.
#[async_trait]
pub trait Machine: Send + Sync {
    /// Runs a command; dropping its output kills it.
    async fn run(&self, exec: Exec, input: ExecInput) -> Result<Output, GuestError>;
    /// Makes the tree of an image on the app's disk a root that commands can run in. Fine when
    /// it is one already.
    async fn enter_image(&self) -> Result<(), GuestError>;
    /// Writes all that is not on the app's disk yet, and leaves nothing there of what was
    /// removed: a secret in a file that is gone would go where the disk goes.
    async fn settle_disk(&self) -> Result<(), GuestError>;
    /// Keeps these processes running, and no others; returns when those that had to end have.
    async fn supervise(&self, list: Supervise) -> Result<(), GuestError>;
    /// How those processes are.
    async fn processes(&self) -> Result<Vec<Watched>, GuestError>;
    /// What commands and processes have said. Who follows only looks on: the machine may fall
    /// asleep.
    async fn logs(&self, query: LogQuery) -> Result<LogStream, GuestError>;
    /// What its template has of the tools that apps name: name and version.
    async fn tools(&self) -> Result<BTreeMap<String, String>, GuestError>;
    /// What listens.
    async fn listeners(&self) -> Result<Vec<Listener>, GuestError>;
    /// Connects to a port.
    async fn connect(&self, port: u16) -> Result<TcpStream, io::Error>;
}

/// Runs a command to its end; its exit code, and the beginning of what it said on
/// standard output.
pub(crate) async fn ask(
    machine: &dyn Machine,
    exec: Exec,
    limit_bytes: usize,
) -> Result<(i32, Vec<u8>), GuestError> {
    let mut output = machine.run(exec, ExecInput::Empty).await?;
    let mut said: Vec<u8> = Vec::new();
    while let Some(event) = output.next().await {
        match event? {
            ExecEvent::Stdout(bytes) => {
                let room = limit_bytes.saturating_sub(said.len());
                said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            ExecEvent::Stderr(_) => {}
            ExecEvent::Exit(done) => return Ok((done.exit_code, said)),
        }
    }
    Err(broken_off())
}

/// A command whose output ended without its exit.
pub(crate) fn broken_off() -> GuestError {
    GuestError::Connect(io::ErrorKind::UnexpectedEof.into())
}

/// A command with everything left as the template has it.
pub(crate) fn exec(argv: &[&str]) -> Exec {
    Exec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: None,
        env: BTreeMap::new(),
        user: None,
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    }
}

/// A stream of bytes as a command's standard input.
pub(crate) fn input<E>(stream: BoxStream<'static, Result<Bytes, E>>) -> ExecInput
where
    E: std::error::Error + Send + Sync + 'static,
{
    ExecInput::Stream(stream.map(|bytes| bytes.map_err(io::Error::other)).boxed())
}
