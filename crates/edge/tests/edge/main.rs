//! The edge over real sockets: apps are TCP servers on loopback, reached through
//! a backend that knows them by sandbox.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answers;
mod ends;
mod frames;
mod framing;
mod framings;
mod http2;
mod hygiene;
mod interop;
mod pooling;
mod routing;
mod share;
mod shutdown;
mod sleeping;
mod sockets;
mod streams;
mod support;
mod tunnels;
