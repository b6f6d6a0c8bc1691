//! Listening Unix sockets that a child inherits.
//!
//! The parent binds and listens, so it can connect before the child has even
//! started: nothing is polled for. A path in `sockaddr_un` holds 107 bytes, so
//! sockets are bound and reached through `/proc/self/fd` of their folder, however
//! long its path is.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

fn short(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// Binds `name` in `dir`, in place of what a former process left there.
///
/// # Errors
/// What the kernel said.
pub fn listen(dir: &Path, name: &str) -> io::Result<OwnedFd> {
    match std::fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = File::open(dir)?;
    Ok(UnixListener::bind(short(&folder, name))?.into())
}

/// Connects to `name` in `dir`, ready for tokio. Never waits: a listener that was
/// taken over, and accepts nothing, has a full queue sooner or later.
///
/// # Errors
/// `ECONNREFUSED` when nobody listens any more, `EAGAIN` when its queue is full;
/// else what the kernel said.
pub fn connect(dir: &Path, name: &str) -> io::Result<tokio::net::UnixStream> {
    let folder = File::open(dir)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(short(&folder, name))?)?;
    tokio::net::UnixStream::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_accepts_nothing_holds_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let listener = listen(dir.path(), "s").unwrap();
        net::listen(&listener, 1).unwrap();
        let mut queued = Vec::new();
        let refused = loop {
            match connect(dir.path(), "s") {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert!(!queued.is_empty());
    }
}
