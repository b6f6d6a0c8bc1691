//! The system call filter that a VMM starts under, and the one call in it that
//! we answer ourselves (`seccomp(2)`, `seccomp_unotify(2)`).
//!
//! QEMU 7.2 opens its memory file for reading and writing even where it maps it
//! privately, and a file that many machines share must be writable by none. So
//! a plain `open(path, O_RDWR)` waits for us, and we hand over a descriptor of
//! our choice: one that only reads, for a restore.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clone::Blocked;

/// Calls that no VMM of ours makes: sockets it was not handed, other processes'
/// memory, and corners of the kernel with a record of holes.
const REFUSED: [libc::c_long; 52] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_fanotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_quotactl,
    libc::SYS_mknodat,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_memfd_secret,
];

/// `AUDIT_ARCH_X86_64` (linux/audit.h).
const ARCHITECTURE: u32 = 0xc000_003e;
/// Numbers from here on are the x32 interface's (asm/unistd.h).
const X32_BIT: u32 = 0x4000_0000;
/// Offsets in `struct seccomp_data` (linux/seccomp.h): `nr`, `arch`, `args[2]`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const THIRD_ARGUMENT: u32 = 32;

/// A filter, as the kernel takes it.
#[derive(Debug)]
pub(crate) struct Filter(Vec<libc::sock_filter>);

