//! Machines on this process's node.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use pando_guest_protocol::control::{APP_DISK, APP_IMAGE};
use pando_guest_protocol::log::LogQuery;
use pando_guest_protocol::session::{Exec, Failure, FailureKind, Listener};
use pando_guest_protocol::supervise::{Supervise, Watched};
use pando_node::control::{AppImage, AppImageError, AppImageLog, Ending, Sandboxes};
use pando_node::guest::{ExecInput, Guest, GuestError, LogStream};
use pando_node::{ConnectError, DiskName, Node, NodeError, State};
use pando_store::{Actual, Store};
use pando_types::sandbox::CreateSandbox;
use pando_types::template::TemplateConfig;
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError, SandboxId, SnapshotId};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

use super::{AppTemplate, Machine, MachineSpec, Machines, Output, Size};

/// The metadata by which a sandbox is known as a deployment's.
const DEPLOYMENT: &str = "pando.deployment";

/// Where a template says which tools it has: a name and a version in each line.
const TOOLS: &str = "/usr/local/share/pando/tools";
const MAX_TOOLS_BYTES: usize = 16 * 1024;

/// Makes an image a root.
const ENTER_IMAGE: &str = include_str!("enter_image.sh");
const ENTER_LIMIT: Duration = Duration::from_secs(60);
/// How long a guest may take to write what is not on its disk yet.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);
const MAX_COMPLAINT_BYTES: usize = 4096;

/// Sandboxes as deployments use them.
#[derive(Clone)]
pub struct NodeMachines {
    /// Their rows and owners.
    pub sandboxes: Sandboxes,
    /// The node they run on.
    pub node: Node,
    /// Where their rows are.
    pub store: Store,
}

#[async_trait]
impl Machines for NodeMachines {
    async fn create(&self, spec: MachineSpec) -> Result<Option<SandboxId>, PublicError> {
        let request = CreateSandbox {
            template: Some(spec.template),
            cpu: Some(i64::from(spec.cpu)),
            memory_mb: Some(i64::from(spec.memory_mib)),
            persistent: Some(true),
            idle_timeout_seconds: spec.idle_timeout.map(|span| span.as_secs().cast_signed()),
            metadata: Some(BTreeMap::from([(DEPLOYMENT.to_owned(), spec.deployment.to_string())])),
            ..CreateSandbox::default()
        };
        let made = self.sandboxes.create_app(spec.org, spec.app, request, &spec.begins).await?;
        Ok(made.map(|sandbox| sandbox.id))
    }

    async fn list(
        &self,
        app: AppId,
    ) -> Result<Vec<(SandboxId, Option<DeploymentId>)>, PublicError> {
        let rows =
            self.store.sandbox_list_app(app).await.map_err(|error| PublicError::from(&error))?;
        let made_for = |row: &pando_store::SandboxRow| row.metadata.get(DEPLOYMENT)?.parse().ok();
        Ok(rows.iter().map(|row| (row.id, made_for(row))).collect())
    }

