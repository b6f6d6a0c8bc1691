//! A first command before the machine is snapshotted, the way that every later one
//! goes: whatever a command's first run reads from the disk, and makes the kernel and
//! the agent set up, is in the memory that machines are restored from.

use std::io;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::session::{Exec, Operation, PROTOCOL, Request};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ADDRESS, Access, Token};

/// How long it may take; then the machine is snapshotted without.
const LIMIT: Duration = Duration::from_secs(60);
/// What is run: what nearly every sandbox runs sooner or later. A template need not have all of it.
const SCRIPT: &str =
    "{ bash -c true; git --version; python3 -c 1; node -e 1; } >/dev/null 2>&1; true";

/// Runs it in a shell over a session from the machine to itself. Nothing of it is left open.
///
/// # Errors
/// The reason why it came to nothing, for the log.
pub async fn rehearse(access: &Access) -> io::Result<()> {
    let mut random = [0; 32];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    access.open(Token::parse(&token).ok_or_else(|| io::Error::other("no token"))?);
    let played = timeout(LIMIT, play(token)).await;
    access.suspend();
    played.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn play(token: String) -> io::Result<()> {
    let mut stream = TcpStream::connect(ADDRESS).await?;
    let exec = Exec {
        argv: ["/bin/sh", "-c", SCRIPT].map(str::to_owned).into(),
        cwd: None,
        env: std::collections::BTreeMap::new(),
        user: None,
        timeout_ms: Some(LIMIT.as_secs() * 1000),
        detached_log: None,
        log_name: None,
        root: None,
    };
    let request = Request { protocol: PROTOCOL, token, operation: Operation::Exec(exec) };
    frame::write_json(&mut stream, Kind::Request, &request).await.map_err(io::Error::other)?;
    frame::write(&mut stream, Kind::End, &[]).await.map_err(io::Error::other)?;
    let answer = frame::expect(&mut stream).await.map_err(io::Error::other)?;
    match answer.kind {
        Kind::Reply => Ok(()),
        _ => Err(io::Error::other(String::from_utf8_lossy(&answer.payload).into_owned())),
    }
}