impl Filter {
    pub(crate) fn new() -> Self {
        const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        let one = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
            // Every code fits: they are all below 256 (linux/bpf_common.h).
            code: code as u16,
            jt,
            jf,
            k,
        };
        let mut program = vec![
            one(LOAD, ARCH, 0, 0),
            one(EQUAL, ARCHITECTURE, 1, 0),
            one(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
            one(LOAD, NUMBER, 0, 0),
            one(AT_LEAST, X32_BIT, 0, 1),
            one(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
            one(EQUAL, libc::SYS_openat as u32, 0, 4),
            one(LOAD, THIRD_ARGUMENT, 0, 0),
            one(EQUAL, libc::O_RDWR as u32, 0, 1),
            one(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
            one(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        ];
        for (index, number) in REFUSED.iter().enumerate() {
            // Over the rest of the list and the `allow` behind it.
            let distance = (REFUSED.len() - index) as u8;
            program.push(one(EQUAL, *number as u32, distance, 0));
        }
        program.push(one(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
        program.push(one(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0));
        Self(program)
    }

    /// Puts this thread under the filter for good, and returns where its
    /// questions arrive. Makes one system call and allocates nothing.
    pub(crate) fn install(&self) -> Result<OwnedFd, Errno> {
        let program = libc::sock_fprog {
            len: self.0.len() as u16,
            // The kernel only reads it.
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: `program` points at `len` instructions that outlive the call.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        let listener = super::checked(listener)?;
        // SAFETY: the call made this descriptor, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) })
    }
}

/// `SECCOMP_IOCTL_NOTIF_RECV`, `_SEND` and `_ADDFD` (linux/seccomp.h).
const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ADD_DESCRIPTOR: libc::c_ulong = 0x4018_2103;
/// `SECCOMP_ADDFD_FLAG_SEND`: the descriptor is the call's result (Linux 5.14).
const AND_ANSWER: u32 = 1 << 1;

/// Where the calls of a filtered process wait for an answer. Once this is closed
/// they fail with `ENOSYS`.
#[derive(Debug)]
pub(crate) struct Listener(AsyncFd<OwnedFd>);

impl Listener {
    pub(crate) fn new(listener: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives.
        Ok(Self(unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE)? }))
    }

    /// Lets calls pass until each of these paths was opened in turn, and answers those calls
    /// with the files. Returns also when the process is gone.
    ///
    /// What the caller's memory says of the path may change under us. That costs
    /// nothing: a call that passes meets the room, and the files are the caller's anyway.
    ///
    /// # Errors
    /// What the kernel said; `InvalidData` when one is asked for before its turn.
    pub(crate) async fn hand_over(&self, files: &[(String, BorrowedFd<'_>)]) -> io::Result<()> {
        let mut left = files;
        while let [(_, file), later @ ..] = left {
            let Some(question) = self.question().await? else { return Ok(()) };
            let answered = match asks_for(&question, left)? {
                Some(0) => self.give(question.id, *file).map(|()| true),
                Some(_) => {
                    let text = "a file of the memory was asked for before its turn";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                None => self.pass(question.id).map(|()| false),
            };
            match answered {
                Ok(true) => left = later,
                // A signal interrupted the caller, who will ask again.
                Ok(false) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the next call; `None` when nobody is left under the filter.
    async fn question(&self) -> io::Result<Option<libc::seccomp_notif>> {
        loop {
            let mut ready = self.0.readable().await?;
            // To ask when there is no question would block.
            let state = self.state()?;
            if state.contains(PollFlags::IN) {
                match self.receive() {
                    Err(Errno::NOENT | Errno::INTR) => continue,
                    other => return Ok(Some(other?)),
                }
            }
            // This stays so, and readiness with it: going round again would never yield.
            if state.contains(PollFlags::HUP) {
                return Ok(None);
            }
            ready.clear_ready();
        }
    }

    fn state(&self) -> io::Result<PollFlags> {
        let _undisturbed = Blocked::all();
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default()))?;
        Ok(fds[0].revents())
    }

    fn receive(&self) -> Result<libc::seccomp_notif, Errno> {
        // SAFETY: plain integers, for which zeros are a value; the kernel asks for zeros.
        let mut question: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        self.control(RECEIVE, (&raw mut question).cast())?;
        Ok(question)
    }

    fn give(&self, id: u64, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut answer = libc::seccomp_notif_addfd {
            id,
            flags: AND_ANSWER,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: 0,
        };
        self.control(ADD_DESCRIPTOR, (&raw mut answer).cast())
    }

    fn pass(&self, id: u64) -> Result<(), Errno> {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
        self.control(SEND, (&raw mut answer).cast())
    }

    /// No signal comes in between. Where one does while a descriptor is handed over, the
    /// kernel takes it back, has answered all the same, and says `EINPROGRESS` when the call
    /// is begun again: the caller then goes on with a descriptor that is another's.
    fn control(&self, request: libc::c_ulong, argument: *mut libc::c_void) -> Result<(), Errno> {
        let _undisturbed = Blocked::all();
        // SAFETY: each request above comes with the structure that it names.
        let outcome = unsafe { libc::ioctl(self.0.as_fd().as_raw_fd(), request, argument) };
        super::checked(outcome.into()).map(drop)
    }
}

/// Which of the files' paths the call opens.
fn asks_for(
    question: &libc::seccomp_notif,
    files: &[(String, BorrowedFd<'_>)],
) -> io::Result<Option<usize>> {
    let memory = match File::open(format!("/proc/{}/mem", question.pid)) {
        // It is gone: whoever waits for it hears of that.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    Ok(files.iter().position(|(path, _)| {
        let mut found = vec![0; path.len() + 1];
        // A path that ends at the end of a mapping is shorter than what is asked for.
        let outcome = memory.read_exact_at(&mut found, question.data.args[1]);
        outcome.is_ok() && found.strip_suffix(&[0]) == Some(path.as_bytes())
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    extern "C" fn nothing(_: libc::c_int) {}

    /// As a runtime's handler of ended children is.
    fn handle(signal: libc::c_int) {
        // SAFETY: the structure is plain memory, and the handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
        }
    }

    /// Opens the path as a VMM does, so often, under the filter; sends where the questions
    /// arrive, and returns how often it got the file of that inode.
    fn ask(
        path: &std::ffi::CStr,
        inode: u64,
        times: usize,
        arrives: tokio::sync::oneshot::Sender<OwnedFd>,
    ) -> usize {
        arrives.send(Filter::new().install().unwrap()).unwrap();
        let mut got = 0;
        for _ in 0..times {
            // SAFETY: the path is a string; what is opened is nobody else's.
            let fd = unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), libc::O_RDWR) };
            if fd > 2 {
                // SAFETY: as above.
                let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
                got += usize::from(file.metadata().unwrap().ino() == inode);
            }
        }
        got
    }

    #[test]
    fn signals_do_not_come_between_a_question_and_its_answer() {
        const TIMES: usize = 3000;
        const SIGNAL: libc::c_int = libc::SIGURG;
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("asked"), folder.path().join("given"));
        File::create(&path).unwrap();
        File::create(&other).unwrap();
        let given = File::open(&other).unwrap();
        let inode = given.metadata().unwrap().ino();
        let asked = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        handle(SIGNAL);
        // SAFETY: names this thread, which outlives the one that it is told to.
        let answering = unsafe { libc::pthread_self() };
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (arrives, arrived) = tokio::sync::oneshot::channel();
            let asking = scope.spawn(|| ask(&asked, inode, TIMES, arrives));
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // SAFETY: that thread lives as long as this scope.
                    unsafe { libc::pthread_kill(answering, SIGNAL) };
                    std::thread::sleep(std::time::Duration::from_micros(20));
                }
            });
            let answered = block_on(async {
                let listener = Listener::new(arrived.await.unwrap()).unwrap();
                let file = (path.to_str().unwrap().to_owned(), given.as_fd());
                for _ in 0..TIMES {
                    listener.hand_over(std::slice::from_ref(&file)).await?;
                }
                io::Result::Ok(())
            });
            is_over.store(true, Ordering::Relaxed);
            answered.unwrap();
            assert_eq!(asking.join().unwrap(), TIMES);
        });
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }
}
