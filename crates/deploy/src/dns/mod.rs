//! Asking DNS for two kinds of records: enough to see whose a domain is.
//!
//! [`message`] writes questions and reads answers, without I/O; [`client`] sends them to the
//! resolver of this machine, or to the one that the operator names. An answer is whatever somebody
//! on the way wrote: every read of it is bounded, and one that is not to our question is not read.

mod client;
mod message;
mod server;

pub(crate) use client::{Dns, DnsError};
pub use server::DnsServer;
