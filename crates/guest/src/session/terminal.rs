//! Running a program on a terminal for as long as its host watches.
//!
//! In a copy of the machine, and after it was asleep, that host is not there any
//! more. What runs at the terminal goes on, with nobody to read what it shows: it
//! was not its user who hung up.

use std::pin::pin;
use std::time::Duration;

use pando_guest_protocol::frame::{self, FrameError, Kind};
use pando_guest_protocol::session::ExecDone;
use pando_guest_protocol::terminal::{Size, Terminal};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::access::Life;
use super::exec::gone;
use super::failure::Stop;
use super::{may_start, reply};
use crate::process::{self, Child, Exit, Master, OnTerminal};

/// Most bytes that are read at once. The kernel holds 4096 for a terminal.
const READ_BYTES: usize = 8 * 1024;
/// After the program has ended, silence for so long ends the session: a job that
/// it left in the background may hold the terminal for ever.
const QUIET: Duration = Duration::from_millis(100);
/// After the program has ended, such a job is not listened to for longer than this.
const TALK_LIMIT: Duration = Duration::from_secs(1);
/// What programs have to end by themselves when the terminal is hung up: editors
/// save what was typed, shells their history.
const HANG_UP_GRACE: Duration = Duration::from_secs(1);

/// Runs it until it ends. Leaving early because the host did hangs the terminal up.
pub async fn run(stream: &mut TcpStream, terminal: &Terminal, life: &mut Life) -> Result<(), Stop> {
    let allowed = may_start(life).await?;
    let started = Instant::now();
    let mut session = Session(Some(process::on_terminal(terminal, allowed)?));
    let (mut reader, mut writer) = stream.split();
    let Some(OnTerminal { child, master }) = &mut session.0 else { return Err(Stop::Broken) };
    let exit = tokio::select! {
        // First: when the life is over, the connection is broken too.
        biased;
        () = life.ended() => {
            if let Some(left) = session.0.take() {
                // It ends with the program: nobody waits for it.
                tokio::spawn(play_to_nobody(left));
            }
            return Err(Stop::Broken);
        }
        exit = pass(&mut reader, &mut writer, child, master) => exit?,
    };
    // It ended by itself: what it left in the background goes on, as after a logout.
    session.0 = None;
    let done = ExecDone {
        exit_code: exit.code(),
        timed_out: false,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    reply(&mut writer, &done).await
}

/// Keeps a terminal from filling up for as long as somebody has it open and its program runs.
async fn play_to_nobody(OnTerminal { mut child, master }: OnTerminal) {
    let mut buffer = vec![0; READ_BYTES];
    while master.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    child.exit().await;
}

/// A session whose program has not ended, hung up when it is dropped.
struct Session(Option<OnTerminal>);

impl Drop for Session {
    fn drop(&mut self) {
        let Some(OnTerminal { mut child, master }) = self.0.take() else { return };
        // The kernel sends SIGHUP to the program and to what is in the foreground.
        drop(master);
        // Nobody waits for it: it lasts no longer than the grace.
        tokio::spawn(async move {
            let leader = child.pid();
            let _unused = tokio::time::timeout(HANG_UP_GRACE, child.exit()).await;
            process::kill_session(leader);
        });
    }
}

async fn pass(
    reader: &mut ReadHalf<'_>,
    writer: &mut WriteHalf<'_>,
    child: &mut Child,
    master: &Master,
) -> Result<Exit, Stop> {
    let (ended, watcher) = watch::channel(None);
    let mut input = pin!(feed(reader, master));
    let mut output = pin!(relay(writer, master, watcher));
    let (mut end, mut output_is_out) = (None, false);
    loop {
        if let Some(exit) = end
            && output_is_out
        {
            return Ok(exit);
        }
        tokio::select! {
            () = &mut input => return Err(Stop::Broken),
            result = &mut output, if !output_is_out => {
                result?;
                output_is_out = true;
            }
            exit = child.exit(), if end.is_none() => {
                end = Some(exit);
                ended.send_replace(Some(Instant::now()));
            }
        }
    }
}

/// Passes on what the program writes, until it has ended and nothing of it is left.
async fn relay(
    writer: &mut WriteHalf<'_>,
    master: &Master,
    mut ended: watch::Receiver<Option<Instant>>,
) -> Result<(), FrameError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let end = *ended.borrow_and_update();
        if end.is_some_and(|time| time.elapsed() > TALK_LIMIT) {
            return Ok(());
        }
        let count = tokio::select! {
            biased;
            count = master.read(&mut buffer) => count.unwrap_or(0),
            Ok(()) = ended.changed(), if end.is_none() => continue,
            () = sleep(QUIET), if end.is_some() => 0,
        };
        if count == 0 {
            return Ok(());
        }
        frame::write(writer, Kind::Stdout, &buffer[..count]).await?;
    }
}

/// Types what the host sends. Returns when the host is gone, or says something that has no place here.
async fn feed(reader: &mut ReadHalf<'_>, master: &Master) {
    while let Ok(Some(frame)) = frame::read(reader).await {
        match frame.kind {
            Kind::Data => {
                let written = tokio::select! {
                    written = master.write_all(&frame.payload) => written,
                    () = gone(reader) => return,
                };
                if written.is_err() {
                    // Nobody has the terminal open; its program's end tells the rest.
                    std::future::pending::<()>().await;
                }
            }
            Kind::Resize => {
                let Ok(size) = frame.json::<Size>() else { return };
                // A terminal that cannot be resized goes on as it is.
                let _unused = master.resize(size);
            }
            // There is no end of a terminal but to hang up.
            Kind::End => {}
            _ => return,
        }
    }
}
