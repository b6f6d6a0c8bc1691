//! Which hosts the server may be sent to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::UrlError;

/// A host that the operator allows beyond public ones: without TLS, and with a
/// private address. Without a port, each of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host or host:port");
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// Whether the operator allowed this port of this host.
pub(super) fn is_allowed(host: &str, port: u16, allowed: &[HostPort]) -> bool {
    let fits = |known: &HostPort| known.host == host && known.port.is_none_or(|it| it == port);
    allowed.iter().any(fits)
}

/// Where a host is, once it is known that it may be reached: the addresses to hold on to,
/// so that its name cannot lead elsewhere a moment later. `None` when a proxy resolves
/// the name.
pub(super) async fn check(
    host: &str,
    port: u16,
    allowed: &[HostPort],
    proxied: bool,
) -> Result<Option<Vec<IpAddr>>, UrlError> {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<IpAddr> = match plain.parse() {
        Ok(address) => vec![address],
        Err(_) => match tokio::net::lookup_host((plain, port)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => Vec::new(),
        },
    };
    if addresses.is_empty() {
        return if proxied { Ok(None) } else { Err(UrlError::Unresolved(host.to_owned())) };
    }
    if !is_allowed(host, port, allowed) && !addresses.iter().copied().all(is_public) {
        return Err(UrlError::Private(host.to_owned()));
    }
    Ok((!proxied).then_some(addresses))
}

/// A host name or address in lower case, and its port.
pub(super) fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (format!("[{}]", address.to_ascii_lowercase()), port.strip_prefix(':'))
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (host.to_ascii_lowercase(), port)
        }
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let named = !host.is_empty() && host.bytes().all(good) && !host.starts_with(['-', '.']);
    if !named && !host.starts_with('[') {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((host, port))
}

/// Whether an address is one of the internet's, by IANA's registries of special
/// purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 224
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmarks
        || protocol)
}

/// Global unicast is `2000::/3`; within it, what translates to an IPv4 address or
/// is not routed is left out.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let translated = a == 0x2002 || (a == 0x2001 && b < 0x200);
    let documentation = (a, b) == (0x2001, 0x0db8) || a == 0x3fff;
    (0x2000..0x4000).contains(&a) && !translated && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["140.82.121.4", "8.8.8.8", "2606:4700::1111", "2a01:4f8::1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
