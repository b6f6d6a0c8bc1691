//! The task that owns an interpreter.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::log::Output;
use pando_guest_protocol::repl::{CellDone, MAX_RESULT_BYTES, REPL_IDLE_SECS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::ReplError;
use super::cell::{self, After, Cell, Clock, End, INTERRUPT_GRACE, Taken};
use crate::lines::{Line, Lines};
use crate::logs::{self, Logs};
use crate::process::{Child, Interpreter};

/// How long an interpreter may take to come up.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an interpreter may leave a cell unread.
const TAKE_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes that are read at once from an output, and from the channel.
const READ_BYTES: usize = 32 * 1024;
/// What of a failed start is told.
const MAX_COMPLAINT_BYTES: usize = 2000;

/// A cell to run, and where what it says goes. Dropping the receiver interrupts it.
#[derive(Debug)]
pub struct Start {
    /// The code.
    pub code: Vec<u8>,
    /// When it is interrupted.
    pub timeout: Duration,
    /// Where it is heard.
    pub said: mpsc::Sender<Said>,
}

/// What a cell says; the last is [`Said::Done`].
#[derive(Debug)]
pub enum Said {
    /// Standard output.
    Stdout(Vec<u8>),
    /// Standard error.
    Stderr(Vec<u8>),
    /// A result: a JSON object of mime types.
    Result(Vec<u8>),
    /// It has ended.
    Done(CellDone),
}

/// An interpreter between two cells.
#[derive(Debug)]
pub struct Session {
    child: Child,
    channel: UnixStream,
    lines: Lines,
    stdout: Pipe,
    stderr: Pipe,
    seq: u64,
}

/// One output of the interpreter, and the log that it also goes to.
#[derive(Debug)]
struct Pipe {
    pipe: pipe::Receiver,
    open: bool,
    log: logs::Writer,
}

impl Pipe {
    async fn read(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; READ_BYTES];
        // A pipe has no other way to fail than to end.
        let count = self.pipe.read(&mut buffer).await.unwrap_or(0);
        buffer.truncate(count);
        self.open = count > 0;
        self.log.push(&buffer);
        buffer
    }

    /// What is in the pipe now. The kernel is asked, not the runtime, which may not
    /// have heard of it yet.
    fn rest(&mut self) -> Vec<u8> {
        let left = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
        let count = rustix::io::read(&self.pipe, &mut bytes).unwrap_or(0);
        bytes.truncate(count);
        self.log.push(&bytes);
        bytes
    }
}

impl Session {
    /// Waits until a started interpreter takes cells.
    pub async fn start(interpreter: Interpreter, logs: &Arc<Logs>) -> Result<Self, ReplError> {
        let Interpreter { child, channel, stdout, stderr } = interpreter;
        let pid = child.pid().as_raw_nonzero().get().unsigned_abs();
        let pipe = |pipe, output| Pipe { pipe, open: true, log: logs.writer(pid, output) };
        let mut session = Self {
            child,
            channel,
            lines: Lines::new(MAX_RESULT_BYTES),
            stdout: pipe(stdout, Output::Stdout),
            stderr: pipe(stderr, Output::Stderr),
            seq: 0,
        };
        match timeout(START_LIMIT, session.ready()).await {
            Ok(Ok(())) => Ok(session),
            Ok(Err(complaint)) => Err(ReplError::Silent(complaint)),
            Err(_) => Err(ReplError::Silent(format!("not within {} s", START_LIMIT.as_secs()))),
        }
    }

    async fn ready(&mut self) -> Result<(), String> {
        let mut buffer = vec![0; READ_BYTES];
        let mut complaint = Vec::new();
        loop {
            let count = tokio::select! {
                count = self.channel.read(&mut buffer) => count.unwrap_or(0),
                bytes = self.stderr.read(), if self.stderr.open => {
                    let room = MAX_COMPLAINT_BYTES.saturating_sub(complaint.len());
                    complaint.extend(bytes.into_iter().take(room));
                    continue;
                }
            };
            if count == 0 {
                complaint.extend(self.stderr.rest().into_iter().take(MAX_COMPLAINT_BYTES));
                return Err(String::from_utf8_lossy(&complaint).trim().to_owned());
            }
            for line in self.lines.push(&buffer[..count]) {
                if let Line::Whole(line) = line
                    && cell::is_ready(&line)
                {
                    return Ok(());
                }
            }
        }
    }

