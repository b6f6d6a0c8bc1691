//! Which nameserver guests' questions go to: the host's own.

use std::fs;
use std::net::Ipv4Addr;

/// Where a host's nameservers stand. The second is what systemd-resolved itself
/// asks; its stub in the first is on loopback, where no namespace reaches it.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// There is no nameserver that a guest could be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no IPv4 nameserver outside loopback in {} or {}", FILES[0], FILES[1])]
pub struct ResolverError;

/// The host's nameservers, best first.
///
/// # Errors
/// [`ResolverError`] when there is none to send guests to.
pub fn resolvers() -> Result<Vec<Ipv4Addr>, ResolverError> {
    let found = FILES.iter().map(|file| parse(&fs::read_to_string(file).unwrap_or_default()));
    found.into_iter().find(|list| !list.is_empty()).ok_or(ResolverError)
}

/// The usable nameservers in a resolv.conf(5).
fn parse(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<Ipv4Addr>().ok())
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_ipv6_are_of_no_use() {
        let text =
            "# x\nnameserver 127.0.0.53\nnameserver fe80::1\n nameserver 9.9.9.9 # y\nnameserver\n";
        assert_eq!(parse(text), [Ipv4Addr::new(9, 9, 9, 9)]);
    }
}
