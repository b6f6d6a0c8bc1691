//! Interfaces, routes and neighbours by ioctl (`netdevice(7)`, `rtentry`, `arp(7)`).
//!
//! IPv4 only. The structures are laid out as on 64-bit Linux; a test holds their sizes.

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::ioctl::{Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const ADD_ROUTE: u32 = 0x890b;
const SET_FLAGS: u32 = 0x8914;
const SET_ADDRESS: u32 = 0x8916;
const SET_NETMASK: u32 = 0x891c;
const SET_MTU: u32 = 0x8922;
const SET_NEIGHBOUR: u32 = 0x8955;

const INTERFACE_UP: i16 = 0x1;
const INTERFACE_RUNNING: i16 = 0x40;
const ROUTE_UP: u16 = 0x1;
const ROUTE_GATEWAY: u16 = 0x2;
const NEIGHBOUR_COMPLETE: i32 = 0x2;
const NEIGHBOUR_PERMANENT: i32 = 0x4;

const FAMILY_INET: u16 = 2;
const HARDWARE_ETHERNET: u16 = 1;
/// `IFNAMSIZ`, with the closing NUL.
const NAME_BYTES: usize = 16;

/// `struct sockaddr`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SocketAddress {
    family: u16,
    data: [u8; 14],
}

impl SocketAddress {
    const EMPTY: Self = Self { family: 0, data: [0; 14] };

    /// As `struct sockaddr_in`: port, address, padding.
    fn inet(address: Ipv4Addr) -> Self {
        let mut data = [0; 14];
        data[2..6].copy_from_slice(&address.octets());
        Self { family: FAMILY_INET, data }
    }

    fn ethernet(address: [u8; 6]) -> Self {
        let mut data = [0; 14];
        data[..6].copy_from_slice(&address);
        Self { family: HARDWARE_ETHERNET, data }
    }
}

/// The arms of `struct ifreq`'s union that are used here, and its full size.
#[repr(C)]
#[derive(Clone, Copy)]
union InterfaceValue {
    address: SocketAddress,
    flags: i16,
    number: i32,
    size: [u64; 3],
}

/// `struct ifreq`.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    value: InterfaceValue,
}

/// `struct rtentry`.
#[repr(C)]
struct RouteRequest {
    pad1: u64,
    destination: SocketAddress,
    gateway: SocketAddress,
    netmask: SocketAddress,
    flags: u16,
    pad2: i16,
    pad3: u64,
    pad4: *const u8,
    metric: i16,
    device: *const std::ffi::c_char,
    mtu: u64,
    window: u64,
    initial_rtt: u16,
}

/// `struct arpreq`.
#[repr(C)]
struct NeighbourRequest {
    protocol: SocketAddress,
    hardware: SocketAddress,
    flags: i32,
    netmask: SocketAddress,
    device: [u8; NAME_BYTES],
}

/// A socket to configure interfaces with.
pub struct Network {
    socket: OwnedFd,
}

