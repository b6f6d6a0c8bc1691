//! Every limit of the edge, by name and with its unit.

use std::time::Duration;

/// The time a client has to send a request's head; also how long a kept-alive
/// connection may stay without a request.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request or of an app's answer (431 and 502 above it).
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The most header lines of a request or of an app's answer.
pub const MAX_HEADERS: usize = 128;
/// The most bytes that one connection buffers in one direction.
pub const MAX_BUFFER_BYTES: usize = 2 * MAX_HEADER_BYTES;
/// The most client connections at once, tunnels included; later ones wait in the listener's queue.
pub const MAX_CONNECTIONS: usize = 8192;
/// The pause after the system refused to accept a connection (out of descriptors, mostly).
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The time one attempt to connect to an app may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request waits for its app to start listening.
pub const LISTEN_WAIT: Duration = Duration::from_secs(3);
/// The pause between two attempts while nobody listens.
pub const LISTEN_RETRY: Duration = Duration::from_millis(100);
/// How long an app may take to begin its answer, counted from the last byte of
/// the request that came from the client.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long an unused connection to an app is kept: less than the 5 s after
/// which common servers close theirs.
pub const POOL_IDLE: Duration = Duration::from_secs(4);
/// The most unused connections to one port of one sandbox.
pub const POOL_MAX_PER_TARGET: usize = 32;
/// The most unused connections in all.
pub const POOL_MAX: usize = 1024;
/// How often unused connections are looked at.
pub const POOL_SWEEP: Duration = Duration::from_secs(1);

/// How long a tunnel outlives the end of one of its directions.
pub const TUNNEL_HALF_CLOSED: Duration = Duration::from_secs(300);
/// How long a closing connection still takes, and drops, what the client sends,
/// so that the answer is not lost to a reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// What requests in flight are given when the server stops.
pub const DRAIN: Duration = Duration::from_secs(10);

/// The silence after which the system asks a peer whether it is still there, in
/// three probes at [`KEEPALIVE_INTERVAL`].
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// The time between two such probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The number of unanswered probes after which a connection is dead.
pub const KEEPALIVE_PROBES: u32 = 3;

/// The waits that an operator or a test may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`CONNECT_TIMEOUT`].
    pub connect: Duration,
    /// See [`LISTEN_WAIT`].
    pub listen_wait: Duration,
    /// See [`FIRST_BYTE_TIMEOUT`].
    pub first_byte: Duration,
    /// See [`POOL_IDLE`].
    pub pool_idle: Duration,
    /// See [`DRAIN`].
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            listen_wait: LISTEN_WAIT,
            first_byte: FIRST_BYTE_TIMEOUT,
            pool_idle: POOL_IDLE,
            drain: DRAIN,
        }
    }
}
