//! This program's standard input, to be waited for beside other things.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

/// Most bytes of one read.
const READ_BYTES: usize = 64 * 1024;
/// Reads that wait to be sent.
const READS_WAITING: usize = 4;

/// Standard input, read by a thread: a read of a terminal or a pipe cannot be given
/// up, but a wait for it can. Dropped, it ends the thread.
pub struct Stdin {
    pieces: mpsc::Receiver<Vec<u8>>,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Stdin {
    /// Starts reading.
    pub fn start() -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let (read, pieces) = mpsc::channel(READS_WAITING);
        let thread = std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || read_until(&stopped, &read))?;
        Ok(Self { pieces, stop: Some(stop), thread: Some(thread) })
    }

    /// What comes next; `None` at the end.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.recv().await
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        self.pieces.close();
        // The pipe's other end hangs up, which ends the wait.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_until(stopped: &OwnedFd, pieces: &mpsc::Sender<Vec<u8>>) {
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
                if pieces.blocking_send(bytes).is_err() {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
