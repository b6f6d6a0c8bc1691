//! The machine's network: loopback, and one link to the host that is the same in every clone.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use pando_guest_protocol::{GATEWAY_ADDRESS, GATEWAY_MAC, GUEST_ADDRESS, LINK_PREFIX};

use super::parameters::Parameters;
use super::{BootError, Step, wait_for};
use crate::sys::log;
use crate::sys::network::Network;

const LINK: &str = "eth0";

/// Configures both interfaces.
pub fn configure(parameters: &Parameters) -> Result<(), BootError> {
    let network = Network::open().step("open a socket for the network")?;
    network.up("lo").step("bring up lo")?;
    wait_for(&Path::new("/sys/class/net").join(LINK)).step(format!("wait for {LINK}"))?;
    disable_ipv6();

    let address: Ipv4Addr = GUEST_ADDRESS.parse().map_err(invalid).step("the guest's address")?;
    let gateway: Ipv4Addr = GATEWAY_ADDRESS.parse().map_err(invalid).step("the gateway")?;
    let hardware = parse_mac(GATEWAY_MAC).step("the gateway's MAC")?;
    network.set_mtu(LINK, parameters.mtu_bytes).step(format!("set the MTU of {LINK}"))?;
    network.set_address(LINK, address, LINK_PREFIX).step(format!("address {LINK}"))?;
    network.up(LINK).step(format!("bring up {LINK}"))?;
    network.add_default_route(LINK, gateway).step("add the default route")?;
    // After a restore nothing has to be asked for before the first packet goes out.
    network.set_neighbour(LINK, gateway, hardware).step("hold the gateway as a neighbour")
}

/// On the link only: apps may listen on `::1`. A kernel without IPv6 has nothing to disable.
fn disable_ipv6() {
    let switch = format!("/proc/sys/net/ipv6/conf/{LINK}/disable_ipv6");
    if let Err(error) = fs::write(&switch, "1") {
        log::info(format_args!("{switch}: {error}"));
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn parse_mac(text: &str) -> io::Result<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().unwrap_or_default();
        *byte = u8::from_str_radix(part, 16).map_err(invalid)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_addresses_parse() {
        assert_eq!(parse_mac(GATEWAY_MAC).unwrap(), [0x02, 0x70, 0x61, 0x6e, 0x64, 0x01]);
        assert!(GUEST_ADDRESS.parse::<Ipv4Addr>().is_ok());
        assert!(GATEWAY_ADDRESS.parse::<Ipv4Addr>().is_ok());
        assert!(parse_mac("02:70").is_err());
    }
}
