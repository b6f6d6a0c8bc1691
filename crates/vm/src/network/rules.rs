//! The nftables text, as pure functions. Syntax: nft(8), Debian 12's 1.0.6.

use std::net::Ipv4Addr;

use pando_guest_protocol::{GATEWAY_ADDRESS, GUEST_ADDRESS, GUEST_MAC};

use super::cidr::Cidr;
use super::config::{Mail, NetworkConfig};

/// Packets a second that a guest may send, and how many at once beyond that. A
/// packet may hold 64 KiB where the guest's device cuts it up last.
const PACKETS_PER_SECOND: u32 = 50_000;
const PACKETS_BURST: u32 = 25_000;
/// Connections a second that a guest may open, and how many at once beyond that.
const CONNECTIONS_PER_SECOND: u32 = 500;
const CONNECTIONS_BURST: u32 = 2000;
/// Connections that a guest may hold: the host tracks each, in a table that all
/// guests share (262,144 on a host with some memory).
const CONNECTIONS: u32 = 4000;
/// Address questions a second that a guest may ask of its gateway.
const ARP_PER_SECOND: u32 = 100;

/// What no guest reaches: everything that is not the public internet by IANA's
/// registry of special-purpose addresses (RFC 6890), except its documentation ranges
/// (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24): nobody is there, unless a network
/// uses them as its public ones, and then guests there need them. 169.254.0.0/16
/// holds the metadata services of clouds.
pub(super) const DENIED: [&str; 12] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The host's table: the policy for all guests. Loading it replaces an older one
/// at one instant. Other tables' rules stay in force: a host firewall that drops
/// forwarded packets must let the links through. The nameserver may be this host
/// itself (under an address that is not loopback).
///
/// What this host is connected to is denied, too, however public its addresses: those
/// there may trust a neighbour. A router among them routes all the same, since only
/// its hardware address stands in what it passes on.
pub(super) fn host(config: &NetworkConfig, resolvers: &[Ipv4Addr], connected: &[Cidr]) -> String {
    let (table, links, pool) = (config.table(), config.links(), config.pool());
    let sets = [
        set("resolvers", resolvers),
        set("allowed", config.allowed()),
        set("denied", &DENIED),
        set("connected", connected),
    ]
    .concat();
    let mail = match config.mail() {
        Mail::Blocked => "tcp dport 25 counter drop",
        Mail::Allowed => "",
    };
    format!(
        r#"table inet {table} {{}}
delete table inet {table}
table inet {table} {{
{sets}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname "{links}" jump from_guest
    oifname "{links}" jump to_guest
  }}
  chain from_guest {{
    meta nfproto ipv6 counter drop
    oifname "{links}" counter drop
    ip saddr != {pool}/16 counter drop
    ct state established,related accept
    ip daddr @resolvers udp dport 53 accept
    ip daddr @resolvers tcp dport 53 accept
    ip daddr @allowed accept
    ip daddr @denied counter drop
    ip daddr @connected counter drop
    {mail}
    accept
  }}
  chain to_guest {{
    ct state established,related accept
    counter drop
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname "{links}" ip daddr @resolvers udp dport 53 accept
    iifname "{links}" ip daddr @resolvers tcp dport 53 accept
    iifname "{links}" counter drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {pool}/16 oifname != "{links}" masquerade
  }}
}}
"#
    )
}

/// Replaces what the host is connected to, at one instant.
pub(super) fn reconnect(config: &NetworkConfig, connected: &[Cidr]) -> String {
    refill(&format!("inet {} connected", config.table()), connected)
}

/// Replaces all elements of a set.
fn refill(set: &str, elements: &[Cidr]) -> String {
    let elements: Vec<_> = elements.iter().map(ToString::to_string).collect();
    let add = match &*elements {
        [] => String::new(),
        some => format!("add element {set} {{ {} }}\n", some.join(", ")),
    };
    format!("flush set {set}\n{add}")
}

fn set(name: &str, elements: &[impl ToString]) -> String {
    let elements: Vec<_> = elements.iter().map(ToString::to_string).collect();
    let elements = match &*elements {
        [] => String::new(),
        some => format!(" elements = {{ {} }}", some.join(", ")),
    };
    format!("  set {name} {{ type ipv4_addr; flags interval; auto-merge;{elements} }}\n")
}

