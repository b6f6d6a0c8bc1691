//! The network slot that one microVM lives in, and the host's policy for all of them.
//!
//! ```text
//! guest eth0 ── tap0 │ namespace <prefix>-<n> │ up0 ══ veth ══ <prefix>v<n> │ host │ uplink
//! 172.16.0.2   172.16.0.1     masquerade, DNS          10.213.x.y/31     policy, masquerade
//! ```
//!
//! Every guest has the same address and MAC, so a restored guest is renumbered by
//! nobody; its namespace translates. What guests may reach is decided in one
//! nftables table on the host; that a guest is who it says it is, how much it may
//! open, and what it alone is denied, in tables of its namespace (`rules` has the
//! text of both). IPv6 is off, wholly.
//!
//! Slots are made ahead and off the create path, by `ip -batch` and `nft -f`;
//! connecting into one is a socket made by a thread that has entered it.

mod cidr;
mod config;
mod host;
mod neighbours;
mod resolvers;
mod rules;
mod slot;
mod uplink;

pub use cidr::{Cidr, CidrError};
pub use config::{ConfigError, Mail, NetworkConfig};
pub use host::{Network, NetworkError};
pub use resolvers::{ResolverError, resolvers};
pub use slot::{Slot, SlotNumber};
