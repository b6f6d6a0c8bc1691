//! The IPv4 networks that this host has an address in, and word of their changes
//! (`rtnetlink(7)`).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER_BYTES: usize = 16;
/// `struct ifaddrmsg`: family, bits, flags, scope, index of the link.
const ADDRESS_BYTES: usize = 8;
/// `struct rtattr`: length, type.
const ATTRIBUTE_BYTES: usize = 4;
/// The kernel fills no more at once than this.
const PART_BYTES: usize = 32 * 1024;
const FAMILY: u8 = libc::AF_INET as u8;

/// An address of the network, and how many of its bits name the network. That of a
/// link with two ends is the other end's.
pub(crate) type Subnet = (Ipv4Addr, u8);

/// One message of the kernel's.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    /// There is this one, or there was.
    Subnet(Subnet),
    /// The end of a list.
    Done,
    /// The request failed.
    Failed(i32),
}

/// Those there are now.
pub(crate) fn subnets() -> io::Result<Vec<Subnet>> {
    let socket = open(SocketFlags::CLOEXEC)?;
    net::send(&socket, &request(), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut part = vec![0; PART_BYTES];
    loop {
        let (count, _) = net::recv(&socket, &mut part[..], RecvFlags::empty())?;
        for message in messages(&part[..count.min(PART_BYTES)]) {
            match message {
                Message::Subnet(subnet) => found.push(subnet),
                Message::Done => return Ok(found),
                Message::Failed(code) => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    }
}

/// Hears of changes, from when it was made.
#[derive(Debug)]
pub(crate) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = open(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let groups = libc::RTMGRP_IPV4_IFADDR as u32;
        net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        // SAFETY: the descriptor is owned, and closed only with what it is registered in.
        Ok(Self(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? }))
    }

    /// Returns when one that `matters` came or went, or when word of it may be lost.
    pub(crate) async fn next(&self, matters: impl Fn(Subnet) -> bool) -> io::Result<()> {
        let mut part = vec![0; PART_BYTES];
        loop {
            let mut ready = self.0.readable().await?;
            let received = ready.try_io(|socket| {
                Ok(net::recv(socket.get_ref(), &mut part[..], RecvFlags::empty())?)
            });
            let count = match received {
                Ok(Ok((count, _))) => count,
                // More came than the queue holds.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => continue,
            };
            let told = messages(&part[..count.min(PART_BYTES)]);
            if told.iter().any(|told| matches!(told, Message::Subnet(one) if matters(*one))) {
                return Ok(());
            }
        }
    }
}

fn open(flags: SocketFlags) -> io::Result<OwnedFd> {
    // NETLINK_ROUTE is protocol 0.
    Ok(net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?)
}

/// The request for a list of all.
fn request() -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + ADDRESS_BYTES);
    bytes.extend(((HEADER_BYTES + ADDRESS_BYTES) as u32).to_ne_bytes());
    bytes.extend(libc::RTM_GETADDR.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([FAMILY, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// What is said in `bytes`, as far as it is whole and of interest.
fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    while let Some((length, kind, rest)) = message(bytes) {
        let payload = &bytes[HEADER_BYTES..length];
        found.extend(match i32::from(kind) {
            libc::NLMSG_DONE => Some(Message::Done),
            libc::NLMSG_ERROR => failure(payload).map(Message::Failed),
            _ if kind == libc::RTM_NEWADDR || kind == libc::RTM_DELADDR => {
                subnet(payload).map(Message::Subnet)
            }
            _ => None,
        });
        bytes = rest;
    }
    found
}

/// The length and type of the first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(usize, u16, &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    if length < HEADER_BYTES || length > bytes.len() {
        return None;
    }
    Some((length, kind, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The number of the error; 0 only acknowledges.
fn failure(payload: &[u8]) -> Option<i32> {
    let code = i32::from_ne_bytes(*payload.first_chunk()?);
    (code != 0).then_some(code.saturating_neg())
}

fn subnet(payload: &[u8]) -> Option<Subnet> {
    let [family, bits, ..] = *payload.first_chunk::<ADDRESS_BYTES>()?;
    if family != FAMILY || bits > 32 {
        return None;
    }
    let mut attributes = payload.get(ADDRESS_BYTES..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        let value = attributes.get(ATTRIBUTE_BYTES..length)?;
        if kind == libc::IFA_ADDRESS {
            return Some((Ipv4Addr::from(*value.first_chunk::<4>()?), bits));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn address(kind: u16, bits: u8, local: [u8; 4], network: [u8; 4]) -> Vec<u8> {
        let mut payload = vec![FAMILY, bits, 0, 0, 2, 0, 0, 0];
        for (attribute, value) in [(libc::IFA_LOCAL, local), (libc::IFA_ADDRESS, network)] {
            payload.extend(8u16.to_ne_bytes());
            payload.extend(attribute.to_ne_bytes());
            payload.extend(value);
        }
        told(kind, &payload)
    }

    #[test]
    fn a_list_is_read_to_its_end() {
        let bytes = [
            address(libc::RTM_NEWADDR, 24, [192, 0, 2, 2], [192, 0, 2, 2]),
            told(99, b"what is it"),
            address(libc::RTM_DELADDR, 31, [10, 0, 0, 1], [10, 0, 0, 2]),
            told(libc::NLMSG_ERROR as u16, &0i32.to_ne_bytes()),
            told(libc::NLMSG_ERROR as u16, &(-1i32).to_ne_bytes()),
            told(libc::NLMSG_DONE as u16, &[0; 4]),
        ]
        .concat();
        let (first, second) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(10, 0, 0, 2));
        let want = [
            Message::Subnet((first, 24)),
            Message::Subnet((second, 31)),
            Message::Failed(1),
            Message::Done,
        ];
        assert_eq!(messages(&bytes), want);
    }

    #[test]
    fn this_host_has_a_loopback() {
        assert!(subnets().unwrap().contains(&(Ipv4Addr::LOCALHOST, 8)));
    }

    proptest! {
        #[test]
        fn nothing_panics(kind in 0u16..40, payload in prop::collection::vec(any::<u8>(), 0..80)) {
            messages(&payload);
            messages(&told(kind, &payload));
        }
    }
}