/// A namespace's tables: nothing but the guest itself comes out of its tap, and
/// no more of it than this; then address translation.
///
/// They go by names, not by the device, so they hold whenever there is one of that
/// name. What a guest sends that is neither IPv4 nor ARP, nobody here listens to.
pub(super) fn namespace(resolver: Ipv4Addr) -> String {
    format!(
        r#"table ip slot {{
  set denied {{ type ipv4_addr; flags interval; auto-merge; }}
  chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iifname "tap0" ether saddr != {GUEST_MAC} counter drop
    iifname "tap0" ip saddr != {GUEST_ADDRESS} counter drop
    iifname "tap0" limit rate over {PACKETS_PER_SECOND}/second burst {PACKETS_BURST} packets counter drop
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "tap0" ip daddr {GATEWAY_ADDRESS} udp dport 53 dnat to {resolver}
    iifname "tap0" ip daddr {GATEWAY_ADDRESS} tcp dport 53 dnat to {resolver}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "up0" masquerade
  }}
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state established,related accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ip daddr @denied counter drop
    tcp flags syn tcp option maxseg size set rt mtu
    ct state established,related accept
    ct state invalid counter drop
    iifname "tap0" oifname "up0" jump opening
  }}
  chain opening {{
    limit rate over {CONNECTIONS_PER_SECOND}/second burst {CONNECTIONS_BURST} packets counter drop
    ct count over {CONNECTIONS} counter drop
    accept
  }}
}}
table arp slot {{
  chain input {{
    type filter hook input priority filter; policy drop;
    iifname "up0" accept
    iifname "tap0" limit rate over {ARP_PER_SECOND}/second counter drop
    iifname "tap0" arp saddr ether {GUEST_MAC} arp saddr ip {GUEST_ADDRESS} accept
    counter
  }}
}}
"#
    )
}

/// Replaces what one namespace's guest alone is denied, at one instant.
pub(super) fn deny(denied: &[Cidr]) -> String {
    refill("ip slot denied", denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_stands_in_the_right_order() {
        let pool = Ipv4Addr::new(10, 213, 0, 0);
        let config = NetworkConfig::new("pando", pool, &["10.9.0.0/16".into()]).unwrap();
        let connected = ["192.0.2.0/24".parse().unwrap()];
        let text = host(&config, &[Ipv4Addr::new(10, 255, 255, 53)], &connected);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        // Neighbours are dropped before anything is accepted; the operator's word
        // and the resolver come before what is denied.
        assert!(at("oifname \"pandov*\" counter drop") < at("ct state established,related accept"));
        assert!(at("@resolvers udp") < at("@denied counter"));
        assert!(at("@allowed accept") < at("@denied counter"));
        assert!(text.contains("elements = { 10.255.255.53 }"));
        assert!(text.contains("elements = { 10.9.0.0/16 }"));
        assert!(text.contains("elements = { 192.0.2.0/24 }"));
        assert!(at("@resolvers tcp") < at("@connected counter"));
        assert!(at("@allowed accept") < at("@connected counter"));
        assert!(at("@allowed accept") < at("tcp dport 25 counter drop"));
        assert!(at("@connected counter") < at("tcp dport 25 counter drop"));
        assert!(!host(&config.with_mail(Mail::Allowed), &[], &[]).contains("dport 25 "));
    }

    #[test]
    fn what_one_guest_is_denied_stands_before_what_it_has_open() {
        let text = namespace(Ipv4Addr::new(10, 255, 255, 53));
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        assert!(
            at("@denied counter drop")
                < at("ct state established,related accept\n    ct state invalid")
        );
        assert_eq!(deny(&[]), "flush set ip slot denied\n");
        let two = ["10.0.0.0/8".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        assert_eq!(
            reconnect(
                &NetworkConfig::new("pando", Ipv4Addr::new(10, 213, 0, 0), &[]).unwrap(),
                &[]
            ),
            "flush set inet pando connected\n"
        );
        assert!(deny(&two).ends_with("add element ip slot denied { 10.0.0.0/8, 192.0.2.1/32 }\n"));
    }

    #[test]
    fn an_empty_set_has_no_elements() {
        let config = NetworkConfig::new("pando", Ipv4Addr::new(10, 213, 0, 0), &[]).unwrap();
        assert!(
            host(&config, &[], &[])
                .contains("set allowed { type ipv4_addr; flags interval; auto-merge; }")
        );
    }
}
