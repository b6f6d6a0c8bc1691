//! Ending TCP connections from outside their processes (`sock_diag(7)`).
//!
//! The kernel's `tcp_diag` module lists a namespace's sockets over netlink and
//! ends those that it is told to: whoever waits on one has an error
//! (`ECONNABORTED`) at once, and the other end, if it is still there, a reset.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY` and `SOCK_DESTROY`.
const LIST: u16 = 20;
const DESTROY: u16 = 21;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST`, and that with `NLM_F_DUMP`.
const REQUEST: u16 = 0x1;
const REQUEST_ALL: u16 = 0x301;
const PROTOCOL_TCP: u8 = 6;
const FAMILIES: [u8; 2] = [FAMILY_INET, FAMILY_INET6];
const FAMILY_INET: u8 = 2;
const FAMILY_INET6: u8 = 10;

/// Bit `n` is state `n` of `include/net/tcp_states.h`: all in which somebody waits for
/// the other end, that is all but TIME_WAIT (6), CLOSE (7) and LISTEN (10).
const CONNECTED: u32 = 0x1ffe & !(1 << 6 | 1 << 7 | 1 << 10);

/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_sockid`: ports, addresses, interface, cookie.
const ID_BYTES: usize = 48;
/// `struct inet_diag_req_v2`: eight bytes and an id.
const REQUEST_BYTES: usize = HEADER_BYTES + 8 + ID_BYTES;
/// Where the id begins in a `struct inet_diag_msg`.
const ID_AT: usize = 4;
/// What the kernel fills at once of a list, at most.
const BUFFER_BYTES: usize = 32 * 1024;
/// Requests in one message: well within a socket's buffer.
const BATCH: usize = 500;

/// A socket to the kernel, while nobody uses it. A machine that is restored translates
/// whatever it runs for the first time, and making and closing one is much of that.
static KEPT: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// One socket as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connection {
    family: u8,
    id: [u8; ID_BYTES],
}

impl Connection {
    /// Whether its other end is in this machine too.
    fn is_inside(&self) -> bool {
        let (own, peer) = (self.address(4), self.address(20));
        peer.is_loopback() || peer == own
    }

    /// The address that begins there; one of IPv4 in IPv6's clothes as what it is.
    fn address(&self, at: usize) -> IpAddr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.id[at..at + 16]);
        match self.family {
            FAMILY_INET => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
            _ => IpAddr::from(Ipv6Addr::from(octets)).to_canonical(),
        }
    }
}

/// Ends every TCP connection whose other end is not in this machine. Listeners, and
/// connections over loopback, stay. Gives how many it ended.
///
/// # Errors
/// The kernel's: `ENOENT` without the module, `EOPNOTSUPP` where it cannot end any.
pub fn cut_outside_connections() -> io::Result<usize> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
    let socket = kept.map_or_else(connect, Ok)?;
    let mut outside = Vec::new();
    for family in FAMILIES {
        list(&socket, family, &mut outside)?;
    }
    outside.retain(|connection| !connection.is_inside());
    for batch in outside.chunks(BATCH) {
        destroy(&socket, batch)?;
    }
    // After a failure it would hold what nobody took.
    keep(socket);
    Ok(outside.len())
}

/// Makes the socket ahead of its first use.
///
/// # Errors
/// The kernel's.
pub fn open() -> io::Result<()> {
    keep(connect()?);
    Ok(())
}

fn keep(socket: OwnedFd) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
}

fn connect() -> io::Result<OwnedFd> {
    let (flags, protocol) = (SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG));
    Ok(socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?)
}

fn list(socket: &OwnedFd, family: u8, found: &mut Vec<Connection>) -> io::Result<()> {
    send(socket, &request(LIST, REQUEST_ALL, family, &[0; ID_BYTES]), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (count, _) = recv(socket, &mut buffer, RecvFlags::empty())?;
        for (kind, content) in messages(buffer.get(..count).unwrap_or_default()) {
            match kind {
                DONE => return error_in(content),
                ERROR => error_in(content)?,
                LIST => found.extend(parse(content)),
                _ => {}
            }
        }
    }
}

/// The kernel has done all of it when `send` returns, and what it says then is what it could not do.
fn destroy(socket: &OwnedFd, batch: &[Connection]) -> io::Result<()> {
    let requests: Vec<u8> = batch
        .iter()
        .flat_map(|connection| request(DESTROY, REQUEST, connection.family, &connection.id))
        .collect();
    send(socket, &requests, SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match recv(socket.as_fd(), &mut buffer, RecvFlags::DONTWAIT) {
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Ok(()),
            // More complaints than its buffer holds: what was done is done.
            Err(Errno::NOBUFS) => continue,
            Err(error) => return Err(error.into()),
        };
        for (kind, content) in messages(buffer.get(..count).unwrap_or_default()) {
            if kind == ERROR {
                error_in(content).or_else(|error| match Errno::from_io_error(&error) {
                    // It ended by itself meanwhile.
                    Some(Errno::NOENT | Errno::STALE) => Ok(()),
                    _ => Err(error),
                })?;
            }
        }
    }
}

fn request(kind: u16, flags: u16, family: u8, id: &[u8; ID_BYTES]) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[0..4].copy_from_slice(&(REQUEST_BYTES as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[16] = family;
    bytes[17] = PROTOCOL_TCP;
    bytes[20..24].copy_from_slice(&CONNECTED.to_ne_bytes());
    bytes[24..].copy_from_slice(id);
    bytes
}

/// The messages in what one read gave: kind and content of each.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let content = bytes.get(HEADER_BYTES..length)?;
        // Each begins at a multiple of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    })
}

/// An error and the end of a list begin with an error number, negative, or 0 for none.
fn error_in(content: &[u8]) -> io::Result<()> {
    let number = content.get(0..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match number {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A `struct inet_diag_msg`.
fn parse(content: &[u8]) -> Option<Connection> {
    let family = *content.first()?;
    let id = content.get(ID_AT..ID_AT + ID_BYTES)?.try_into().ok()?;
    Some(Connection { family, id })
}

#[cfg(test)]
mod tests;
