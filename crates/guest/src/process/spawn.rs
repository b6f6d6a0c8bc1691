//! Starting a command.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pando_guest_protocol::session::Exec;
use rustix::fs::{Mode, OFlags};
use rustix::process::{geteuid, setpriority_process, setsid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use rustix::{fs::Gid, fs::Uid};
use tokio::net::unix::pipe;

use super::program::{self, Lookup};
use super::reaper::{self, Child, Group};
use super::root::{Entrance, Root};
use super::users::User;
use super::workload::{self, MayStart};
use super::{environment, users};

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Not even a program.
    #[error("argv is empty: it needs at least the program")]
    NoProgram,
    /// An argument that no program can receive.
    #[error("argv[{0}] holds a NUL byte")]
    Argument(usize),
    /// A variable that no environment can hold.
    #[error("env: `{0}` has an empty key, a `=` in its key, or a NUL byte")]
    Variable(String),
    /// Neither an account nor a number.
    #[error("no user `{0}`")]
    UnknownUser(String),
    /// The working directory is not there.
    #[error("no directory `{0}` to work in")]
    NoDirectory(String),
    /// What it is to take for `/` is not there.
    #[error("no directory `{0}` to take for its root")]
    NoRoot(String),
    /// No such program.
    #[error("no program `{0}` in PATH")]
    NotInPath(String),
    /// No such file.
    #[error("no program `{0}`")]
    NoFile(String),
    /// It exists and cannot be run.
    #[error("`{0}` is not executable")]
    NotExecutable(String),
    /// The kernel did not start it.
    #[error("`{program}` did not start: {source}")]
    Start {
        /// What was to run.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The agent could not prepare it.
    #[error("the command could not be prepared: {0}")]
    Prepare(#[from] io::Error),
}

/// A running command and the agent's ends of its pipes.
#[derive(Debug)]
pub struct Piped {
    /// The command.
    pub child: Child,
    /// What it reads.
    pub stdin: pipe::Sender,
    /// What it writes.
    pub stdout: pipe::Receiver,
    /// What it complains.
    pub stderr: pipe::Receiver,
}

/// Starts a command on three pipes.
///
/// It runs on the runtime's thread: until the kernel has taken the program in,
/// which is less work than handing it to another thread and back.
///
/// # Errors
/// [`SpawnError`]; nothing is left running.
pub fn piped(exec: &Exec, _: MayStart) -> Result<Piped, SpawnError> {
    let mut command = prepare(exec)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut streams, child) =
        reaper::spawn(&mut command, Group::LivesOn).map_err(start_error(exec))?;
    let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
    let stdin = OwnedFd::from(streams.stdin.take().ok_or_else(missing)?);
    let (stdout, stderr) = outputs(&mut streams)?;
    Ok(Piped { child, stdin: pipe::Sender::from_owned_fd(stdin)?, stdout, stderr })
}

/// A running process without input, and the agent's ends of its outputs.
#[derive(Debug)]
pub struct Unfed {
    /// The process.
    pub child: Child,
    /// What it writes.
    pub stdout: pipe::Receiver,
    /// What it complains.
    pub stderr: pipe::Receiver,
}

/// Starts a process without input, whose group ends with it: it is started again, and
/// must not find its former self on its port.
///
/// # Errors
/// [`SpawnError`]; nothing is left running.
pub fn unfed(exec: &Exec, _: MayStart) -> Result<Unfed, SpawnError> {
    let mut command = prepare(exec)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = reaper::spawn(&mut command, Group::EndsToo);
    let (mut streams, child) = spawned.map_err(start_error(exec))?;
    let (stdout, stderr) = outputs(&mut streams)?;
    Ok(Unfed { child, stdout, stderr })
}

/// A command that lives on by itself, and the agent's ends of its outputs.
#[derive(Debug)]
pub struct Detached {
    /// Its process id, which is also its process group and session.
    pub pid: u32,
    /// What it writes.
    pub stdout: pipe::Receiver,
    /// What it complains.
    pub stderr: pipe::Receiver,
}

/// Starts a command that lives on by itself, without input.
///
/// # Errors
/// [`SpawnError`].
pub fn detached(exec: &Exec, _: MayStart) -> Result<Detached, SpawnError> {
    let mut command = prepare(exec)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut streams = reaper::spawn_detached(&mut command).map_err(start_error(exec))?;
    let (stdout, stderr) = outputs(&mut streams)?;
    Ok(Detached { pid: streams.id(), stdout, stderr })
}

/// The agent's ends of a child's outputs.
pub(super) fn outputs(
    streams: &mut std::process::Child,
) -> io::Result<(pipe::Receiver, pipe::Receiver)> {
    let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
    let stdout = OwnedFd::from(streams.stdout.take().ok_or_else(missing)?);
    let stderr = OwnedFd::from(streams.stderr.take().ok_or_else(missing)?);
    Ok((pipe::Receiver::from_owned_fd(stdout)?, pipe::Receiver::from_owned_fd(stderr)?))
}

pub(super) fn start_error(exec: &Exec) -> impl FnOnce(io::Error) -> SpawnError {
    let program = exec.argv.first().cloned().unwrap_or_default();
    |source| SpawnError::Start { program, source }
}

/// All of a command but its streams.
pub(super) fn prepare(exec: &Exec) -> Result<Command, SpawnError> {
    let name = exec.argv.first().ok_or(SpawnError::NoProgram)?;
    if let Some(index) = exec.argv.iter().position(|argument| argument.contains('\0')) {
        return Err(SpawnError::Argument(index));
    }
    if let Some(key) = environment::find_invalid(&exec.env) {
        return Err(SpawnError::Variable(key.to_owned()));
    }
    let root = exec.root.as_deref().map(Root::find).transpose()?;
    let Found { user, directory, environment, program } = match &root {
        Some(root) => root.look(|| find(exec, name))??,
        None => find(exec, name)?,
    };

    let mut command = Command::new(program);
    command.arg0(name).args(exec.argv.iter().skip(1)).env_clear().envs(environment);
    let entrance = match root {
        Some(root) => Some(root.entrance(&directory)?),
        None => {
            command.current_dir(directory);
            None
        }
    };
    let switch = Switch::to(&user, entrance);
    // SAFETY: between fork and exec only system calls are made, on memory that is
    // already there: `enter` neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || switch.enter()) };
    Ok(command)
}

/// What a command needs that is in files.
struct Found {
    user: User,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    program: PathBuf,
}

fn find(exec: &Exec, name: &str) -> Result<Found, SpawnError> {
    let user = users::find(exec.user.as_deref())?
        .ok_or_else(|| SpawnError::UnknownUser(exec.user.clone().unwrap_or_default()))?;
    let directory = directory(exec.cwd.as_deref(), &user)?;
    let template = match exec.root {
        // An image says what is set in it elsewhere.
        Some(_) => String::new(),
        None => super::read_settings(Path::new("/etc/environment"))?,
    };
    let environment = environment::of(&user, &template, &exec.env);
    let search = environment.get("PATH").map_or("", String::as_str);
    let program = match program::find(name, search, &directory) {
        Lookup::Found(path) => path,
        Lookup::NotExecutable => return Err(SpawnError::NotExecutable(name.to_owned())),
        Lookup::Missing if name.contains('/') => return Err(SpawnError::NoFile(name.to_owned())),
        Lookup::Missing => return Err(SpawnError::NotInPath(name.to_owned())),
    };
    Ok(Found { user, directory, environment, program })
}

/// Where the command works: what was asked for, which must be there, or home, or the root.
fn directory(wanted: Option<&str>, user: &User) -> Result<PathBuf, SpawnError> {
    if let Some(wanted) = wanted {
        let path = Path::new(wanted);
        return match path.is_absolute() && path.is_dir() {
            true => Ok(path.to_owned()),
            false => Err(SpawnError::NoDirectory(wanted.to_owned())),
        };
    }
    let home = Path::new(&user.home);
    Ok(if home.is_absolute() && home.is_dir() { home.to_owned() } else { PathBuf::from("/") })
}

/// What a child does between fork and exec.
struct Switch {
    /// Where it has another root.
    entrance: Option<Entrance>,
    /// `None` where the agent's own user stays.
    account: Option<Account>,
}

struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Switch {
    fn to(user: &User, entrance: Option<Entrance>) -> Self {
        let account = (user.uid != geteuid().as_raw()).then(|| Account {
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(user.gid),
            groups: user.groups.iter().map(|id| Gid::from_raw(*id)).collect(),
        });
        Self { entrance, account }
    }

    /// Enters the workload, leads a session of its own, drops what only the agent has (its
    /// priority, its OOM protection, its root), becomes the user. The last is about one thread, which is all a fresh child has.
    fn enter(&self) -> io::Result<()> {
        workload::enter()?;
        setsid()?;
        // It fails only where there is no agent's priority to leave.
        let _unused = setpriority_process(None, 0);
        leave_oom_protection(c"/proc/self/oom_score_adj");
        if let Some(entrance) = &self.entrance {
            entrance.enter()?;
        }
        if let Some(account) = &self.account {
            set_thread_groups(&account.groups)?;
            set_thread_gid(account.gid)?;
            set_thread_uid(account.uid)?;
        }
        Ok(())
    }
}

/// Raising one's own score is always allowed, so this fails only where there is no `/proc`, and no protection.
fn leave_oom_protection(path: &CStr) {
    if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _unused = rustix::io::write(&file, b"0");
    }
}
