//! Where the server listens.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::error::Advice;

/// How long an address that is taken is tried again, and how often.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`, which `flag` names.
pub(super) async fn on(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let bound = bind(address).await;
    bound.map_err(|error| {
        let hint = hint(&error, address, flag);
        let what = format!("cannot listen on {address}");
        anyhow::Error::new(error).context(Advice { what, hint })
    })
}

/// Binds, also where a server that was killed held the address a moment ago: a VMM
/// that it was just making has a copy of its listener until it is one.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

fn hint(error: &io::Error, address: SocketAddr, flag: &str) -> String {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another program has the port, perhaps another `pando serve`: `ss -ltnp 'sport = \
             :{port}'` names it; stop it, or choose another address with {flag}"
        ),
        ErrorKind::AddrNotAvailable => format!(
            "{} is no address of this host: `ip -br address` lists those; choose one with {flag}, \
             or 0.0.0.0 for all",
            address.ip()
        ),
        ErrorKind::PermissionDenied => {
            format!("run it as root, or choose a port above 1023 with {flag}")
        }
        _ => format!("choose another address with {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_way_out() {
        let taken = on("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = on(address, "--metrics-listen").await.unwrap_err();
        let hint = &error.downcast_ref::<Advice>().unwrap().hint;
        assert!(hint.contains(&address.port().to_string()), "{hint}");
        assert!(hint.contains("--metrics-listen") && !hint.contains("doctor"), "{hint}");
        let foreign = on("192.0.2.1:7070".parse().unwrap(), "--listen").await.unwrap_err();
        assert!(foreign.downcast_ref::<Advice>().unwrap().hint.contains("no address of this host"));
    }
}