impl Network {
    /// Opens it in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Self> {
        let socket =
            socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    /// Brings an interface up.
    ///
    /// # Errors
    /// The kernel's; `ENODEV` when it does not exist.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let flags = INTERFACE_UP | INTERFACE_RUNNING;
        self.set::<SET_FLAGS>(name, |value| value.flags = flags)
    }

    /// Gives an interface its address and prefix length.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_address(&self, name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        self.set::<SET_ADDRESS>(name, |value| value.address = SocketAddress::inet(address))?;
        let netmask = SocketAddress::inet(netmask(prefix));
        self.set::<SET_NETMASK>(name, |value| value.address = netmask)
    }

    /// Sets the largest packet of an interface, in bytes.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` for a size that the device cannot carry.
    pub fn set_mtu(&self, name: &str, bytes: u16) -> io::Result<()> {
        self.set::<SET_MTU>(name, |value| value.number = i32::from(bytes))
    }

    /// Sends what has no other route through `gateway`.
    ///
    /// # Errors
    /// The kernel's; `ENETUNREACH` when no interface reaches the gateway.
    pub fn add_default_route(&self, name: &str, gateway: Ipv4Addr) -> io::Result<()> {
        let device = CString::new(name)?;
        let any = SocketAddress::inet(Ipv4Addr::UNSPECIFIED);
        let request = RouteRequest {
            pad1: 0,
            destination: any,
            gateway: SocketAddress::inet(gateway),
            netmask: any,
            flags: ROUTE_UP | ROUTE_GATEWAY,
            pad2: 0,
            pad3: 0,
            pad4: ptr::null(),
            metric: 0,
            device: device.as_ptr(),
            mtu: 0,
            window: 0,
            initial_rtt: 0,
        };
        // SAFETY: SIOCADDRT reads a `struct rtentry` and the string at its `device`, which outlives the call.
        unsafe { ioctl(&self.socket, Setter::<ADD_ROUTE, RouteRequest>::new(request)) }?;
        Ok(())
    }

    /// Holds a neighbour's hardware address for good, so that it is never asked for.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_neighbour(
        &self,
        name: &str,
        address: Ipv4Addr,
        hardware: [u8; 6],
    ) -> io::Result<()> {
        let request = NeighbourRequest {
            protocol: SocketAddress::inet(address),
            hardware: SocketAddress::ethernet(hardware),
            flags: NEIGHBOUR_COMPLETE | NEIGHBOUR_PERMANENT,
            netmask: SocketAddress::EMPTY,
            device: name_field(name)?,
        };
        // SAFETY: SIOCSARP reads a `struct arpreq`, which holds no pointers.
        unsafe { ioctl(&self.socket, Setter::<SET_NEIGHBOUR, NeighbourRequest>::new(request)) }?;
        Ok(())
    }

    /// One `SIOCSIF…` call: a request with the interface's name and the value that `fill` puts in.
    fn set<const OPCODE: u32>(
        &self,
        name: &str,
        fill: impl FnOnce(&mut InterfaceValue),
    ) -> io::Result<()> {
        let mut value = InterfaceValue { size: [0; 3] };
        fill(&mut value);
        let request = InterfaceRequest { name: name_field(name)?, value };
        // SAFETY: the opcodes given here read a `struct ifreq` without pointers in it.
        unsafe { ioctl(&self.socket, Setter::<OPCODE, InterfaceRequest>::new(request)) }?;
        Ok(())
    }
}

fn name_field(name: &str) -> io::Result<[u8; NAME_BYTES]> {
    let mut field = [0; NAME_BYTES];
    if name.len() >= NAME_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    field[..name.len()].copy_from_slice(name.as_bytes());
    Ok(field)
}

fn netmask(prefix: u8) -> Ipv4Addr {
    let host_bits = 32 - u32::from(prefix.min(32));
    Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<SocketAddress>(), 16);
        assert_eq!(size_of::<InterfaceRequest>(), 40);
        assert_eq!(size_of::<RouteRequest>(), 120);
        assert_eq!(size_of::<NeighbourRequest>(), 68);
    }

    #[test]
    fn prefix_lengths_become_masks() {
        assert_eq!(netmask(30), Ipv4Addr::new(255, 255, 255, 252));
        assert_eq!(netmask(32), Ipv4Addr::new(255, 255, 255, 255));
        assert_eq!(netmask(0), Ipv4Addr::UNSPECIFIED);
    }

    /// In a namespace of its own thread, which ends with the thread. Needs root; without it there is nothing to try.
    #[test]
    fn loopback_comes_up_with_an_address() {
        let answer = std::thread::spawn(|| {
            // SAFETY: only the network namespace of this short-lived thread changes; file descriptors stay shared.
            if unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .is_err()
            {
                return None;
            }
            let network = Network::open().unwrap();
            network.set_mtu("lo", 1400).unwrap();
            network.up("lo").unwrap();
            network.set_address("lo", Ipv4Addr::new(127, 0, 0, 1), 8).unwrap();
            Some(std::net::TcpListener::bind("127.0.0.1:0").is_ok())
        })
        .join()
        .unwrap();
        assert_ne!(answer, Some(false));
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        assert!(Network::open().unwrap().up("no-such-if").is_err());
        assert!(Network::open().unwrap().up("a-name-beyond-the-limit").is_err());
    }
}
