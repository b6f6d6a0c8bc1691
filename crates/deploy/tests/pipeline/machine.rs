//! Machines that are folders and processes of this host: deployments run whole,
//! without a VM. What they run is the tests' own.

mod local;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use pando_deploy::machine::{AppTemplate, Machine, MachineSpec, Machines, Size};
use pando_guest_protocol::supervise::Supervise;
use pando_node::control::{AppImage, AppImageError, AppImageLog, AppMachine, Ending};
use pando_node::guest::GuestError;
use pando_node::{DiskName, NodeError};
use pando_types::template::TemplateConfig;
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError, SandboxId, SnapshotId};
use tokio::sync::broadcast;

use self::local::Local;

/// What each machine of the template `own` has.
pub const OWN_SIZE: Size = Size { cpu: 1, memory_mib: 512 };

#[derive(Default)]
struct State {
    machines: HashMap<SandboxId, Local>,
    /// Kept disks and machines: a folder each.
    disks: BTreeMap<DiskName, PathBuf>,
    ready: HashMap<SnapshotId, Ready>,
    made: usize,
    /// As if there were no room to wake any.
    is_full: bool,
}

/// A machine that was kept.
#[derive(Clone)]
struct Ready {
    root: PathBuf,
    started: Supervise,
}

/// A copy of a folder, links as links.
fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// All machines of one test.
#[derive(Clone)]
pub struct LocalMachines {
    root: PathBuf,
    state: Arc<Mutex<State>>,
    endings: broadcast::Sender<Ending>,
}

impl LocalMachines {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), state: Arc::default(), endings: broadcast::Sender::new(16) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.state().machines.len()
    }

    /// The kept disks whose names begin so.
    pub fn kept(&self, prefix: &str) -> Vec<String> {
        let state = self.state();
        let names = state.disks.keys().map(ToString::to_string);
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// As if the disk had been short.
    pub fn forget_all_ready(&self) {
        self.state().ready.clear();
    }

    /// How many machines are kept.
    pub fn ready(&self) -> usize {
        self.state().ready.len()
    }

    /// How many were ever made.
    pub fn made(&self) -> usize {
        self.state().made
    }

    /// Whether there is room to wake one.
    pub fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Ends a machine as a crash would.
    pub fn crash(&self, id: SandboxId) {
        let local = self.state().machines.remove(&id).unwrap();
        local.kill();
        // Nobody hears it while the server is down.
        let _ = self.endings.send(Ending { sandbox: id, app: Some(local.app) });
    }

    /// A file of a machine.
    pub fn read(&self, id: SandboxId, path: &str) -> Option<Vec<u8>> {
        let root = self.state().machines.get(&id)?.root.clone();
        std::fs::read(root.join(path)).ok()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.machines.values().for_each(Local::kill);
    }
}

#[async_trait]
impl Machines for LocalMachines {
    async fn create(&self, spec: MachineSpec) -> Result<Option<SandboxId>, PublicError> {
        // Long enough that a test can stop in the midst of it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let size = Size { cpu: spec.cpu, memory_mib: spec.memory_mib };
        if spec.template == "own" && size != OWN_SIZE {
            return Err(PublicError::invalid("cpu", "its machine runs already"));
        }
        let id = SandboxId::new();
        let root = self.root.join(id.to_string());
        let (from, started) = match &spec.begins {
            AppMachine::Empty | AppMachine::Builder => (None, Supervise::default()),
            AppMachine::Disk(name) => match self.state().disks.get(name).cloned() {
                Some(disk) => (Some(disk), Supervise::default()),
                None => return Ok(None),
            },
            AppMachine::Ready(snapshot) => match self.state().ready.get(snapshot).cloned() {
                Some(ready) => (Some(ready.root), ready.started),
                None => return Ok(None),
            },
        };
        match from {
            Some(from) => copy(&from, &root),
            None => ["log", "app", "opt"]
                .iter()
                .for_each(|name| std::fs::create_dir_all(root.join(name)).unwrap()),
        }
        let local = Local::new(spec.app, spec.deployment, root);
        Machine::supervise(&local, started).await.unwrap();
        let mut state = self.state();
        state.made += 1;
        state.machines.insert(id, local);
        Ok(Some(id))
    }

