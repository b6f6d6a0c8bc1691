//! Tap devices (Documentation/networking/tuntap.rst of the kernel).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The longest name and its end (`IFNAMSIZ`).
const NAME_BYTES: usize = 16;

/// `struct ifreq` (netdevice(7)) as `TUNSETIFF` reads it.
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Attaches to the tap device of that name in this thread's network namespace,
/// with the headers that a virtio device needs. Allocates nothing.
pub(crate) fn attach(name: &[u8]) -> Result<OwnedFd, Errno> {
    let tap = open(c"/dev/net/tun", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let mut request = Request { name: [0; NAME_BYTES], flags: flags as i16, rest: [0; 22] };
    let field = request.name.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?;
    field.copy_from_slice(name);
    // SAFETY: the request is as large as the kernel takes it to be, and outlives the call.
    let outcome = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    super::checked(outcome.into())?;
    Ok(tap)
}
