//! Listening.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

/// How long an address that is taken is tried again, and how often.
const BIND_PATIENCE: Duration = Duration::from_secs(3);
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// Listens, also where a server that was killed held the address a moment ago: a
/// VMM that it was just making has a copy of its listener until it is one.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < BIND_PATIENCE =>
            {
                tokio::time::sleep(BIND_PAUSE).await;
            }
            other => return other,
        }
    }
}
