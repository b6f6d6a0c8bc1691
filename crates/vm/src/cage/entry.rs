//! The way in: what a new process does before it becomes the VMM.
//!
//! Between `clone` and `exec` it only makes system calls. Each step that fails
//! goes back over a socket with its number; `exec` closes the socket, and that is
//! how the server knows that all went well.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Gid, Resource, Rlimit, Uid, chdir, setrlimit, setsid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, move_into_link_name_space,
    set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::CageError;
use super::room::Room;
use crate::sys::clone::{Cloned, clone, reset_signals};
use crate::sys::process::Watched;
use crate::sys::seccomp::Filter;
use crate::sys::tap;

/// A step of the way in, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// A session of its own, so that no terminal's signals reach it.
    Session,
    /// Standard input and output.
    Streams,
    /// Everything else is closed at `exec`.
    Descriptors,
    /// Attaching to the tap in the slot's network namespace.
    Tap,
    /// Entering the room.
    Room,
    /// Resource limits.
    Limits,
    /// Its own user and group, and no other.
    User,
    /// No capability, now or later.
    Capabilities,
    /// The system call filter.
    Filter,
    /// Telling the server where the filter's questions arrive.
    Listener,
    /// Keeping what it inherits.
    Inheritance,
    /// How many files it may open.
    OpenFiles,
    /// Becoming the program.
    Program,
}

const STEPS: [Step; 13] = [
    Step::Session,
    Step::Streams,
    Step::Descriptors,
    Step::Tap,
    Step::Room,
    Step::Limits,
    Step::User,
    Step::Capabilities,
    Step::Filter,
    Step::Listener,
    Step::Inheritance,
    Step::OpenFiles,
    Step::Program,
];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "session",
            Self::Streams => "streams",
            Self::Descriptors => "descriptors",
            Self::Tap => "tap",
            Self::Room => "room",
            Self::Limits => "limits",
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::Filter => "filter",
            Self::Listener => "listener",
            Self::Inheritance => "inheritance",
            Self::OpenFiles => "open files",
            Self::Program => "program",
        })
    }
}

/// All that a process needs on its way.
pub(super) struct Entry<'a> {
    pub program: &'a CStr,
    pub arguments: &'a [String],
    /// `NAME=value` each.
    pub environment: &'a [String],
    pub stdin: BorrowedFd<'a>,
    pub log: BorrowedFd<'a>,
    pub inherited: &'a [BorrowedFd<'a>],
    pub network: BorrowedFd<'a>,
    /// Its number becomes the tap's.
    pub tap: BorrowedFd<'a>,
    pub room: &'a Room,
    /// Its user and group.
    pub id: u32,
    pub open_files: u64,
    pub threads: u64,
    pub file_bytes: u64,
    pub mapped_bytes: u64,
    pub filter: &'a Filter,
}

/// Makes the process and sends it on its way.
pub(super) fn begin(
    entry: &Entry<'_>,
    group: Option<BorrowedFd<'_>>,
) -> Result<(Watched, Report), CageError> {
    // Everything that allocates comes before the clone.
    let name = entry.program.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let texts = std::iter::once(name).chain(entry.arguments.iter().map(String::as_bytes));
    let arguments = c_strings(texts)?;
    let environment = c_strings(entry.environment.iter().map(String::as_bytes))?;
    let (arguments, environment) = (pointers(&arguments), pointers(&environment));
    let (flags, kind) = (SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, SocketType::SEQPACKET);
    let pair = socketpair(AddressFamily::UNIX, kind, flags, None);
    let (ours, theirs) = pair.map_err(|error| CageError::Clone(error.into()))?;

    // SAFETY: the child calls `go_in`, which keeps to system calls, and ends.
    match unsafe { clone(group) }.map_err(CageError::Clone)? {
        Cloned::Child => {
            let (step, error) = match go_in(entry, theirs.as_fd()) {
                Err(failed) => failed,
                Ok(()) => (Step::Program, become_program(entry.program, &arguments, &environment)),
            };
            let [one, two, three, four] = error.raw_os_error().to_le_bytes();
            let message = [step as u8, one, two, three, four];
            let _ = rustix::net::send(&theirs, &message, SendFlags::NOSIGNAL);
            // SAFETY: ends this process at once; nothing of ours is torn down.
            unsafe { libc::_exit(EXIT_NOT_IN) }
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let process = Watched::from_pidfd(pid, pidfd).map_err(CageError::Clone)?;
            Ok((process, Report::new(ours).map_err(CageError::Clone)?))
        }
    }
}

fn c_strings<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<CString>, CageError> {
    let texts = texts.map(CString::new).collect::<Result<_, _>>();
    texts.map_err(|error| CageError::Clone(error.into()))
}

/// As `execve(2)` takes them.
fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let texts = texts.iter().map(|text| text.as_ptr());
    texts.chain(std::iter::once(std::ptr::null())).collect()
}

/// The status of a process that did not get in.
const EXIT_NOT_IN: i32 = 126;

