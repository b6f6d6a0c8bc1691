//! Hostname → sandbox: the reverse proxy in front of every preview.
//!
//! A request's way: [`serve()`] accepts its connection; `socket` tells the
//! protocol and sees to both ends of the stream; `head` judges every head before
//! anything acts on it (HTTP/1.1's in the stream's bytes, HTTP/2's as the library
//! read them); the router looks at the host ([`host`]): a preview's and an app's domain go
//! to the [`Edge`], any other to the API. The [`Backend`] says where the label leads and
//! opens the connection; the sandbox's `lane` lets the request in; `headers` cleans
//! both heads; `forward` carries the exchange over a kept or a new connection
//! (`wire`), and `body` the answer back; `tunnel` takes over when the protocol
//! changes (`websocket`, where it changes over HTTP/2). What cannot be forwarded is
//! a `trouble`, and `page` tells it to a browser or to a program.
//!
//! What never lives here: who may ask, what a sandbox is, how one is reached or
//! woken (the [`Backend`] knows), SQL, disks, TLS. The policy files (`host`, `head`,
//! `headers`, `trouble`, `page`) do no I/O.
//!
//! Invariants: a request reaches only the sandbox that its host names; a message
//! is never held whole in memory; every answer under the suffix carries
//! `X-Robots-Tag: noindex`; a head that two readers could read differently reaches
//! nobody; whoever takes or sends nothing is waited for so long and no longer.

mod alarm;
mod backend;
mod body;
mod chunks;
mod client;
mod edge;
mod end;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head;
mod headers;
pub mod host;
mod lane;
pub mod limits;
mod pace;
mod page;
mod quiet;
mod serve;
mod socket;
mod trouble;
mod tunnel;
mod websocket;
mod wire;

pub use backend::{Backend, ConnectError, Resolution};
pub use body::BoxError;
pub use edge::Edge;
pub use host::{HostLabel, Suffix, SuffixError};
pub use limits::Limits;
pub use quiet::QuietAgents;
pub use serve::serve;