    async fn list(
        &self,
        app: AppId,
    ) -> Result<Vec<(SandboxId, Option<DeploymentId>)>, PublicError> {
        let state = self.state();
        let of_app = state.machines.iter().filter(|(_, local)| local.app == app);
        Ok(of_app.map(|(id, local)| (*id, Some(local.deployment))).collect())
    }

    async fn remove(&self, _: OrgId, id: SandboxId) -> Result<(), PublicError> {
        let local = self.state().machines.remove(&id);
        if let Some(local) = local {
            local.kill();
            let _ = std::fs::remove_dir_all(&local.root);
        }
        Ok(())
    }

    async fn open(&self, _: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, PublicError> {
        let local = self.state().machines.get(&id).cloned();
        let local = local.ok_or_else(|| PublicError::new(Code::NotFound, "no such machine"))?;
        Ok(Box::new(local))
    }

    async fn wake(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, NodeError> {
        if self.state().is_full {
            return Err(NodeError::NotWoken(Arc::new(NodeError::NoMemory)));
        }
        self.open(org, id).await.map_err(|_| NodeError::NotFound)
    }

    async fn look_on(&self, org: OrgId, id: SandboxId) -> Result<Box<dyn Machine>, GuestError> {
        self.open(org, id).await.map_err(|_| GuestError::Gone)
    }

    async fn stop(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError> {
        let stopped = self.open(org, id).await?.supervise(Supervise::default()).await;
        stopped.map_err(|error| PublicError::from(&error))
    }

    fn is_visited(&self, _: SandboxId) -> bool {
        false
    }

    fn is_used(&self, id: SandboxId) -> bool {
        self.state().machines.get(&id).is_some_and(Local::is_used)
    }

    async fn is_well(&self, id: SandboxId) -> Result<bool, PublicError> {
        Ok(self.state().machines.contains_key(&id))
    }

    fn endings(&self) -> broadcast::Receiver<Ending> {
        self.endings.subscribe()
    }

    async fn templates(&self, _: OrgId) -> Result<Vec<AppTemplate>, PublicError> {
        let template =
            |name: &str, size| AppTemplate { name: name.to_owned(), version: "1".to_owned(), size };
        Ok(vec![template("base", None), template("own", Some(OWN_SIZE))])
    }

    /// What the Dockerfile says line by line goes to the log; its `CMD` is the configuration.
    async fn build_image(
        &self,
        _: OrgId,
        id: SandboxId,
        image: AppImage,
        log: AppImageLog,
    ) -> Result<TemplateConfig, AppImageError> {
        let local = self.state().machines[&id].clone();
        let text = std::fs::read_to_string(local.here(&image.dockerfile)).unwrap();
        let secrets = image.secrets.into_iter().map(|(name, value)| format!("{name}={value}"));
        for line in text.lines().map(str::to_owned).chain(secrets) {
            log.lines.send(vec![(log.shown)(line)]).await.unwrap();
        }
        let config = text.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
        Ok(serde_json::from_str(config).unwrap())
    }

    async fn keep_disk(&self, _: OrgId, id: SandboxId, name: &DiskName) -> Result<(), PublicError> {
        let kept = self.root.join(name.to_string());
        let root = self.state().machines[&id].root.clone();
        let _ = std::fs::remove_dir_all(&kept);
        copy(&root, &kept);
        self.state().disks.insert(name.clone(), kept);
        Ok(())
    }

    async fn disks(&self, prefix: String) -> Result<Vec<DiskName>, PublicError> {
        let state = self.state();
        Ok(state.disks.keys().filter(|name| name.as_ref().starts_with(&prefix)).cloned().collect())
    }

    async fn forget_disk(&self, name: &DiskName) -> Result<(), PublicError> {
        self.state().disks.remove(name);
        Ok(())
    }

    async fn keep_ready(
        &self,
        _: OrgId,
        id: SandboxId,
        snapshot: SnapshotId,
    ) -> Result<(), PublicError> {
        let kept = self.root.join(snapshot.to_string());
        let local = self.state().machines[&id].clone();
        copy(&local.root, &kept);
        let started = local.started.lock().unwrap().clone();
        self.state().ready.insert(snapshot, Ready { root: kept, started });
        Ok(())
    }

    async fn forget_ready(&self, snapshot: SnapshotId) -> Result<(), PublicError> {
        self.state().ready.remove(&snapshot);
        Ok(())
    }
}
