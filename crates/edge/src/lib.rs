//! Hostname → sandbox: the reverse proxy in front of every preview.
//!
//! A request's way: [`serve`] accepts it and looks at its host ([`host`]); a
//! preview host goes to [`Edge::handle`], any other to the API. The [`Backend`]
//! says where the label leads and opens the connection; `headers` cleans both
//! heads; `forward` carries the exchange over a pooled or a new connection;
//! `tunnel` takes over when the protocol changes. What cannot be forwarded is a
//! `trouble`, and `page` tells it to a browser or to a program.
//!
//! What never lives here: who may ask, what a sandbox is, how one is reached or
//! woken (the [`Backend`] knows), SQL, disks. The policy files (`host`, `headers`,
//! `trouble`, `page`) know no protocol version; `serve` and `forward` alone speak
//! HTTP/1.1.
//!
//! Invariants: a request reaches only the sandbox that its host names; a message
//! is never held whole in memory; every response carries `X-Robots-Tag: noindex`.

mod backend;
mod body;
mod edge;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod headers;
pub mod host;
pub mod limits;
mod page;
mod pool;
mod serve;
mod socket;
mod trouble;
mod tunnel;

pub use backend::{Backend, ConnectError, Resolution};
pub use body::{Body, BoxError};
pub use edge::Edge;
pub use host::{HostLabel, Suffix, SuffixError};
pub use limits::Limits;
pub use serve::serve;
