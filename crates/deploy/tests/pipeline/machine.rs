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
use pando_guest_protocol::log::{self, LogLines, LogQuery, Whose};
use pando_guest_protocol::session::{Exec, ExecDone, Failure, FailureKind, Listener};
use pando_guest_protocol::supervise::{ProcessState, Supervise, Supervised, Watched};
use pando_node::control::{AppImage, AppImageError, AppImageLog, AppMachine, Ending};
use pando_node::guest::{ExecEvent, ExecInput, GuestError, LogStream};
use pando_node::{DiskName, NodeError};
use pando_types::template::TemplateConfig;
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError, SandboxId, SnapshotId};
use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tokio_util::io::ReaderStream;

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

#[derive(Clone)]
struct Local {
    app: AppId,
    deployment: DeploymentId,
    root: PathBuf,
    groups: Arc<Mutex<Vec<Pid>>>,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    /// Where this host has what the guest has on its port.
    port: u16,
    /// What was started in it: a copy of the machine starts the same.
    started: Arc<Mutex<Supervise>>,
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

/// A process that is kept running, as a guest's agent does.
struct Kept {
    watched: Watched,
    task: AbortHandle,
}

/// How long one that ended waits for its next start.
const RESTART_AFTER: Duration = Duration::from_millis(50);

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

impl Local {
    fn kill(&self) {
        for (_, kept) in std::mem::take(&mut *self.kept.lock().unwrap()) {
            kept.task.abort();
        }
        for group in self.groups.lock().unwrap().drain(..) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    /// A text of a command with the machine's folders in place of a guest's.
    fn here(&self, text: &str) -> String {
        let root = self.root.display().to_string();
        let git = format!("{root}/gitconfig");
        let text = text.replace("/etc/gitconfig", &git);
        let text = text.replace("/opt/pando", "\u{1}");
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("/app") {
            let (before, after) = (&rest[..at], &rest[at + 4..]);
            let whole = after.is_empty() || after.starts_with([' ', '/', '\n']);
            out.push_str(before);
            out.push_str(&if whole { format!("{root}/app") } else { "/app".to_owned() });
            rest = after;
        }
        out.push_str(rest);
        out.replace('\u{1}', &format!("{root}/opt"))
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

impl Local {
    fn log(&self, process: &str) -> PathBuf {
        self.root.join(format!("log/{process}.log"))
    }

    /// Runs a process again and again.
    async fn keep(self, process: Supervised) {
        let mut exec = Exec {
            argv: process.argv,
            cwd: process.cwd,
            env: process.env,
            user: process.user,
            timeout_ms: None,
            detached_log: None,
            log_name: None,
            root: process.root,
        };
        if process.name == "web" {
            self.listen_here(&mut exec);
        }
        let log = std::fs::File::create(self.log(&process.name)).unwrap();
        loop {
            let mut command = self.command(&exec);
            command.stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
            let mut child = command.spawn().unwrap();
            self.remember(&child);
            let pid = child.id().unwrap();
            self.note(&process.name, |watched| {
                watched.state = ProcessState::Running { pid, since_ms: 0 };
            });
            let status = child.wait().await.unwrap();
            self.note(&process.name, |watched| {
                watched.state = ProcessState::Waiting { until_ms: 0 };
                watched.last_exit_code = status.code();
            });
            tokio::time::sleep(RESTART_AFTER).await;
            self.note(&process.name, |watched| watched.restarts += 1);
        }
    }

    fn note(&self, process: &str, change: impl FnOnce(&mut Watched)) {
        if let Some(kept) = self.kept.lock().unwrap().get_mut(process) {
            change(&mut kept.watched);
        }
    }

    /// On this host, many have the port that a guest has for itself.
    fn listen_here(&self, exec: &mut Exec) {
        let (guest_port, port) = (exec.env["PORT"].clone(), self.port.to_string());
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
        let local = Local {
            app: spec.app,
            deployment: spec.deployment,
            root,
            groups: Arc::default(),
            kept: Arc::default(),
            port: free_port(),
            started: Arc::default(),
        };
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

    async fn stop(&self, org: OrgId, id: SandboxId) -> Result<(), PublicError> {
        let stopped = self.open(org, id).await?.supervise(Supervise::default()).await;
        stopped.map_err(|error| PublicError::from(&error))
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

    async fn enter_image(&self) -> Result<(), GuestError> {
        Ok(())
    }

    async fn settle_disk(&self) -> Result<(), GuestError> {
        Ok(())
    }

    async fn supervise(&self, list: Supervise) -> Result<(), GuestError> {
        self.kill();
        self.started.lock().unwrap().clone_from(&list);
        for mut process in list.processes {
            let mut env = list.env.clone();
            env.append(&mut process.env);
            let name = process.name.clone();
            let watched = Watched {
                name: name.clone(),
                state: ProcessState::Starting,
                restarts: 0,
                last_exit_code: None,
            };
            let keeping = self.clone().keep(Supervised { env, ..process });
            let mut kept = self.kept.lock().unwrap();
            let task = tokio::spawn(keeping).abort_handle();
            kept.insert(name, Kept { watched, task });
        }
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Watched>, GuestError> {
        Ok(self.kept.lock().unwrap().values().map(|kept| kept.watched.clone()).collect())
    }

    async fn logs(&self, query: LogQuery) -> Result<LogStream, GuestError> {
        let Whose::Process(name) = query.whose else { panic!("asked of one process only") };
        let said = std::fs::read_to_string(self.log(&name)).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let skip = lines.len().saturating_sub(query.tail.unwrap_or(usize::MAX));
        let (text, process) = (lines[skip..].join("\n"), Some(name));
        let lines = LogLines { time_ms: 0, output: log::Output::Stdout, pid: 1, process, text };
        Ok(stream::iter([Ok(lines)]).boxed())
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
