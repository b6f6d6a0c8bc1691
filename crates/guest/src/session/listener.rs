//! Accepting sessions.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pando_guest_protocol::session::{FailureKind, MAX_SESSIONS};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failure::failure;
use super::{LINGER_LIMIT, Services, serve, tell};
use crate::sys::log;

/// Where the agent listens: on the link to the host only.
pub const ADDRESS: (&str, u16) = (GUEST_ADDRESS, SESSION_PORT);
/// Connections beyond the limit that may be told so at once; one more is just closed.
const MAX_REFUSALS: usize = 64;
/// After a failure to accept (no more descriptors, say), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether `address` is the agent's own listener.
pub fn is_own(address: SocketAddr) -> bool {
    address.port() == SESSION_PORT
        && GUEST_ADDRESS.parse::<Ipv4Addr>().is_ok_and(|own| address.ip() == own)
}

/// Serves connections for ever.
pub async fn listen(listener: TcpListener, services: Services) -> Infallible {
    let mut sessions = JoinSet::new();
    let mut refusals = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log::error(format_args!("accept: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(ended) = sessions.join_next() => {
                if let Err(error) = ended {
                    log::error(format_args!("session: {error}"));
                }
                continue;
            }
            Some(_) = refusals.join_next() => continue,
        };
        // Frames are written whole; there is nothing to wait for. Without it they still arrive.
        let _unused = stream.set_nodelay(true);
        if sessions.len() < MAX_SESSIONS {
            let services = services.clone();
            sessions.spawn(async move { serve(stream, &services).await });
        } else if refusals.len() < MAX_REFUSALS {
            refusals.spawn(refuse(stream));
        }
    }
}

async fn refuse(mut stream: TcpStream) {
    let message = format!("{MAX_SESSIONS} sessions are open, which is the most");
    // There is nobody else to tell.
    let _unused =
        timeout(LINGER_LIMIT, tell(&mut stream, &failure(FailureKind::Busy, message))).await;
}
