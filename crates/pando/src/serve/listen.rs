//! Where the server listens.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::error::Advice;

/// Listens on `address`, which `flag` names.
pub(super) async fn on(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let hint = hint(&error, address, flag);
        let what = format!("cannot listen on {address}");
        anyhow::Error::new(error).context(Advice { what, hint })
    })
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
