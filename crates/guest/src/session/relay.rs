//! Passing bytes between the host and a port of the machine, so that an app that
//! listens on loopback only can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use pando_guest_protocol::GUEST_ADDRESS;
use pando_guest_protocol::session::{Done, FailureKind};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::{Stop, failure};
use super::listener::is_own;
use super::reply;

/// Per direction.
const BUFFER_BYTES: usize = 16 * 1024;
/// For each address: a listener whose queue is full answers nothing at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Connects, says so, and passes bytes both ways until both sides have closed.
pub async fn run(stream: &mut TcpStream, port: u16) -> Result<(), Stop> {
    let mut target = connect(port).await?;
    reply(stream, &Done {}).await?;
    // Either side may break off at any time; that is how most connections end.
    let _unused =
        copy_bidirectional_with_sizes(stream, &mut target, BUFFER_BYTES, BUFFER_BYTES).await;
    Ok(())
}

/// The first of loopback and the link's own address that answers.
async fn connect(port: u16) -> Result<TcpStream, Stop> {
    let mut unanswered = false;
    let link = GUEST_ADDRESS.parse::<Ipv4Addr>().ok().map(IpAddr::from);
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    for address in loopback.into_iter().chain(link).map(|address| SocketAddr::new(address, port)) {
        // Sessions come from the host, never by way of the machine itself.
        if is_own(address) {
            continue;
        }
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(target)) => {
                // Without it bytes still arrive.
                let _unused = target.set_nodelay(true);
                return Ok(target);
            }
            Ok(Err(_)) => {}
            Err(_) => unanswered = true,
        }
    }
    let message = match unanswered {
        true => format!("port {port} is listened on, but does not accept connections"),
        false => format!("nothing listens on port {port}"),
    };
    Err(failure(FailureKind::Refused, message).into())
}
