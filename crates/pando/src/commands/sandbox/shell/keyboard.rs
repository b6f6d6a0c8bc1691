//! This terminal: its raw mode, and its keys.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Most bytes of one read; a paste comes in several.
const READ_BYTES: usize = 4096;
/// Reads that wait to be sent.
const READS_WAITING: usize = 16;

/// The terminal hands each key on as it is, until this is dropped.
pub struct RawMode(Termios);

impl RawMode {
    /// Enters it.
    pub fn enter() -> io::Result<Self> {
        let usual = tcgetattr(io::stdin())?;
        let mut raw = usual.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        Ok(Self(usual))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// The keys, read by a thread: a read of a terminal cannot be given up, but a wait
/// for it can. Dropped, it ends the thread.
pub struct Keyboard {
    typed: mpsc::Receiver<Vec<u8>>,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Keyboard {
    /// Starts reading.
    pub fn start() -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let (keys, typed) = mpsc::channel(READS_WAITING);
        let thread = std::thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || read_until(&stopped, &keys))?;
        Ok(Self { typed, stop: Some(stop), thread: Some(thread) })
    }

    /// What is typed next; `None` when the terminal is gone.
    pub async fn typed(&mut self) -> Option<Vec<u8>> {
        self.typed.recv().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.typed.close();
        // The pipe's other end hangs up, which ends the wait.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_until(stopped: &OwnedFd, keys: &mpsc::Sender<Vec<u8>>) {
    let stdin = io::stdin();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut waited = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !waited[1].revents().is_empty() {
            return;
        }
        if waited[0].revents().is_empty() {
            continue;
        }
        match rustix::io::read(&stdin, &mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                if keys.blocking_send(bytes).is_err() {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
