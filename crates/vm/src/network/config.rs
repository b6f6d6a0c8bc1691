//! What tells one server's slots from another's on the same host.

use std::net::Ipv4Addr;

use super::cidr::{Cidr, CidrError};
use super::slot::SlotNumber;

/// Names and addresses of a server's slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    prefix: String,
    pool: Ipv4Addr,
    allowed: Vec<Cidr>,
    mail: Mail,
}

/// Whether guests may send mail by the port that spam is sent by (SMTP, 25). Hosts
/// and clouds expect not; mail is handed in on 465 or 587, which are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mail {
    /// They may not.
    #[default]
    Blocked,
    /// They may.
    Allowed,
}

/// Why a configuration makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Links and namespaces are named after it.
    #[error("the network prefix `{0}` must be 1 to 8 lower-case letters")]
    Prefix(String),
    /// It is the first address of a /16.
    #[error("the network pool `{0}` must end in .0.0")]
    Pool(Ipv4Addr),
    /// It goes into a rule.
    #[error(transparent)]
    Allowed(#[from] CidrError),
}

/// Leaves room for a number in a link's name (`IFNAMSIZ` is 16).
const MAX_PREFIX: usize = 8;

impl NetworkConfig {
    /// A configuration: `prefix` begins every name, `pool` is the /16 that links
    /// namespaces to the host, `allowed` are addresses and networks that guests
    /// may reach though they are private or next to the host.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong.
    pub fn new(prefix: &str, pool: Ipv4Addr, allowed: &[String]) -> Result<Self, ConfigError> {
        let letters = prefix.bytes().all(|byte| byte.is_ascii_lowercase());
        if !letters || prefix.is_empty() || prefix.len() > MAX_PREFIX {
            return Err(ConfigError::Prefix(prefix.to_owned()));
        }
        if pool.octets()[2..] != [0, 0] {
            return Err(ConfigError::Pool(pool));
        }
        let allowed = allowed.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Self { prefix: prefix.to_owned(), pool, allowed, mail: Mail::default() })
    }

    /// The same, with this said about mail.
    #[must_use]
    pub fn with_mail(self, mail: Mail) -> Self {
        Self { mail, ..self }
    }

    pub(super) fn mail(&self) -> Mail {
        self.mail
    }

    pub(super) fn table(&self) -> &str {
        &self.prefix
    }

    pub(super) fn pool(&self) -> Ipv4Addr {
        self.pool
    }

    pub(super) fn allowed(&self) -> &[Cidr] {
        &self.allowed
    }

    /// What the names of all host-side links match.
    pub(super) fn links(&self) -> String {
        format!("{}v*", self.prefix)
    }

    pub(super) fn link(&self, slot: SlotNumber) -> String {
        format!("{}v{slot}", self.prefix)
    }

    pub(super) fn namespace(&self, slot: SlotNumber) -> String {
        format!("{}-{slot}", self.prefix)
    }

    /// The slot whose namespace has that name.
    pub(super) fn slot_of(&self, namespace: &str) -> Option<SlotNumber> {
        let number = namespace.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        number.parse().ok().map(SlotNumber::new)
    }

    /// The two ends of a slot's link: the host's and the namespace's.
    pub(super) fn link_addresses(&self, slot: SlotNumber) -> (Ipv4Addr, Ipv4Addr) {
        let first = u32::from(self.pool) + 2 * slot.number();
        (Ipv4Addr::from(first), Ipv4Addr::from(first + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 0);

    #[test]
    fn names_lead_back_to_their_slot() {
        let config = NetworkConfig::new("pando", POOL, &[]).unwrap();
        let slot = SlotNumber::new(300);
        assert_eq!(config.slot_of(&config.namespace(slot)), Some(slot));
        assert_eq!(config.slot_of("pandora-300"), None);
        assert_eq!(config.slot_of("pando-x"), None);
        assert_eq!(config.link(slot), "pandov300");
        let (host, inside) = config.link_addresses(slot);
        assert_eq!(
            (host.to_string(), inside.to_string()),
            ("10.213.2.88".into(), "10.213.2.89".into())
        );
    }

    #[test]
    fn what_goes_into_a_rule_is_checked() {
        assert!(NetworkConfig::new("Pando; flush", POOL, &[]).is_err());
        assert!(NetworkConfig::new("pando", Ipv4Addr::new(10, 213, 1, 0), &[]).is_err());
        assert!(NetworkConfig::new("pando", POOL, &["10.0.0.0/8".into()]).is_ok());
        assert!(NetworkConfig::new("pando", POOL, &["10.0.0.0/8 }".into()]).is_err());
    }
}
