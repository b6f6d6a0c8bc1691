//! The nftables text, as pure functions. Syntax: nft(8), Debian 12's 1.0.6.

use std::net::Ipv4Addr;

use pando_guest_protocol::{GATEWAY_ADDRESS, GUEST_ADDRESS};

use super::config::NetworkConfig;

/// What no guest reaches: everything that is not the public internet (RFC 6890
/// without its documentation ranges, which are nobody's). 169.254.0.0/16 holds
/// the metadata services of clouds.
const DENIED: [&str; 12] = [
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
pub(super) fn host(config: &NetworkConfig, resolvers: &[Ipv4Addr]) -> String {
    let (table, links, pool) = (config.table(), config.links(), config.pool());
    let set = |name: &str, elements: &[String]| {
        let elements = match elements {
            [] => String::new(),
            some => format!(" elements = {{ {} }}", some.join(", ")),
        };
        format!("  set {name} {{ type ipv4_addr; flags interval; auto-merge;{elements} }}\n")
    };
    let resolvers: Vec<_> = resolvers.iter().map(ToString::to_string).collect();
    let sets = [
        set("resolvers", &resolvers),
        set("allowed", config.allowed()),
        set("denied", &DENIED.map(str::to_owned)),
    ]
    .concat();
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

/// A namespace's table: address translation, and nothing but the guest's own
/// address comes out of its tap.
pub(super) fn namespace(resolver: Ipv4Addr) -> String {
    format!(
        r#"table ip slot {{
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
    iifname "tap0" ip saddr != {GUEST_ADDRESS} counter drop
    tcp flags syn tcp option maxseg size set rt mtu
    ct state established,related accept
    iifname "tap0" oifname "up0" accept
  }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_stands_in_the_right_order() {
        let pool = Ipv4Addr::new(10, 213, 0, 0);
        let config = NetworkConfig::new("pando", pool, &["10.9.0.0/16".into()]).unwrap();
        let text = host(&config, &[Ipv4Addr::new(10, 255, 255, 53)]);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        // Neighbours are dropped before anything is accepted; the operator's word
        // and the resolver come before what is denied.
        assert!(at("oifname \"pandov*\" counter drop") < at("ct state established,related accept"));
        assert!(at("@resolvers udp") < at("@denied counter"));
        assert!(at("@allowed accept") < at("@denied counter"));
        assert!(text.contains("elements = { 10.255.255.53 }"));
        assert!(text.contains("elements = { 10.9.0.0/16 }"));
    }

    #[test]
    fn an_empty_set_has_no_elements() {
        let config = NetworkConfig::new("pando", Ipv4Addr::new(10, 213, 0, 0), &[]).unwrap();
        assert!(
            host(&config, &[])
                .contains("set allowed { type ipv4_addr; flags interval; auto-merge; }")
        );
    }
}
