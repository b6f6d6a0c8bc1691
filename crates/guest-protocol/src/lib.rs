//! What the host and the guest agent say to each other.
//!
//! Two channels, each for what it does best:
//! - the **control line**, a virtio-serial port named [`CONTROL_PORT`]: one JSON
//!   object a line ([`control`]). It works before the network does and can be
//!   connected before the restored guest runs, so the first thing a restored
//!   agent reads is who it is now ([`control::Identity`]: seed, clock, token).
//!   Only the host holds its other end, so it needs no password.
//! - **sessions**, TCP connections to [`SESSION_PORT`] inside the sandbox's
//!   network namespace: one operation each ([`session`]), opened by a request
//!   that carries the token of the last restore. What the larger ones say has a
//!   file each: [`terminal`], [`repl`], [`log`], [`machine`], [`supervise`].
//!
//! What never lives here: sockets, policy, anything of one side alone. Each side
//! treats the other's bytes as hostile: every length is checked against a named
//! limit before it is believed ([`frame`]).

pub mod control;
pub mod frame;
pub mod log;
pub mod machine;
pub mod repl;
pub mod session;
pub mod supervise;
pub mod terminal;

/// The virtio-serial port's name, found by the guest in `/sys/class/virtio-ports/*/name`.
pub const CONTROL_PORT: &str = "pando.control";
/// The TCP port that the agent listens on for sessions, on the guest's own address.
pub const SESSION_PORT: u16 = 1023;
/// The guest's address, the same in every network namespace.
pub const GUEST_ADDRESS: &str = "172.16.0.2";
/// The host's end of the guest's only link.
pub const GATEWAY_ADDRESS: &str = "172.16.0.1";
/// The prefix length of that link.
pub const LINK_PREFIX: u8 = 30;
/// The guest's MAC, the same in every network namespace.
pub const GUEST_MAC: &str = "02:70:61:6e:64:02";
/// The tap's MAC, the same in every namespace, so the guest can hold it as a permanent neighbour.
pub const GATEWAY_MAC: &str = "02:70:61:6e:64:01";
