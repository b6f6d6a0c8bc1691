//! Sessions: TCP connections from the host, one operation each.
//!
//! A session shows the token of the latest restore with its request, or is
//! refused. When the machine becomes another one, or wakes (`access`), every session
//! ends: the host of its life is not there any more. What it started goes on, though,
//! since it was not its host that gave it up (`exec`, `terminal`, `repl`).

mod access;
mod attended;
mod exec;
mod failure;
mod files;
mod json_lines;
mod listener;
mod logs;
mod output;
mod owner;
mod ports;
mod processes;
mod rehearsal;
mod relay;
mod repl;
mod stats;
mod terminal;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Frame, FrameError, Kind};
use pando_guest_protocol::session::{Done, FailureKind, Operation, PROTOCOL, Request};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use access::{Access, Token};
pub use listener::{ADDRESS, listen};
pub use rehearsal::rehearse;

use self::access::Life;
pub use failure::refused;
pub use files::blocking;

use self::attended::attended;
use self::failure::{Stop, failure};
use crate::logs::Logs;
use crate::process::{self, MayStart};
use crate::repl::Repls;
use crate::supervise::Supervisor;

/// What sessions share. Clones are of the same.
#[derive(Clone, Default)]
pub struct Services {
    /// Who may open sessions.
    pub access: Arc<Access>,
    /// What commands and processes have said.
    pub logs: Arc<Logs>,
    /// Code sessions.
    pub repls: Arc<Repls>,
    /// Processes that are kept running.
    pub supervisor: Arc<Supervisor>,
}

/// How long a connection may take to say what it wants.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long a failed session waits for its host to read why.
const LINGER_LIMIT: Duration = Duration::from_secs(2);
/// The oldest protocol that is understood: the one before this, if there was one.
const OLDEST_PROTOCOL: u32 = if PROTOCOL > 1 { PROTOCOL - 1 } else { PROTOCOL };

/// Serves one connection to its end.
async fn serve(mut stream: TcpStream, services: &Services) {
    let result = match open(&mut stream, &services.access).await {
        Ok((operation, mut life)) => {
            let (outlasts, own) = (outlasts_its_life(&operation), life.clone());
            tokio::select! {
                // First, so that nothing more is served once the machine is another.
                biased;
                () = life.ended(), if !outlasts => return,
                result = carry_out(&mut stream, operation, services, own) => result,
            }
        }
        Err(stop) => Err(stop),
    };
    if let Err(Stop::Failed(failure)) = result {
        // There is nobody else to tell.
        let _unused = timeout(LINGER_LIMIT, tell(&mut stream, &failure)).await;
    }
}

/// Reads the request and decides whether it is served.
async fn open(stream: &mut TcpStream, access: &Access) -> Result<(Operation, Life), Stop> {
    let frame = timeout(REQUEST_LIMIT, frame::expect(stream))
        .await
        .map_err(|_| failure(FailureKind::Invalid, "no request came in time"))??;
    let request: Request = match frame {
        Frame { kind: Kind::Request, payload } => serde_json::from_slice(&payload)
            .map_err(|error| failure(FailureKind::Invalid, format!("request: {error}")))?,
        Frame { kind, .. } => {
            let message = format!("the first frame is a request, not {kind:?}");
            return Err(failure(FailureKind::Invalid, message).into());
        }
    };
    let life = access
        .admit(&request.token)
        .ok_or_else(|| failure(FailureKind::Token, "the token is not the current one"))?;
    if !(OLDEST_PROTOCOL..=PROTOCOL).contains(&request.protocol) {
        let message = format!("protocol {} is not spoken here: {PROTOCOL} is", request.protocol);
        return Err(failure(FailureKind::Invalid, message).into());
    }
    Ok((request.operation, life))
}

async fn carry_out(
    stream: &mut TcpStream,
    operation: Operation,
    services: &Services,
    mut life: Life,
) -> Result<(), Stop> {
    match operation {
        Operation::Exec(exec) => exec::run(stream, &exec, &services.logs, &mut life).await,
        Operation::Terminal(terminal) => terminal::run(stream, &terminal, &mut life).await,
        Operation::Logs(query) => logs::run(stream, query, &services.logs).await,
        Operation::Processes => processes::run(stream).await,
        Operation::Stats => reply(stream, &stats::sample(&services.access).await?).await,
        Operation::OpenRepl(open) => {
            let opening = services.repls.open(open, &services.logs);
            let repl = attended(stream, opening).await?;
            reply(stream, &repl).await
        }
        Operation::RunCell(cell) => repl::run(stream, cell, &services.repls, &mut life).await,
        Operation::CloseRepl { id } => {
            services.repls.close(&id)?;
            reply(stream, &Done {}).await
        }
        Operation::ListRepls => reply(stream, &services.repls.list()).await,
        Operation::Supervise(list) => {
            attended(stream, services.supervisor.set(list, &services.logs)).await?;
            reply(stream, &Done {}).await
        }
        Operation::ListSupervised => reply(stream, &services.supervisor.list()).await,
        Operation::ReadFile { path } => files::read(stream, path).await,
        Operation::WriteFile { path, mode } => files::write(stream, path, mode).await,
        Operation::List { path } => files::list(stream, path).await,
        Operation::Stat { path } => reply(stream, &files::stat(path).await?).await,
        Operation::MakeDir { path } => {
            files::make_dir(path).await?;
            reply(stream, &Done {}).await
        }
        Operation::Rename { from, to } => {
            files::rename(from, to).await?;
            reply(stream, &Done {}).await
        }
        Operation::Remove { path, recursive } => {
            attended(stream, files::remove(path, recursive)).await?;
            reply(stream, &Done {}).await
        }
        Operation::Ports => reply(stream, &ports::listeners()?).await,
        Operation::Relay { port } => relay::run(stream, port).await,
        Operation::Ping => reply(stream, &Done {}).await,
    }
}

/// Whether an operation has started something that goes on in the next life, and
/// looks to that itself.
fn outlasts_its_life(operation: &Operation) -> bool {
    matches!(operation, Operation::Exec(_) | Operation::Terminal(_) | Operation::RunCell(_))
}

/// Waits until something may be started. In a copy of the machine that happens only
/// in the next life: there it was never asked for.
async fn may_start(life: &mut Life) -> Result<MayStart, Stop> {
    tokio::select! {
        biased;
        () = life.ended() => Err(Stop::Broken),
        may_start = process::may_start() => Ok(may_start),
    }
}

async fn reply<W: AsyncWrite + Unpin, T: Serialize>(writer: &mut W, value: &T) -> Result<(), Stop> {
    Ok(frame::write_json(writer, Kind::Reply, value).await?)
}

/// Says why, then reads on until the host closes: closing with bytes unread would
/// reset the connection, and the answer might be lost with it.
async fn tell(
    stream: &mut TcpStream,
    failure: &pando_guest_protocol::session::Failure,
) -> Result<(), FrameError> {
    frame::write_json(stream, Kind::Failed, failure).await?;
    stream.shutdown().await?;
    let mut unread = vec![0; 16 * 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
