//! The kernel's random number generator (`random(4)`).

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::ioctl::{NoArg, Setter, ioctl};

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;

/// `RNDADDENTROPY`, `_IOW('R', 3, int[2])`.
const ADD_ENTROPY: u32 = 0x4008_5203;
/// `RNDRESEEDCRNG`, `_IO('R', 7)`.
const RESEED: u32 = 0x5207;

/// The generator, opened once. A machine that is restored translates whatever it runs for
/// the first time, and the way through a path is long.
static DEVICE: OnceLock<File> = OnceLock::new();

/// `struct rand_pool_info` with its flexible array at this length.
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    buffer_bytes: i32,
    buffer: [u8; SEED_BYTES],
}

/// Opens the generator, unless it is.
///
/// # Errors
/// The kernel's.
pub fn open() -> io::Result<&'static File> {
    match DEVICE.get() {
        Some(device) => Ok(device),
        None => {
            let device = File::open("/dev/urandom")?;
            Ok(DEVICE.get_or_init(|| device))
        }
    }
}

/// Mixes `seed` into the pool, credits all of its bits, and makes the generator
/// take a new key from the pool at once. The kernel would otherwise do so only
/// after a while, and two clones would draw the same numbers until then.
///
/// # Errors
/// The kernel's, e.g. `EPERM` without `CAP_SYS_ADMIN`.
pub fn reseed(seed: [u8; SEED_BYTES]) -> io::Result<()> {
    let device = open()?;
    let bytes = SEED_BYTES as i32;
    let info = PoolInfo { entropy_bits: bytes * 8, buffer_bytes: bytes, buffer: seed };
    // SAFETY: RNDADDENTROPY reads a `rand_pool_info` whose `buffer_bytes` bytes follow it: `info` is one.
    unsafe { ioctl(device, Setter::<ADD_ENTROPY, PoolInfo>::new(info)) }?;
    // SAFETY: RNDRESEEDCRNG takes no argument and touches no memory of ours.
    unsafe { ioctl(device, NoArg::<RESEED>::new()) }?;
    Ok(())
}
