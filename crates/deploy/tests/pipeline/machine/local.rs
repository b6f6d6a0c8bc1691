//! One machine: a folder, and processes in it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pando_deploy::machine::{Machine, Output};
use pando_guest_protocol::log::{self, LogLines, LogQuery, Whose};
use pando_guest_protocol::session::{Exec, ExecDone, Failure, FailureKind, Listener};
use pando_guest_protocol::supervise::{ProcessState, Supervise, Supervised, Watched};
use pando_node::guest::{ExecEvent, ExecInput, GuestError, LogStream};
use pando_types::{AppId, DeploymentId};
use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::AbortHandle;
use tokio_util::io::ReaderStream;

#[derive(Clone)]
pub(super) struct Local {
    pub(super) app: AppId,
    pub(super) deployment: DeploymentId,
    pub(super) root: PathBuf,
    /// Of commands that were run once.
    commands: Groups,
    /// Of what is kept running.
    supervised: Groups,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    /// Where this host has what the guest has on its port.
    port: u16,
    /// What was started in it: a copy of the machine starts the same.
    pub(super) started: Arc<Mutex<Supervise>>,
}

/// Process groups.
type Groups = Arc<Mutex<Vec<Pid>>>;

/// A process that is kept running, as a guest's agent does.
struct Kept {
    watched: Watched,
    task: AbortHandle,
}

fn remember(groups: &Groups, child: &Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
    groups.lock().unwrap().push(pid);
}

fn end(groups: &Groups) {
    for group in groups.lock().unwrap().drain(..) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// How long one that ended waits for its next start.
const RESTART_AFTER: Duration = Duration::from_millis(50);
/// How often one who follows a log looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Local {
    /// One in a folder that is there, in which nothing runs.
    pub(super) fn new(app: AppId, deployment: DeploymentId, root: PathBuf) -> Self {
        Self {
            app,
            deployment,
            root,
            commands: Arc::default(),
            supervised: Arc::default(),
            kept: Arc::default(),
            port: free_port(),
            started: Arc::default(),
        }
    }

    pub(super) fn kill(&self) {
        self.stop();
        end(&self.commands);
    }

    pub(super) fn is_used(&self) -> bool {
        let commands = self.commands.lock().unwrap();
        commands.iter().any(|group| rustix::process::test_kill_process_group(*group).is_ok())
    }

    fn stop(&self) {
        for (_, kept) in std::mem::take(&mut *self.kept.lock().unwrap()) {
            kept.task.abort();
        }
        end(&self.supervised);
    }

    /// A text of a command with the machine's folders in place of a guest's.
    pub(super) fn here(&self, text: &str) -> String {
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

    fn log(&self, process: &str) -> PathBuf {
        self.root.join(format!("log/{process}.log"))
    }

    /// The lines of a process so far; none once the machine is gone.
    fn said(&self, process: &str) -> Option<Vec<String>> {
        let said = std::fs::read_to_string(self.log(process)).ok()?;
        // What has no end yet is not a line.
        let whole = &said[..said.rfind('\n').map_or(0, |end| end + 1)];
        Some(whole.lines().map(str::to_owned).collect())
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
            remember(&self.supervised, &child);
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
        remember(&self.commands, &child);
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
        self.stop();
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
        let names: Vec<String> = match query.whose {
            Whose::Process(name) => vec![name],
            Whose::Processes => self.kept.lock().unwrap().keys().cloned().collect(),
            Whose::All => panic!("what commands say is not kept"),
        };
        let tail = query.tail.unwrap_or(usize::MAX);
        let reading = |name: String| {
            let shown = self.said(&name).unwrap_or_default().len().saturating_sub(tail);
            (name, shown)
        };
        let reading: Vec<_> = names.into_iter().map(reading).collect();
        let batches =
            stream::unfold((self.clone(), reading), move |(local, mut reading)| async move {
                let batch: Option<Vec<_>> = reading
                    .iter_mut()
                    .map(|(name, shown)| {
                        let said = local.said(name)?.split_off(*shown);
                        *shown += said.len();
                        Some((name.clone(), said))
                    })
                    .collect();
                tokio::time::sleep(LOOK_EVERY).await;
                Some((batch?, (local, reading)))
            });
        let batches = if query.follow { batches.boxed() } else { batches.take(1).boxed() };
        let lines = |(process, said): (String, Vec<String>)| {
            let lines = |text| LogLines {
                time_ms: 0,
                output: log::Output::Stdout,
                pid: 1,
                process: Some(process),
                text,
            };
            (!said.is_empty()).then(|| Ok(lines(said.join("\n"))))
        };
        Ok(batches.flat_map(move |batch| stream::iter(batch.into_iter().filter_map(lines))).boxed())
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
