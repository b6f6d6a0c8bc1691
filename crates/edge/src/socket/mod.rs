//! TCP as the edge needs it: options for both sides, and what each side's stream
//! does at its end so that no answer is lost.

mod conversation;
mod guard;
mod lingering;
mod one_way;
mod opening;
mod prefixed;
mod small;

use std::io;

use rustix::net::sockopt;
use tokio::net::TcpStream;

pub(crate) use conversation::{Conversation, Exchange};
pub(crate) use guard::Guard;
pub(crate) use lingering::{Departure, Lingering};
pub(crate) use one_way::OneWay;
pub(crate) use opening::{Protocol, read_opening};
pub(crate) use prefixed::Prefixed;

use crate::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};

/// Small writes leave at once, and a peer that vanished without a word (a killed
/// sandbox, a laptop that fell asleep) is noticed: else its tunnels would stay.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}