    /// The interpreter's process id.
    pub fn pid(&self) -> u32 {
        self.child.pid().as_raw_nonzero().get().unsigned_abs()
    }

    /// Runs cells until the interpreter ends or nobody wants it any more.
    pub async fn serve(mut self, mut starts: mpsc::Receiver<Start>) {
        let mut buffer = vec![0; READ_BYTES];
        let mut idle = pin!(sleep(Duration::from_secs(REPL_IDLE_SECS)));
        loop {
            tokio::select! {
                start = starts.recv() => {
                    let Some(start) = start else { return };
                    if self.run(start).await == After::Ended {
                        return;
                    }
                    idle.as_mut().reset(Instant::now() + Duration::from_secs(REPL_IDLE_SECS));
                }
                _ = self.stdout.read(), if self.stdout.open => {}
                _ = self.stderr.read(), if self.stderr.open => {}
                count = self.channel.read(&mut buffer) => {
                    // What it says unasked has no reader; its end is the session's.
                    let Ok(1..) = count else { return };
                }
                _ = self.child.exit() => return,
                () = &mut idle => return,
            }
        }
    }

    async fn run(&mut self, start: Start) -> After {
        self.seq += 1;
        self.lines = Lines::new(MAX_RESULT_BYTES);
        let began = Instant::now();
        let Start { code, timeout: limit, said } = start;
        let mut cell = Cell::new(self.seq, began + limit);
        let mut question = format!("{} {}\n", self.seq, code.len()).into_bytes();
        question.extend_from_slice(&code);
        let end = match timeout(TAKE_LIMIT, self.channel.write_all(&question)).await {
            Ok(Ok(())) => self.attend(&mut cell, &said).await,
            _ => {
                self.child.kill();
                End::Interpreter(self.child.exit().await)
            }
        };
        for (pipe, wrap) in [
            (&mut self.stdout, Said::Stdout as fn(Vec<u8>) -> Said),
            (&mut self.stderr, Said::Stderr),
        ] {
            // Written before the end was said, so it is there by now.
            let bytes = pipe.rest();
            if !bytes.is_empty() {
                let _unused = timeout(INTERRUPT_GRACE, said.send(wrap(bytes))).await;
            }
        }
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (done, after) = cell.done(end, duration_ms);
        let _unused = timeout(INTERRUPT_GRACE, said.send(Said::Done(done))).await;
        after
    }

    /// Passes on what the cell says until it has ended one way or another.
    async fn attend(&mut self, cell: &mut Cell, said: &mpsc::Sender<Said>) -> End {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let piece = tokio::select! {
                bytes = self.stdout.read(), if self.stdout.open => Said::Stdout(bytes),
                bytes = self.stderr.read(), if self.stderr.open => Said::Stderr(bytes),
                exit = self.child.exit() => return End::Interpreter(exit),
                count = self.channel.read(&mut buffer) => {
                    let Ok(count @ 1..) = count else {
                        // It closed its end, so it cannot go on.
                        self.child.kill();
                        return End::Interpreter(self.child.exit().await);
                    };
                    let mut end = None;
                    for line in self.lines.push(&buffer[..count]) {
                        match cell.take(&line) {
                            Taken::Result(result) => {
                                self.pass(cell, said, Said::Result(result)).await;
                            }
                            Taken::Done(done) => end = Some(done),
                            Taken::Nothing => {}
                        }
                    }
                    match end {
                        Some(done) => return End::Cell(done),
                        None => continue,
                    }
                }
                () = cell.strike(said) => {
                    cell.advance(&self.child);
                    continue;
                }
            };
            self.pass(cell, said, piece).await;
        }
    }

    /// Hands `piece` over, however slow its reader is, and keeps an eye on the time
    /// meanwhile. Where nobody takes it, it is dropped.
    async fn pass(&self, cell: &mut Cell, said: &mpsc::Sender<Said>, piece: Said) {
        while cell.clock != Clock::Killed {
            tokio::select! {
                permit = said.reserve() => {
                    if let Ok(permit) = permit {
                        permit.send(piece);
                    }
                    return;
                }
                () = cell.strike(said) => cell.advance(&self.child),
            }
        }
    }
}