/// In the child: every step but the last. No allocation, no lock, no panic.
fn go_in(entry: &Entry<'_>, report: BorrowedFd<'_>) -> Result<(), (Step, Errno)> {
    let at = |step: Step| move |error: Errno| (step, error);
    setsid().map_err(at(Step::Session))?;

    rustix::stdio::dup2_stdin(entry.stdin).map_err(at(Step::Streams))?;
    rustix::stdio::dup2_stdout(entry.log).map_err(at(Step::Streams))?;
    rustix::stdio::dup2_stderr(entry.log).map_err(at(Step::Streams))?;
    close_all_at_exec().map_err(at(Step::Descriptors))?;

    let network = Some(rustix::thread::LinkNameSpaceType::Network);
    move_into_link_name_space(entry.network, network).map_err(at(Step::Tap))?;
    let tap = tap::attach(b"tap0").map_err(at(Step::Tap))?;
    replace(&tap, entry.tap).map_err(at(Step::Tap))?;

    for namespace in entry.room.namespaces() {
        move_into_link_name_space(namespace, None).map_err(at(Step::Room))?;
    }
    chdir(c"/").map_err(at(Step::Room))?;

    let limits = [
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
        (Resource::Nproc, entry.threads),
        (Resource::Fsize, entry.file_bytes),
        (Resource::Data, entry.mapped_bytes),
    ];
    for (resource, most) in limits {
        setrlimit(resource, at_most(most)).map_err(at(Step::Limits))?;
    }

    // While we may: once the user is another, the bounding set cannot be changed.
    drop_bounding_set().map_err(at(Step::Capabilities))?;
    let (user, group) = (Uid::from_raw(entry.id), Gid::from_raw(entry.id));
    set_thread_groups(&[]).map_err(at(Step::User))?;
    set_thread_res_gid(group, group, group).map_err(at(Step::User))?;
    set_thread_res_uid(user, user, user).map_err(at(Step::User))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(at(Step::Capabilities))?;
    clear_ambient_capability_set().map_err(at(Step::Capabilities))?;
    set_no_new_privs(true).map_err(at(Step::Capabilities))?;

    let listener = entry.filter.install().map_err(at(Step::Filter))?;
    send_listener(report, listener.as_fd()).map_err(at(Step::Listener))?;

    for fd in entry.inherited.iter().chain([&entry.tap]) {
        fcntl_setfd(fd, FdFlags::empty()).map_err(at(Step::Inheritance))?;
    }
    // Last: until `exec` the server's descriptors are still here, and they may be many.
    setrlimit(Resource::Nofile, at_most(entry.open_files)).map_err(at(Step::OpenFiles))?;
    reset_signals();
    Ok(())
}

fn at_most(most: u64) -> Rlimit {
    Rlimit { current: Some(most), maximum: Some(most) }
}

fn become_program(
    program: &CStr,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> Errno {
    // SAFETY: both lists end in null, and all strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    crate::sys::last_error()
}

fn close_all_at_exec() -> Result<(), Errno> {
    const FIRST: libc::c_uint = 3;
    // SAFETY: marks descriptors and closes none.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_uint,
        )
    };
    crate::sys::checked(outcome).map(drop)
}

/// Puts `new` under the number of `old`.
fn replace(new: &OwnedFd, old: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: in this process nothing uses `old`, which the call closes.
    let outcome = unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) };
    crate::sys::checked(outcome.into()).map(drop)
}

fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..=u64::BITS {
        // SAFETY: changes this thread's set alone.
        let outcome =
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
        match crate::sys::checked(outcome.into()) {
            // Past the last that this kernel knows.
            Err(Errno::INVAL) if capability > 0 => return Ok(()),
            other => other?,
        };
    }
    Ok(())
}

/// What precedes the listener; a failed step has other numbers.
const LISTENER: u8 = u8::MAX;

fn send_listener(report: BorrowedFd<'_>, listener: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [listener];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(report, &[IoSlice::new(&[LISTENER])], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// What a process says on its way.
pub(super) enum Said {
    /// Where its filter's questions arrive.
    Listener(OwnedFd),
    /// A step failed.
    Failed(Step, io::Error),
    /// No more: it is the program now, or it ended.
    Nothing,
}

/// The server's end of what is said on the way.
pub(super) struct Report(AsyncFd<OwnedFd>);

impl Report {
    fn new(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives.
        Ok(Self(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? }))
    }

    /// Waits for what it says next.
    pub(super) async fn next(&self) -> io::Result<Said> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| receive(socket.get_ref().as_fd()).map_err(Into::into)) {
                Ok(said) => return said,
                Err(_would_block) => {}
            }
        }
    }
}

fn receive(socket: BorrowedFd<'_>) -> Result<Said, Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 5];
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let listener = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let [step, errno @ ..] = bytes;
    match (received.bytes, listener) {
        (0, _) => Ok(Said::Nothing),
        (_, Some(listener)) if step == LISTENER => Ok(Said::Listener(listener)),
        _ => {
            let step = STEPS.get(usize::from(step)).copied().unwrap_or(Step::Session);
            Ok(Said::Failed(step, io::Error::from_raw_os_error(i32::from_le_bytes(errno))))
        }
    }
}
