//! An IPv4 address or network, as it goes into a rule.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network: `10.0.0.0/8`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: Ipv4Addr,
    bits: u8,
}

impl Cidr {
    /// The network that an address is in, by how many of its bits name it (32 at most).
    pub(super) fn around(address: Ipv4Addr, bits: u8) -> Self {
        Self { address: (address.to_bits() & mask(bits)).into(), bits }
    }

    /// Whether all of `other` is in it.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let mask = mask(self.bits);
        self.bits <= other.bits && self.address.to_bits() & mask == other.address.to_bits() & mask
    }
}

/// The bits that name a network.
fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

/// It is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv4 address or network")]
pub struct CidrError(pub String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let wrong = || CidrError(text.to_owned());
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address = address.parse().map_err(|_| wrong())?;
        // `parse` alone would also take a sign and leading zeros.
        let digits = bits.len() <= 2 && bits.bytes().all(|byte| byte.is_ascii_digit());
        match bits.parse() {
            Ok(bits) if digits && bits <= 32 => Ok(Self { address, bits }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_parts() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        for (outer, inner) in [
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("0.0.0.0/0", "192.0.2.7"),
            ("10.0.0.0/8", "10.9.0.0/16"),
            ("192.0.2.1/24", "192.0.2.7/32"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert!(cidr(outer).holds(&cidr(inner)), "{outer} {inner}");
        }
        for (outer, inner) in [
            ("10.9.0.0/16", "10.0.0.0/8"),
            ("10.0.0.0/8", "11.0.0.0/8"),
            ("192.0.2.7", "192.0.2.6"),
        ] {
            assert!(!cidr(outer).holds(&cidr(inner)), "{outer} {inner}");
        }
        let around = |bits| Cidr::around(Ipv4Addr::new(192, 0, 2, 7), bits).to_string();
        assert_eq!((around(24), around(32)), ("192.0.2.0/24".into(), "192.0.2.7/32".into()));
        assert_eq!(around(0), "0.0.0.0/0");
    }

    #[test]
    fn what_goes_into_a_rule_is_a_network_and_nothing_else() {
        let read = |text: &str| text.parse::<Cidr>().map(|cidr| cidr.to_string());
        assert_eq!(read("10.0.0.0/8").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(read("0.0.0.0/0").as_deref(), Ok("0.0.0.0/0"));
        assert_eq!(read("192.0.2.7").as_deref(), Ok("192.0.2.7/32"));
        for bad in
            ["10.0.0.0/33", "10.0.0.0/8 }", "10.0.0.0/+8", "10.0.0.0/", "::1", "example.com", ""]
        {
            assert_eq!(read(bad), Err(CidrError(bad.to_owned())));
        }
    }
}
