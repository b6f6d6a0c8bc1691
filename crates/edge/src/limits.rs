//! Every limit of the edge, by name and with its unit.

use std::num::NonZeroU32;
use std::time::Duration;

/// The time a client has to send a request's head, from the head's first byte
/// (408 after it), and to send a new connection's first byte.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a kept-alive connection may stay without a request.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// The largest head of a request (431) or of an app's answer (502 above it).
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The most header lines of a request (431) or of an app's answer (502). It is the
/// HTTP library's own limit, up to which it needs no memory for them.
pub const MAX_HEADERS: usize = 100;
/// The longest target of a request, path and query (414).
pub const MAX_URL_BYTES: usize = 16 * 1024;
/// The most bytes that one connection buffers in one direction.
pub const MAX_BUFFER_BYTES: usize = 2 * MAX_HEADER_BYTES;
/// The most client connections at once, tunnels included; later ones wait in the listener's queue.
pub const MAX_CONNECTIONS: usize = 8192;
/// The most threads that serve connections; there are as many as processors.
pub const MAX_WORKERS: usize = 16;
/// The accepted connections that wait for one of them.
pub const WORKER_QUEUE: usize = 128;
/// The pause after the system refused to accept a connection (out of descriptors, mostly).
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// How long a client that closed its own direction is still answered.
pub const HALF_CLOSED: Duration = Duration::from_secs(60);
/// The same for a client of the API. Few half-close and wait; most that close have
/// left, and what they asked for is to stop with them.
pub const API_HALF_CLOSED: Duration = Duration::from_secs(2);
/// How long a client may take nothing of what is sent to it, on an HTTP/1.1
/// connection or in an HTTP/2 stream.
pub const WRITE_STALL: Duration = Duration::from_secs(120);

/// The most requests at once on one HTTP/2 connection.
pub const H2_MAX_STREAMS: u32 = 128;
/// The largest decoded list of headers that HTTP/2 reads at all. Twice what is
/// served, so that what is a little too much gets the edge's own answer.
pub const H2_MAX_HEADER_LIST_BYTES: u32 = 2 * MAX_HEADER_BYTES as u32;
/// The bytes of one upload that a client may send ahead of the app.
pub const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The same for all uploads of one connection.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// The bytes of one answer that wait for the client to take them.
pub const H2_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The requests that a client may reset before the edge has looked at them; more
/// end the connection.
pub const H2_MAX_PENDING_RESETS: usize = 20;
/// The faulty requests that are answered by a reset before the connection ends.
pub const H2_MAX_ERROR_RESETS: usize = 256;
/// How often a client is asked whether it is still there.
pub const H2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// The time it has to say so.
pub const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The time a request waits for its sandbox to be woken, however often it falls asleep
/// or is replaced meanwhile.
pub const WAKE: Duration = Duration::from_secs(60);
/// How long a browser that opens a page waits for that before it is shown a page that
/// asks again by itself.
pub const WAIT_PAGE_AFTER: Duration = Duration::from_millis(1500);
/// The time one attempt to connect to an app may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request waits for its app to start listening.
pub const LISTEN_WAIT: Duration = Duration::from_secs(3);
/// The pause between two attempts while nobody listens.
pub const LISTEN_RETRY: Duration = Duration::from_millis(100);
/// How long an app may take to begin its answer, counted from the last byte of
/// the request that came from the client.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(300);

/// How many interim answers (1xx) may come before an app's answer.
pub const MAX_INTERIM_ANSWERS: usize = 8;

/// How long an unused connection to an app is kept: less than the 5 s after
/// which common servers close theirs.
pub const POOL_IDLE: Duration = Duration::from_secs(4);
/// The most unused connections to one sandbox.
pub const POOL_MAX_PER_SANDBOX: usize = 64;
/// The most unused connections in all.
pub const POOL_MAX: usize = 1024;
/// How often unused connections are looked at.
pub const POOL_SWEEP: Duration = Duration::from_secs(1);
/// How long the edge remembers a sandbox that nobody asks for: long enough for
/// its rate to be whole again.
pub const LANE_QUIET: Duration = Duration::from_secs(30);

/// The requests a second that one sandbox gets on the long run (429 above it).
pub const APP_REQUESTS_PER_SEC: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
/// The requests that one sandbox gets in one go after a quiet moment.
pub const APP_REQUEST_BURST: NonZeroU32 = NonZeroU32::new(4_000).unwrap();
/// The requests and tunnels of one sandbox that are under way at once (429).
pub const APP_REQUESTS_AT_ONCE: usize = 1024;

/// How long a tunnel outlives the end of one of its directions.
pub const TUNNEL_HALF_CLOSED: Duration = Duration::from_secs(300);
/// How long a closing connection still takes, and drops, what the client sends,
/// so that the answer is not lost to a reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// How much it takes and drops then at most. Some clients send all of an upload
/// before they read; the answer to a longer one may be lost to them.
pub const LINGER_BYTES: u64 = 256 << 20;
/// What requests in flight are given when the server stops.
pub const DRAIN: Duration = Duration::from_secs(10);
/// What tunnels and streams of events are given then: they have no end of their
/// own, and their clients connect again.
pub const TUNNEL_DRAIN: Duration = Duration::from_secs(2);

