//! Running a cell for as long as its host watches.
//!
//! In a copy of the machine, and after it was asleep, that host is not there any
//! more: the cell goes on to its end, and its session takes the next one then.

use std::time::Duration;

use pando_guest_protocol::frame::{self, CHUNK_BYTES, Kind};
use pando_guest_protocol::repl::{Cell, MAX_CODE_BYTES};
use pando_guest_protocol::session::FailureKind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::access::Life;
use super::failure::{Stop, failure};
use super::reply;
use crate::repl::{ReplError, Repls, Said, Start};

/// Pieces that wait for a slow host; then the cell waits.
const QUEUE_PIECES: usize = 4;
/// How long code may take to arrive.
const CODE_LIMIT: Duration = Duration::from_secs(30);

/// Runs it. Leaving early because the host did interrupts the cell.
pub async fn run(
    stream: &mut TcpStream,
    cell: Cell,
    repls: &Repls,
    life: &mut Life,
) -> Result<(), Stop> {
    let turn = repls.turn(&cell.id)?;
    let code = tokio::select! {
        biased;
        () = life.ended() => return Err(Stop::Broken),
        code = tokio::time::timeout(CODE_LIMIT, code(stream)) => code
            .map_err(|_| failure(FailureKind::Invalid, "the code did not come in time"))??,
    };
    let (said, mut heard) = mpsc::channel(QUEUE_PIECES);
    let timeout = Duration::from_millis(cell.timeout_ms);
    if !turn.start(Start { code, timeout, said }).await {
        return Err(ReplError::Unknown(cell.id).into());
    }
    let passed = tokio::select! {
        // First: when the life is over, the connection is broken too.
        biased;
        () = life.ended() => None,
        passed = pass(stream, &mut heard, cell.id) => Some(passed),
    };
    if let Some(passed) = passed {
        return passed;
    }
    // It ends with the cell, whose turn it keeps: nobody waits for it.
    tokio::spawn(async move {
        while heard.recv().await.is_some() {}
        drop(turn);
    });
    Err(Stop::Broken)
}

/// Passes on what the cell says, to its last word.
async fn pass(
    stream: &mut TcpStream,
    heard: &mut mpsc::Receiver<Said>,
    id: String,
) -> Result<(), Stop> {
    loop {
        let piece = tokio::select! {
            piece = heard.recv() => piece,
            // The host has nothing more to say: whatever it does, it is done.
            _ = stream.read_u8() => return Err(Stop::Broken),
        };
        match piece {
            Some(Said::Stdout(bytes)) => send(stream, Kind::Stdout, &bytes).await?,
            Some(Said::Stderr(bytes)) => send(stream, Kind::Stderr, &bytes).await?,
            Some(Said::Result(mut bundle)) => {
                bundle.push(b'\n');
                send(stream, Kind::Data, &bundle).await?;
            }
            Some(Said::Done(done)) => return reply(stream, &done).await,
            // Closed while it ran.
            None => return Err(ReplError::Unknown(id).into()),
        }
    }
}

async fn code(stream: &mut TcpStream) -> Result<Vec<u8>, Stop> {
    let mut code = Vec::new();
    loop {
        let frame = frame::expect(stream).await?;
        match frame.kind {
            Kind::Data if code.len() + frame.payload.len() <= MAX_CODE_BYTES => {
                code.extend(frame.payload);
            }
            Kind::Data => {
                let message = format!("a cell has {MAX_CODE_BYTES} bytes at most");
                return Err(failure(FailureKind::Invalid, message).into());
            }
            Kind::End => return Ok(code),
            _ => return Err(Stop::Broken),
        }
    }
}

async fn send(stream: &mut TcpStream, kind: Kind, bytes: &[u8]) -> Result<(), Stop> {
    for chunk in bytes.chunks(CHUNK_BYTES) {
        frame::write(stream, kind, chunk).await?;
    }
    Ok(())
}