    async fn remove(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError> {
        match self.sandboxes.delete(org, id).await {
            Err(error) if error.code == Code::NotFound => Ok(()),
            other => other,
        }
    }

    async fn open(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, PublicError> {
        let guest = self.sandboxes.guest(org, id).await?;
        Ok(Box::new(NodeMachine { guest, node: self.node.clone(), id }))
    }

    async fn wake(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, NodeError> {
        let guest = self.node.access(id, Some(org)).await?;
        Ok(Box::new(NodeMachine { guest, node: self.node.clone(), id }))
    }

    async fn look_on(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, GuestError> {
        let guest = self.node.look_on(id, Some(org)).map_err(|error| match error {
            NodeError::NotRunning(State::Hibernated) => GuestError::Asleep,
            _ => GuestError::Gone,
        })?;
        Ok(Box::new(NodeMachine { guest, node: self.node.clone(), id }))
    }

    async fn stop(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError> {
        let row = self.store.sandbox_get(id).await.map_err(|error| PublicError::from(&error))?;
        if row.is_none_or(|row| row.actual != Actual::Running) {
            return Ok(());
        }
        let guest = self.sandboxes.guest(org, id).await?;
        guest.supervise(Supervise::default()).await.map_err(|error| PublicError::from(&error))
    }

    fn is_visited(&self, id: SandboxId) -> bool {
        self.node.is_visited(id)
    }

    fn is_used(&self, id: SandboxId) -> bool {
        self.node.is_used(id)
    }

    async fn is_well(&self, id: SandboxId) -> Result<bool, PublicError> {
        let row = self.store.sandbox_get(id).await.map_err(|error| PublicError::from(&error))?;
        Ok(row.is_some_and(|row| !matches!(row.actual, Actual::Failed | Actual::Deleted)))
    }

    fn endings(&self) -> broadcast::Receiver<Ending> {
        self.sandboxes.endings()
    }

    async fn templates(&self, org: OrgId) -> Result<Vec<AppTemplate>, PublicError> {
        let own = self.store.template_list(org).await.map_err(|error| PublicError::from(&error))?;
        let global = self.node.templates().into_iter();
        let global =
            global.map(|it| AppTemplate { name: it.name, version: it.version, size: None });
        let own = own.into_iter().map(|row| AppTemplate {
            name: row.name,
            version: row.snapshot.to_string(),
            size: Some(Size { cpu: row.cpu, memory_mib: row.memory_mib }),
        });
        Ok(global.chain(own).collect())
    }

    async fn build_image(
        &self,
        org: OrgId,
        id: SandboxId,
        image: AppImage,
        log: AppImageLog,
    ) -> Result<TemplateConfig, AppImageError> {
        self.sandboxes.build_app_image(org, id, image, log).await
    }

    async fn keep_disk(
        &self,
        org: OrgId,
        id: SandboxId,
        name: &DiskName,
    ) -> Result<(), PublicError> {
        self.sandboxes.disk_keep(org, id, name).await
    }

    async fn disks(&self, prefix: String) -> Result<Vec<DiskName>, PublicError> {
        self.node.disks(prefix).await.map_err(|error| PublicError::from(&error))
    }

    async fn forget_disk(&self, name: &DiskName) -> Result<(), PublicError> {
        self.node.disk_forget(name).await.map_err(|error| PublicError::from(&error))
    }

    async fn keep_ready(
        &self,
        org: OrgId,
        id: SandboxId,
        snapshot: SnapshotId,
    ) -> Result<(), PublicError> {
        self.sandboxes.ready_keep(org, id, snapshot).await
    }

    async fn forget_ready(&self, snapshot: SnapshotId) -> Result<(), PublicError> {
        self.node.snapshot_delete(snapshot).await.map_err(|error| PublicError::from(&error))
    }
}

struct NodeMachine {
    guest: Guest,
    node: Node,
    id: SandboxId,
}

impl NodeMachine {
    /// Runs a script that must succeed with its argument; what it complains of is the error.
    async fn script(&self, text: &str, argument: &str, limit: Duration) -> Result<(), GuestError> {
        let mut exec = super::exec(&["/bin/sh", "-c", text, "sh", argument]);
        exec.timeout_ms = u64::try_from(limit.as_millis()).ok();
        let finished = self.guest.exec_stream(exec, ExecInput::Empty).await?;
        let finished = finished.finish(MAX_COMPLAINT_BYTES).await?;
        if finished.done.exit_code == 0 {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
        Err(GuestError::Failed(Failure { kind: FailureKind::Other, message }))
    }
}

#[async_trait]
impl Machine for NodeMachine {
    async fn run(&self, exec: Exec, input: ExecInput) -> Result<Output, GuestError> {
        Ok(self.guest.exec_stream(exec, input).await?.boxed())
    }

    async fn enter_image(&self) -> Result<(), GuestError> {
        self.script(ENTER_IMAGE, APP_IMAGE, ENTER_LIMIT).await
    }

    async fn settle_disk(&self) -> Result<(), GuestError> {
        // What was removed is free for a trim once its removal is written.
        self.script("sync && fstrim \"$1\"", APP_DISK, SETTLE_LIMIT).await
    }

    async fn supervise(&self, list: Supervise) -> Result<(), GuestError> {
        self.guest.supervise(list).await
    }

    async fn processes(&self) -> Result<Vec<Watched>, GuestError> {
        Ok(self.guest.supervised().await?.apart().0)
    }

    async fn logs(&self, query: LogQuery) -> Result<LogStream, GuestError> {
        if query.follow {
            return self.guest.clone().looking_on().logs(query).await;
        }
        self.guest.logs(query).await
    }

    async fn tools(&self) -> Result<BTreeMap<String, String>, GuestError> {
        let (code, text) = super::ask(self, super::exec(&["cat", TOOLS]), MAX_TOOLS_BYTES).await?;
        // A template that says nothing has none.
        let text = if code == 0 { String::from_utf8_lossy(&text) } else { "".into() };
        let tools = text.lines().filter_map(|line| line.split_once(' '));
        Ok(tools.map(|(name, version)| (name.to_owned(), version.trim().to_owned())).collect())
    }

    async fn listeners(&self) -> Result<Vec<Listener>, GuestError> {
        Ok(self.guest.ports().await?.apart().0)
    }

    async fn connect(&self, port: u16) -> Result<TcpStream, io::Error> {
        self.node.connect(self.id, port).await.map_err(|error| match error {
            ConnectError::Refused | ConnectError::Stopped => {
                io::ErrorKind::ConnectionRefused.into()
            }
            other => io::Error::other(other),
        })
    }
}
