use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::net::{bind, connect};

use super::*;
use crate::sys::network::Network;

fn connection(family: u8, own: &[u8], peer: &[u8]) -> Connection {
    let mut id = [0; ID_BYTES];
    id[4..4 + own.len()].copy_from_slice(own);
    id[20..20 + peer.len()].copy_from_slice(peer);
    Connection { family, id }
}

#[test]
fn inside_is_loopback_and_the_machines_own_address() {
    let mapped = |address: Ipv4Addr| address.to_ipv6_mapped().octets();
    let own = Ipv4Addr::new(172, 16, 0, 2);
    let host = Ipv4Addr::new(172, 16, 0, 1);
    let local = Ipv4Addr::new(127, 3, 2, 1);
    let inside = [
        connection(FAMILY_INET, &local.octets(), &local.octets()),
        connection(FAMILY_INET, &own.octets(), &own.octets()),
        connection(FAMILY_INET6, &Ipv6Addr::LOCALHOST.octets(), &Ipv6Addr::LOCALHOST.octets()),
        connection(FAMILY_INET6, &mapped(local), &mapped(local)),
        connection(FAMILY_INET6, &mapped(own), &mapped(own)),
    ];
    assert!(inside.iter().all(Connection::is_inside));
    let outside = [
        connection(FAMILY_INET, &own.octets(), &host.octets()),
        connection(FAMILY_INET6, &mapped(own), &mapped(host)),
    ];
    assert!(!outside.iter().any(Connection::is_inside));
}

#[test]
fn messages_are_told_apart_and_half_ones_are_none() {
    let one = request(LIST, REQUEST_ALL, FAMILY_INET, &[7; ID_BYTES]);
    let mut bytes = one.to_vec();
    bytes.extend(request(DESTROY, REQUEST, FAMILY_INET6, &[8; ID_BYTES]));
    let kinds: Vec<_> = messages(&bytes).map(|(kind, content)| (kind, content.len())).collect();
    assert_eq!(kinds, [(LIST, REQUEST_BYTES - 16), (DESTROY, REQUEST_BYTES - 16)]);
    for length in 0..one.len() {
        assert_eq!(messages(&one[..length]).count(), 0, "{length}");
    }
    // Lengths that point nowhere end it.
    assert_eq!(messages(&[0; 64]).count(), 0);
    assert_eq!(messages(&[0xff; 64]).count(), 0);
    assert!(parse(&[2; 51]).is_none());
    assert!(error_in(&(-2i32).to_ne_bytes()).is_err());
    assert!(error_in(&0i32.to_ne_bytes()).is_ok());
    assert!(error_in(&[]).is_err());
}

/// Two ends of a TCP connection from `own` to `peer`.
fn pair(own: Ipv4Addr, peer: Ipv4Addr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((peer, 0)).unwrap();
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from((own, 0))).unwrap();
    connect(&socket, &listener.local_addr().unwrap()).unwrap();
    (TcpStream::from(socket), listener.accept().unwrap().0)
}

/// In a namespace of its own thread. Needs root and a kernel that can end connections;
/// without them there is nothing to try.
#[test]
fn only_connections_to_elsewhere_are_cut() {
    std::thread::spawn(|| {
        // SAFETY: only the network namespace of this short-lived thread changes; file descriptors stay shared.
        if unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.is_err()
        {
            return;
        }
        let network = Network::open().unwrap();
        network.up("lo").unwrap();
        // On the same link, and yet not the same address: as far as anybody can tell, another machine.
        let (here, elsewhere) = (Ipv4Addr::new(10, 9, 9, 1), Ipv4Addr::new(10, 9, 9, 2));
        // By an alias, beside the address that it has.
        network.set_address("lo:1", here, 8).unwrap();
        let (mut near, mut far) = pair(here, elsewhere);
        let (mut one, mut other) = pair(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let (mut own, mut self_) = pair(here, here);
        let waiting = TcpListener::bind((here, 0)).unwrap();
        match cut_outside_connections() {
            // Both ends of it are here.
            Ok(count) => assert_eq!(count, 2),
            Err(error) => {
                let missing = [Errno::NOENT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT];
                assert!(missing.map(Some).contains(&Errno::from_io_error(&error)), "{error}");
                return;
            }
        }
        let mut byte = [0];
        for stream in [&mut near, &mut far] {
            let error = stream.read(&mut byte).unwrap_err();
            let kinds = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
        for (one, other) in [(&mut one, &mut other), (&mut own, &mut self_)] {
            one.write_all(b"x").unwrap();
            other.read_exact(&mut byte).unwrap();
        }
        TcpStream::connect(waiting.local_addr().unwrap()).unwrap();
        assert_eq!(cut_outside_connections().unwrap(), 0);
    })
    .join()
    .unwrap();
}
