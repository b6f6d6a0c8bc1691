//! Which TCP ports something listens on, and what, from `/proc/net`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pando_guest_protocol::session::{Failure, Listener, Listeners};

use super::failure::refused;
use super::listener::is_own;
use super::owner::owners;

/// The state column of a listening socket.
const LISTENING: &str = "0A";
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Every listening socket but the agent's own; each address and port once.
pub fn listeners() -> Result<Listeners, Failure> {
    let mut found = BTreeMap::new();
    for table in TABLES {
        match File::open(table) {
            Ok(file) => {
                read_table(BufReader::new(file), &mut found)
                    .map_err(|error| refused(table, &error))?;
            }
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(table, &error)),
        }
    }
    found.retain(|address, _| !is_own(*address));
    let owners = owners(&found.values().copied().collect());
    let listener = |(address, socket): (SocketAddr, u64)| Listener {
        address: address.ip(),
        port: address.port(),
        process: owners.get(&socket).cloned(),
    };
    Ok(Listeners { listeners: found.into_iter().map(listener).collect() })
}

/// Line by line: a busy machine's table is long, and nearly all of it is not listening.
fn read_table(table: impl BufRead, found: &mut BTreeMap<SocketAddr, u64>) -> io::Result<()> {
    for line in table.lines().skip(1) {
        found.extend(listening(&line?));
    }
    Ok(())
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let (address, port) = columns.nth(1)?.split_once(':')?;
    if columns.nth(1)? != LISTENING {
        return None;
    }
    let socket = columns.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(parse_address(address)?, port), socket))
}

/// The kernel prints each 32-bit word of an address as a number in its own byte order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = text.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n";

    fn parse(lines: &str) -> Vec<String> {
        let mut found = BTreeMap::new();
        read_table(format!("{HEADER}{lines}").as_bytes(), &mut found).unwrap();
        found.into_iter().map(|(address, socket)| format!("{address} {socket}")).collect()
    }

    #[test]
    fn listening_sockets_of_both_families_once() {
        let lines = "\
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:0BB9 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4
   4: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 5
";
        assert_eq!(parse(lines), ["127.0.0.1:3000 2", "[::]:80 5", "[::1]:8080 4"]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        assert!(
            parse("\n 0: zz:11 0:0 0A\n 1: 0100007F 0:0 0A\n 2: 01:1 0 0A\n 3: é00007F:1 0 0A\n")
                .is_empty()
        );
    }
}
