//! Listening Unix sockets that a child inherits.
//!
//! The parent binds and listens, so it can connect before the child has even
//! started: nothing is polled for. A path in `sockaddr_un` holds 107 bytes, so
//! sockets are bound and reached through `/proc/self/fd` of their folder, however
//! long its path is.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

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

/// Connects to `name` in `dir`, ready for tokio.
///
/// # Errors
/// `ECONNREFUSED` when nobody listens any more; else what the kernel said.
pub fn connect(dir: &Path, name: &str) -> io::Result<tokio::net::UnixStream> {
    let folder = File::open(dir)?;
    let stream = UnixStream::connect(short(&folder, name))?;
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}
