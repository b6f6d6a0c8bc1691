//! Leases: while a program of this machine holds one, the machine is not put to sleep
//! for want of use.
//!
//! A lease is a connection to the agent that its holder keeps open, so it ends with its
//! holder, however that ends. `client` is the program that people run.

mod client;

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

pub use client::{PROGRAM, run};

use crate::sys::log;

/// Where they are taken: a name, and no file that a program could remove.
const NAME: &[u8] = b"pando-lease";
/// What a holder hears once it holds one.
const HELD: u8 = b'1';
/// More holders at once than any machine needs; the rest are refused.
const MAX_HELD: u32 = 1024;
/// Between tries while the machine is out of something.
const RETRY: Duration = Duration::from_millis(100);

/// How many leases are held. Clones count the same.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<AtomicU32>);

impl Leases {
    /// How many there are now.
    pub fn held(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, unless there are too many.
    fn take(&self) -> Option<Held> {
        let more = |held| (held < MAX_HELD).then_some(held + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Held(self.clone()))
    }
}

/// One lease.
struct Held(Leases);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where leases are taken, within the runtime that will give them.
///
/// # Errors
/// The kernel's.
pub fn listen() -> io::Result<UnixListener> {
    listen_at(NAME)
}

fn listen_at(name: &[u8]) -> io::Result<UnixListener> {
    let listener = Listener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Gives leases to whoever asks.
pub async fn serve(listener: UnixListener, leases: Leases) -> std::convert::Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Some(held) = leases.take() {
                    tokio::spawn(hold(stream, held));
                }
            }
            Err(error) => {
                log::error(format_args!("lease: {error}"));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Holds one until its holder is gone. What it says does not matter.
async fn hold(mut stream: UnixStream, held: Held) {
    let mut ignored = [0; 64];
    if stream.write_all(&[HELD]).await.is_ok() {
        while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
    }
    drop(held);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_lasts_as_long_as_its_connection() {
        let name = format!("pando-lease-{}", std::process::id());
        let leases = Leases::default();
        let listener = listen_at(name.as_bytes()).unwrap();
        let serving = tokio::spawn(serve(listener, leases.clone()));
        let connect = || {
            let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
            let stream = std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
            stream.set_nonblocking(true).unwrap();
            UnixStream::from_std(stream).unwrap()
        };
        let (mut first, mut second) = (connect(), connect());
        for stream in [&mut first, &mut second] {
            assert_eq!(stream.read_u8().await.unwrap(), HELD);
        }
        assert_eq!(leases.held(), 2);
        first.write_all(b"whatever it says").await.unwrap();
        drop(second);
        while leases.held() > 1 {
            tokio::task::yield_now().await;
        }
        drop(first);
        while leases.held() > 0 {
            tokio::task::yield_now().await;
        }
        serving.abort();
    }

    #[test]
    fn there_are_not_more_than_there_may_be() {
        let leases = Leases::default();
        let held: Vec<_> =
            std::iter::repeat_with(|| leases.take()).map_while(|held| held).collect();
        assert_eq!(held.len(), MAX_HELD as usize);
        drop(held);
        assert_eq!(leases.held(), 0);
    }
}
