//! Machines that are folders and processes of this host: deployments run whole,
//! without a VM. What they run is the tests' own.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pando_deploy::machine::{Machine, MachineSpec, Machines, Output};
use pando_guest_protocol::session::{Exec, ExecDone, Failure, FailureKind, Listener, Started};
use pando_node::DiskName;
use pando_node::control::{AppMachine, Ending};
use pando_node::guest::{ExecEvent, ExecInput, GuestError};
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError, SandboxId, SnapshotId};
use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::broadcast;
use tokio_util::io::ReaderStream;

#[derive(Default)]
struct State {
    machines: HashMap<SandboxId, Local>,
    /// Kept disks and machines: a folder each.
    disks: BTreeMap<DiskName, PathBuf>,
    ready: HashMap<SnapshotId, Ready>,
    made: usize,
}

#[derive(Clone)]
struct Local {
    app: AppId,
    deployment: DeploymentId,
    root: PathBuf,
    groups: Arc<Mutex<Vec<Pid>>>,
    /// Where this host has what the guest has on its port.
    port: u16,
    /// What was started in it: a copy of the machine starts the same.
    started: Arc<Mutex<Option<Exec>>>,
}

/// A machine that was kept.
#[derive(Clone)]
struct Ready {
    root: PathBuf,
    started: Option<Exec>,
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

impl Local {
    fn kill(&self) {
        for group in self.groups.lock().unwrap().drain(..) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    /// A text of a command with the machine's folders in place of a guest's.
    fn here(&self, text: &str) -> String {
        let root = self.root.display().to_string();
        let log = text.replace("/var/log/pando", "\u{1}").replace("/opt/pando", "\u{2}");
        let mut out = String::new();
        let mut rest = log.as_str();
        while let Some(at) = rest.find("/app") {
            let (before, after) = (&rest[..at], &rest[at + 4..]);
            let whole = after.is_empty() || after.starts_with([' ', '/', '\n']);
            out.push_str(before);
            out.push_str(&if whole { format!("{root}/app") } else { "/app".to_owned() });
            rest = after;
        }
        out.push_str(rest);
        out.replace('\u{1}', &format!("{root}/log")).replace('\u{2}', &format!("{root}/opt"))
    }

    fn command(&self, exec: &Exec) -> Command {
        let mut command = Command::new(&exec.argv[0]);
        command.args(exec.argv[1..].iter().map(|word| self.here(word)));
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(&exec.env);
        command
            .current_dir(exec.cwd.as_ref().map_or(self.root.clone(), |cwd| self.here(cwd).into()));
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    fn remember(&self, child: &Child) {
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        self.groups.lock().unwrap().push(pid);
    }
}

#[async_trait]
impl Machines for LocalMachines {
    async fn create(&self, spec: MachineSpec) -> Result<Option<SandboxId>, PublicError> {
        // Long enough that a test can stop in the midst of it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let id = SandboxId::new();
        let root = self.root.join(id.to_string());
        let (from, started) = match &spec.begins {
            AppMachine::Empty => (None, None),
            AppMachine::Disk(name) => match self.state().disks.get(name).cloned() {
                Some(disk) => (Some(disk), None),
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
        let local = Local {
            app: spec.app,
            deployment: spec.deployment,
            root,
            groups: Arc::default(),
            port: free_port(),
            started: Arc::default(),
        };
        if let Some(exec) = started {
            Machine::start(&local, exec).await.unwrap();
        }
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

    async fn is_well(&self, id: SandboxId) -> Result<bool, PublicError> {
        Ok(self.state().machines.contains_key(&id))
    }

    fn endings(&self) -> broadcast::Receiver<Ending> {
        self.endings.subscribe()
    }

    fn templates(&self) -> Vec<String> {
        vec!["base".to_owned()]
    }

    fn template_version(&self, _: &str) -> String {
        "1".to_owned()
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

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn failed(error: &io::Error) -> GuestError {
    GuestError::Failed(Failure { kind: FailureKind::Other, message: error.to_string() })
}

#[async_trait]
impl Machine for Local {
    async fn run(&self, exec: Exec, input: ExecInput) -> Result<Output, GuestError> {
        let mut command = self.command(&exec);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        self.remember(&child);
        let mut stdin = child.stdin.take().unwrap();
        tokio::spawn(async move {
            let mut bytes = match input {
                ExecInput::Empty => stream::empty().boxed(),
                ExecInput::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
                ExecInput::Stream(stream) => stream,
                ExecInput::Live(_) => panic!("a pipeline speaks to no running command"),
            };
            while let Some(Ok(bytes)) = bytes.next().await {
                if stdin.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        });
        let event = |wrap: fn(Bytes) -> ExecEvent| {
            move |bytes: io::Result<Bytes>| bytes.map(wrap).map_err(|error| failed(&error))
        };
        let stdout = ReaderStream::new(child.stdout.take().unwrap()).map(event(ExecEvent::Stdout));
        let stderr = ReaderStream::new(child.stderr.take().unwrap()).map(event(ExecEvent::Stderr));
        let exit = stream::once(async move {
            let status = child.wait().await.map_err(|error| failed(&error))?;
            let exit_code = status.code().unwrap_or(137);
            Ok(ExecEvent::Exit(ExecDone { exit_code, timed_out: false, duration_ms: 0 }))
        });
        Ok(stream::select(stdout, stderr).chain(exit).boxed())
    }

    async fn start(&self, exec: Exec) -> Result<Started, GuestError> {
        *self.started.lock().unwrap() = Some(exec.clone());
        let log = std::fs::File::create(self.here(exec.detached_log.as_deref().unwrap()));
        let log = log.map_err(|error| failed(&error))?;
        let (guest_port, port) = (exec.env["PORT"].clone(), self.port.to_string());
        let mut exec = exec;
        if exec.argv[0] == "pando-pages" {
            // It is in guests alone.
            let folder = exec.argv.pop().unwrap();
            let served = ["python3", "-m", "http.server", &guest_port, "--directory", &folder];
            exec.argv = served.map(str::to_owned).into();
        }
        exec.argv
            .iter_mut()
            .filter(|word| **word == guest_port)
            .for_each(|word| word.clone_from(&port));
        exec.env.insert("PORT".into(), port);
        let mut command = self.command(&exec);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        self.remember(&child);
        let pid = child.id().unwrap();
        // As the agent does: it is reaped, and its number is free then.
        tokio::spawn(async move { child.wait().await });
        Ok(Started { pid })
    }

    async fn tools(&self) -> Result<BTreeMap<String, String>, GuestError> {
        let tools = [("node", "22.23.3"), ("npm", "10.9.9"), ("python", "3.11.2")];
        Ok(tools.map(|(name, version)| (name.to_owned(), version.to_owned())).into())
    }

    async fn listeners(&self) -> Result<Vec<Listener>, GuestError> {
        Ok(Vec::new())
    }

    async fn connect(&self, _: u16) -> Result<TcpStream, io::Error> {
        TcpStream::connect(("127.0.0.1", self.port)).await
    }
}
