//! Frames of one's own making, sent as a guest's device could send them: past its
//! kernel's idea of addresses, by a packet socket (`packet(7)`).

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;

use crate::place::Place;

pub const GATEWAY_MAC: [u8; 6] = mac(pando_guest_protocol::GATEWAY_MAC);
pub const GUEST_MAC: [u8; 6] = mac(pando_guest_protocol::GUEST_MAC);
/// Somebody else's.
pub const STRANGER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const UDP: u8 = 17;

const fn mac(text: &str) -> [u8; 6] {
    let (text, mut bytes, mut index) = (text.as_bytes(), [0; 6], 0);
    while index < 6 {
        bytes[index] = digit(text[3 * index]) << 4 | digit(text[3 * index + 1]);
        index += 1;
    }
    bytes
}

const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => byte - b'a' + 10,
    }
}

/// A UDP datagram of one byte in a frame.
pub fn datagram(from: ([u8; 6], Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, UDP, 0, 0];
    ip.extend(from.1.octets());
    ip.extend(to.0.octets());
    let sum =
        ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    // Without a checksum, which IPv4 lets UDP do.
    for part in [from.2, to.1, 9, 0] {
        ip.extend(part.to_be_bytes());
    }
    ip.push(b'x');
    frame(from.0, IPV4, &ip)
}

/// "I am `address`, at `mac`", said to the gateway by whoever has the hardware address `sender`.
pub fn arp_reply(sender: [u8; 6], mac: [u8; 6], address: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 2];
    arp.extend(mac);
    arp.extend(address.octets());
    arp.extend(GATEWAY_MAC);
    arp.extend(to.octets());
    frame(sender, ARP, &arp)
}

fn frame(sender: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&GATEWAY_MAC[..], &sender, &kind.to_be_bytes(), payload].concat()
}

/// Sends a frame out of the device `eth0` there.
pub fn send(place: &Place, frame: &[u8]) {
    place.enter(|| {
        let name = CString::new("eth0").unwrap();
        // SAFETY: a new descriptor, a name that ends in NUL, plain memory that
        // outlives the calls; the descriptor is closed by nobody else.
        let outcome = unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(socket >= 0, "{}", io::Error::last_os_error());
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
            address.sll_halen = 6;
            let sent = libc::sendto(
                socket,
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            );
            libc::close(socket);
            sent
        };
        assert_eq!(outcome, frame.len() as isize, "{}", io::Error::last_os_error());
    });
}
