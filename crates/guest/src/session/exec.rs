//! Running a command for as long as its host watches.
//!
//! In a copy of the machine, and after it was asleep, that host is not there any
//! more: the command goes on by itself, as one that was started detached, and its
//! input has ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::log::Output;
use pando_guest_protocol::session::{Exec, ExecDone, FailureKind, Signal as SignalFrame, Started};
use pando_guest_protocol::supervise::is_process_name;
use rustix::process::Signal;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::access::Life;
use super::failure::{Stop, failure, refused};
use super::{may_start, output, reply};
use crate::logs::{self, Logs};
use crate::process::{self, Child, Exit, Piped};

/// What a group has between the signal to end and the one that ends it.
const GRACE: Duration = Duration::from_millis(500);
/// Beyond this a time limit is none.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Signals that were asked for and not sent yet.
const SIGNALS_WAITING: usize = 8;
/// How often a host is looked for while its bytes wait for the command to read them.
const GONE_INTERVAL: Duration = Duration::from_millis(200);

/// Runs it, attached or detached.
pub async fn run(
    stream: &mut TcpStream,
    exec: &Exec,
    logs: &Arc<Logs>,
    life: &mut Life,
) -> Result<(), Stop> {
    match &exec.detached_log {
        Some(log) => {
            let path = super::files::check_path(log)?;
            let unusable = |error| Stop::from(refused(format!("log `{log}`"), &error));
            let allowed = may_start(life).await?;
            let start = || Ok(process::detached(exec, allowed)?);
            let pid = logs::keep(logs, &path, unusable, start)?;
            reply(stream, &Started { pid }).await
        }
        None => {
            let timeout = exec.timeout_ms.map(|ms| Duration::from_millis(ms).min(MAX_TIMEOUT));
            let allowed = may_start(life).await?;
            let name = log_name(exec)?;
            let command = process::piped(exec, allowed)?;
            let pid = command.child.pid().as_raw_nonzero().get().unsigned_abs();
            let kept = |output| logs.writer_of(name.clone(), pid, output);
            attend(stream, command, timeout, [kept(Output::Stdout), kept(Output::Stderr)], life)
                .await
        }
    }
}

/// How far a command has come towards its end by time.
enum Clock {
    Unlimited,
    Until(Instant),
    /// Asked to end; killed at this time.
    Ending(Instant),
    Killed,
}

impl Clock {
    async fn strike(&self) {
        match self {
            Self::Until(time) | Self::Ending(time) => sleep_until(*time).await,
            Self::Unlimited | Self::Killed => std::future::pending().await,
        }
    }

    /// What striking does to the command, and what comes next.
    fn advance(self, child: &Child) -> Self {
        match self {
            Self::Until(_) => {
                child.terminate();
                Self::Ending(Instant::now() + GRACE)
            }
            Self::Ending(_) => {
                child.kill();
                Self::Killed
            }
            still => still,
        }
    }

    fn has_struck(&self) -> bool {
        matches!(self, Self::Ending(_) | Self::Killed)
    }
}

/// The name that what it says has in the log.
fn log_name(exec: &Exec) -> Result<logs::Process, Stop> {
    let Some(name) = &exec.log_name else { return Ok(None) };
    if !is_process_name(name) {
        return Err(failure(FailureKind::Invalid, "`log_name` is no name of a process").into());
    }
    Ok(Some(name.as_str().into()))
}