/// The silence after which the system asks a peer whether it is still there, in
/// three probes at [`KEEPALIVE_INTERVAL`].
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// The time between two such probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The number of unanswered probes after which a connection is dead.
pub const KEEPALIVE_PROBES: u32 = 3;

/// The limits that an operator or a test may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`HEADER_READ_TIMEOUT`].
    pub header_read: Duration,
    /// See [`KEEP_ALIVE`].
    pub keep_alive: Duration,
    /// See [`HALF_CLOSED`].
    pub half_closed: Duration,
    /// See [`API_HALF_CLOSED`].
    pub api_half_closed: Duration,
    /// See [`WRITE_STALL`].
    pub write_stall: Duration,
    /// See [`WAKE`].
    pub wake: Duration,
    /// See [`WAIT_PAGE_AFTER`].
    pub wait_page_after: Duration,
    /// See [`CONNECT_TIMEOUT`].
    pub connect: Duration,
    /// See [`LISTEN_WAIT`].
    pub listen_wait: Duration,
    /// See [`FIRST_BYTE_TIMEOUT`].
    pub first_byte: Duration,
    /// See [`POOL_IDLE`].
    pub pool_idle: Duration,
    /// See [`APP_REQUESTS_PER_SEC`].
    pub app_requests_per_sec: NonZeroU32,
    /// See [`APP_REQUEST_BURST`].
    pub app_request_burst: NonZeroU32,
    /// See [`APP_REQUESTS_AT_ONCE`].
    pub app_requests_at_once: usize,
    /// See [`DRAIN`].
    pub drain: Duration,
    /// See [`TUNNEL_DRAIN`].
    pub tunnel_drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: HEADER_READ_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            half_closed: HALF_CLOSED,
            api_half_closed: API_HALF_CLOSED,
            write_stall: WRITE_STALL,
            wake: WAKE,
            wait_page_after: WAIT_PAGE_AFTER,
            connect: CONNECT_TIMEOUT,
            listen_wait: LISTEN_WAIT,
            first_byte: FIRST_BYTE_TIMEOUT,
            pool_idle: POOL_IDLE,
            app_requests_per_sec: APP_REQUESTS_PER_SEC,
            app_request_burst: APP_REQUEST_BURST,
            app_requests_at_once: APP_REQUESTS_AT_ONCE,
            drain: DRAIN,
            tunnel_drain: TUNNEL_DRAIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_operators_is_true() {
        let page = include_str!("../../../docs/edge.md");
        let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
        let secs = |time: Duration| format!("{} s", time.as_secs());
        let count = |count: usize| match count {
            0..1000 => count.to_string(),
            _ => format!("{},{:03}", count / 1000, count % 1000),
        };
        for (name, value) in [
            ("MAX_HEADER_BYTES", kib(MAX_HEADER_BYTES)),
            ("MAX_HEADERS", count(MAX_HEADERS)),
            ("MAX_URL_BYTES", kib(MAX_URL_BYTES)),
            ("HEADER_READ_TIMEOUT", secs(HEADER_READ_TIMEOUT)),
            ("APP_REQUESTS_PER_SEC", count(APP_REQUESTS_PER_SEC.get() as usize)),
            ("APP_REQUEST_BURST", count(APP_REQUEST_BURST.get() as usize)),
            ("APP_REQUESTS_AT_ONCE", count(APP_REQUESTS_AT_ONCE)),
            ("LISTEN_WAIT", secs(LISTEN_WAIT)),
            ("WAKE", secs(WAKE)),
            ("WAIT_PAGE_AFTER", format!("{} s", WAIT_PAGE_AFTER.as_secs_f64())),
            ("CONNECT_TIMEOUT", secs(CONNECT_TIMEOUT)),
            ("FIRST_BYTE_TIMEOUT", secs(FIRST_BYTE_TIMEOUT)),
            ("WRITE_STALL", secs(WRITE_STALL)),
            ("HALF_CLOSED", secs(HALF_CLOSED)),
            ("KEEP_ALIVE", secs(KEEP_ALIVE)),
            ("TUNNEL_HALF_CLOSED", secs(TUNNEL_HALF_CLOSED)),
            ("MAX_CONNECTIONS", count(MAX_CONNECTIONS)),
            ("H2_MAX_STREAMS", count(H2_MAX_STREAMS as usize)),
            ("DRAIN", secs(DRAIN)),
            ("TUNNEL_DRAIN", secs(TUNNEL_DRAIN)),
        ] {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}`")));
            let shown = row.and_then(|row| row.split(" | ").nth(1));
            assert_eq!(shown, Some(value.as_str()), "{name}");
        }
    }
}
