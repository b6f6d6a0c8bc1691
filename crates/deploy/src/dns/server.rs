//! Which resolvers are asked.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

const PORT: u16 = 53;
/// As much of the machine's settings as is read, and as many of its resolvers as are asked: the C
/// library's own bound (resolv.conf(5)).
const MAX_SETTINGS_BYTES: u64 = 64 * 1024;
const MAX_SERVERS: usize = 3;

/// Where DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsServer {
    /// Those that this file names, which is read at each question: `/etc/resolv.conf`.
    Settings(PathBuf),
    /// This one.
    At(SocketAddr),
}

impl Default for DnsServer {
    fn default() -> Self {
        Self::Settings("/etc/resolv.conf".into())
    }
}

/// A text is no address of a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a resolver is an address, with a port or without: 192.0.2.53, [2001:db8::53]:5353")]
pub struct DnsServerError;

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(text: &str) -> Result<Self, DnsServerError> {
        let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
        bare.or_else(|_| text.parse()).map(Self::At).map_err(|_| DnsServerError)
    }
}

impl DnsServer {
    /// The resolvers, in the order in which they are asked. Settings that cannot be read, or name
    /// none, stand for this machine's own.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let path = match self {
            Self::At(address) => return vec![*address],
            Self::Settings(path) => path,
        };
        let mut text = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_SETTINGS_BYTES).read_to_end(&mut text));
        if let Err(error) = read {
            tracing::debug!(%error, path = %path.display(), "the resolvers' names cannot be read");
        }
        let mut named = named(&String::from_utf8_lossy(&text));
        if named.is_empty() {
            named.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        named.into_iter().map(|ip| SocketAddr::new(ip, PORT)).collect()
    }
}

fn named(settings: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    settings.lines().filter_map(address).take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_c_library_does() {
        let text = "# x\nsearch a.b\nnameserver 192.0.2.1\n; nameserver 192.0.2.9\n nameserver\t\
                    2001:db8::1 # y\nnameserver fe80::1%eth0\nnameserver\nnameserver 192.0.2.2\n\
                    nameserver 192.0.2.3\n";
        let named: Vec<String> = named(text).iter().map(IpAddr::to_string).collect();
        assert_eq!(named, ["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        let nowhere = DnsServer::Settings("/nonexistent".into());
        assert_eq!(nowhere.addresses(), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn an_operator_names_one_with_a_port_or_without() {
        for (text, address) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            let server: DnsServer = text.parse().unwrap();
            assert_eq!(server.addresses(), [address.parse().unwrap()]);
        }
        for text in ["", "dns.example.com", "192.0.2.53:", "192.0.2.53:70000"] {
            assert_eq!(text.parse::<DnsServer>(), Err(DnsServerError), "{text}");
        }
    }
}
