//! The virtio-serial port, without polling.
//!
//! While no host is connected, the port reads as ended and `epoll` reports a
//! hang-up; both pass when a host connects. Tokio takes a hang-up as final and
//! would call the port readable for ever after, so it is not asked about the port
//! itself but about an `epoll` of the port's own, which is never hung up. In there
//! the port is edge-triggered: the driver wakes its waiters whenever bytes arrive,
//! room appears, or a host comes or goes, and each of these is seen once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fs::OFlags;
use tokio::io::unix::AsyncFd;

/// An open port.
#[derive(Debug)]
pub struct Port {
    file: File,
    wakes: AsyncFd<OwnedFd>,
}

impl Port {
    /// Opens a port's device; only one process can.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(device: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(device)?;
        Self::watch(file)
    }

    fn watch(file: File) -> io::Result<Self> {
        let wakes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&wakes, &file, epoll::EventData::new_u64(0), events)?;
        // SAFETY: an `OwnedFd` is open, and stays the same descriptor, for as long as it exists.
        let wakes = unsafe { AsyncFd::register(wakes) }?;
        Ok(Self { file, wakes })
    }

    /// Reads at least one byte, whenever a host sends one.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                // Nobody is connected.
                Ok(0) => self.woken().await?,
                Ok(count) => return Ok(count),
                Err(error) => self.wait_out(error).await?,
            }
        }
    }

    /// Writes all, whenever a host takes it.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => self.woken().await?,
                Ok(count) => bytes = &bytes[count..],
                Err(error) => self.wait_out(error).await?,
            }
        }
        Ok(())
    }

    async fn wait_out(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.woken().await,
            io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }

    /// Waits for the next change. One that came after the last read or write is not lost:
    /// it stays in the port's `epoll` until it is taken out here.
    async fn woken(&mut self) -> io::Result<()> {
        let mut ready = self.wakes.readable().await?;
        let mut events = Vec::with_capacity(1);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(ready.get_inner(), spare_capacity(&mut events), Some(&at_once))?;
        ready.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::path::PathBuf;

    /// A named pipe's reading end acts as the port does: ended and hung up while no writer is there.
    fn pipe(folder: &Path) -> (PathBuf, Port) {
        let path = folder.join("port");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
        (path, Port::watch(file).unwrap())
    }

    #[tokio::test]
    async fn hosts_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut port) = pipe(folder.path());
        let mut buffer = [0; 16];
        for round in 0..3 {
            let path = path.clone();
            let host = tokio::task::spawn_blocking(move || {
                OpenOptions::new().write(true).open(path).unwrap().write_all(&[b'a' + round])
            });
            assert_eq!(port.read(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], b'a' + round);
            host.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_without_a_host_waits_instead_of_spinning() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut port) = pipe(folder.path());
        drop(OpenOptions::new().write(true).open(path).unwrap());
        // The coming and going above may wake it, each once; then there is nothing left to see.
        for _ in 0..2 {
            if tokio::time::timeout(std::time::Duration::from_millis(50), port.woken())
                .await
                .is_err()
            {
                return;
            }
        }
        let third = tokio::time::timeout(std::time::Duration::from_millis(50), port.woken()).await;
        assert!(third.is_err());
    }
}