/// Passes input and output until the command has ended and its output is out.
/// Leaving early because the host did drops the child, which kills its group.
async fn attend(
    stream: &mut TcpStream,
    command: Piped,
    timeout: Option<Duration>,
    [mut out, mut err]: [logs::Writer; 2],
    life: &mut Life,
) -> Result<(), Stop> {
    let Piped { mut child, stdin, mut stdout, mut stderr } = command;
    let started = Instant::now();
    let mut clock = timeout.map_or(Clock::Unlimited, |timeout| Clock::Until(started + timeout));
    let mut end: Option<(Exit, Duration)> = None;

    let (mut reader, writer) = stream.split();
    let writer = Mutex::new(writer);
    let (ended, watcher) = watch::channel(output::Writer::Running);
    let host = {
        let (signals, mut to_send) = mpsc::channel(SIGNALS_WAITING);
        let mut input = pin!(feed(&mut reader, stdin, &signals));
        let mut output = pin!(async {
            tokio::try_join!(
                output::relay(&mut stdout, Kind::Stdout, &writer, watcher.clone(), &mut out),
                output::relay(&mut stderr, Kind::Stderr, &writer, watcher.clone(), &mut err),
            )
        });
        let mut output_is_out = false;
        loop {
            if end.is_some() && output_is_out {
                break Host::Watches;
            }
            tokio::select! {
                // First: when the life is over, the connection is broken too.
                biased;
                () = life.ended() => break Host::OfAnotherLife,
                () = &mut input => return Err(Stop::Broken),
                result = &mut output, if !output_is_out => {
                    result?;
                    output_is_out = true;
                }
                exit = child.exit(), if end.is_none() => {
                    end = Some((exit, started.elapsed()));
                    ended.send_replace(output::Writer::Ended(Instant::now()));
                }
                Some(signal) = to_send.recv() => child.signal(signal),
                () = clock.strike(), if end.is_none() => clock = clock.advance(&child),
            }
        }
    };
    if host == Host::OfAnotherLife {
        let left = Unattached { child, clock, has_ended: end.is_some() };
        // It ends with the command and its outputs: nobody waits for it.
        tokio::spawn(async move {
            tokio::join!(left.end(), logs::drain(stdout, out), logs::drain(stderr, err))
        });
        return Err(Stop::Broken);
    }
    let (exit, duration) = end.unwrap_or((Exit::Code(0), started.elapsed()));
    let timed_out = clock.has_struck();
    let exit = if timed_out { Exit::Signal(Signal::KILL.as_raw()) } else { exit };
    let done = ExecDone {
        exit_code: exit.code(),
        timed_out,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    };
    reply(&mut *writer.lock().await, &done).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    Watches,
    /// It watched the machine that this one was before.
    OfAnotherLife,
}

/// A command that nobody watches any more. Its time limit still holds.
struct Unattached {
    child: Child,
    clock: Clock,
    has_ended: bool,
}

impl Unattached {
    async fn end(mut self) {
        while !self.has_ended {
            tokio::select! {
                _ = self.child.exit() => self.has_ended = true,
                () = self.clock.strike() => self.clock = self.clock.advance(&self.child),
            }
        }
    }
}

/// Passes standard input and signals on. Returns when the host is gone, or says something that has no place here.
async fn feed(reader: &mut ReadHalf<'_>, stdin: pipe::Sender, signals: &mpsc::Sender<Signal>) {
    let mut stdin = Some(stdin);
    while let Ok(Some(frame)) = frame::read(reader).await {
        match frame.kind {
            Kind::Data => {
                let Some(pipe) = &mut stdin else { continue };
                let written = tokio::select! {
                    written = pipe.write_all(&frame.payload) => written,
                    () = gone(reader) => return,
                };
                if written.is_err() {
                    // The command does not read any more; what else comes is dropped.
                    stdin = None;
                }
            }
            Kind::End => stdin = None,
            Kind::Signal => {
                let number = frame.json::<SignalFrame>().ok().map(|signal| signal.number);
                let Some(signal) = number.and_then(Signal::from_named_raw) else { return };
                // The other end is as long-lived as this one.
                let _unused = signals.send(signal).await;
            }
            _ => return,
        }
    }
}

/// Returns when the host has closed, even while bytes of it are unread. More of
/// them than the socket holds would keep its FIN back; a host that gives a command
/// up resets the connection instead, which always gets through.
pub(super) async fn gone(reader: &ReadHalf<'_>) {
    while let Ok(ready) = reader.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        // Unread bytes keep the socket ready, so there is no event to wait for.
        sleep(GONE_INTERVAL).await;
    }
}
