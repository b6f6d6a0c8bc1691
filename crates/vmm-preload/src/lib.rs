//! What lies in a VMM's process and gives it a memory of several files (`LD_PRELOAD`,
//! ld.so(8)): QEMU maps one file as its guest's memory, and over that mapping this puts
//! those parts of each layer that count (`pando_vm::memory`).
//!
//! ```text
//! before main    opens /memory-1, /memory-2 …: the server hands them over, in order
//! at QEMU's mmap of /memory: maps it, then each part of each layer over it
//! ```
//!
//! So machines that are copies of each other share each page that they have in common,
//! which a copy of the whole file would not. A machine with a memory that is not whole
//! must never run: whatever fails here ends the process, and says why in its log.
//!
//! Only what has layers is started with it. It knows of no machine and no guest.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use libc::{off64_t, size_t};

/// More are not put over each other (`MOST_LAYERS` of `pando_vm::memory`).
const MOST_LAYERS: usize = 4;
/// The paths that the server answers for, in this order.
const PATHS: [&CStr; MOST_LAYERS] = [c"/memory-1", c"/memory-2", c"/memory-3", c"/memory-4"];
/// How many layers there are is in the environment, under this name.
const COUNT: &CStr = c"PANDO_MEMORY_LAYERS";
/// An entry of a layer's table, behind its memory: where a part begins and how long it
/// is, in bytes, little-endian.
const ENTRY_BYTES: usize = 16;
/// How many entries are read at once.
const ENTRIES: usize = 256;

/// The layers' descriptors, of which the first [`LAYERS`] are open.
static OPEN: [AtomicI32; MOST_LAYERS] = [const { AtomicI32::new(-1) }; MOST_LAYERS];
/// How many are to be put over the next private mapping of a file that may be written to.
static LAYERS: AtomicUsize = AtomicUsize::new(0);

/// Runs before `main`.
// SAFETY: the loader calls what stands in this section, with arguments that a function of
// the C calling convention may leave unread.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    // SAFETY: nobody else runs yet who could change the environment; what it returns is a
    // C string in it, or null.
    let count = unsafe {
        let value = libc::getenv(COUNT.as_ptr());
        if value.is_null() { b"" } else { CStr::from_ptr(value).to_bytes() }
    };
    let count = match count {
        [digit @ b'1'..=b'4'] => usize::from(digit - b'0'),
        _ => give_up(c"PANDO_MEMORY_LAYERS is not 1 to 4"),
    };
    for (path, open) in PATHS.iter().zip(&OPEN).take(count) {
        // Exactly these flags: it is this call that the server answers.
        // SAFETY: a C string.
        let layer = unsafe { libc::open(path.as_ptr(), libc::O_RDWR) };
        if layer < 0 {
            give_up(c"a layer of the memory was not handed over");
        }
        open.store(layer, Ordering::Relaxed);
    }
    LAYERS.store(count, Ordering::Relaxed);
}

/// QEMU's `mmap64(3)`. The dynamic loader's own mappings do not come by here.
///
/// # Safety
/// That of `mmap(2)`.
// SAFETY: it stands in for the function of that name, and does what that does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: off64_t,
) -> *mut c_void {
    // SAFETY: as the caller says.
    let mapped = unsafe { map(address, length, protection, flags, file, offset) };
    let is_memory = file >= 0
        && flags & libc::MAP_PRIVATE != 0
        && protection & libc::PROT_WRITE != 0
        && mapped != libc::MAP_FAILED;
    if is_memory {
        let layers = LAYERS.swap(0, Ordering::Relaxed);
        for open in OPEN.iter().take(layers) {
            let layer = open.load(Ordering::Relaxed);
            // SAFETY: `mapped` is a mapping of `length` bytes that nobody has seen yet.
            unsafe { lay_over(mapped.cast(), length, protection, layer) };
            // SAFETY: opened by `begin`, and used by nobody else.
            unsafe { libc::close(layer) };
        }
    }
    mapped
}

/// The kernel's `mmap(2)`.
///
/// # Safety
/// That of the call.
unsafe fn map(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: off64_t,
) -> *mut c_void {
    // SAFETY: as the caller says. The kernel returns an address, or -1 with `errno` set.
    let outcome =
        unsafe { libc::syscall(libc::SYS_mmap, address, length, protection, flags, file, offset) };
    outcome as *mut c_void
}

/// Maps each part of a layer that counts to its place.
///
/// # Safety
/// `memory` is a mapping of `length` bytes whose contents nobody has used.
unsafe fn lay_over(memory: *mut u8, length: size_t, protection: c_int, layer: c_int) {
    let mut entries = [0_u8; ENTRY_BYTES * ENTRIES];
    let mut at = length;
    loop {
        // SAFETY: the buffer is as long as it says.
        let read = unsafe {
            libc::pread64(layer, entries.as_mut_ptr().cast(), entries.len(), at as off64_t)
        };
        let read = match usize::try_from(read) {
            Ok(0) => return,
            Ok(read) if read % ENTRY_BYTES == 0 => read,
            _ => give_up(c"a layer of the memory cannot be read"),
        };
        at += read;
        for entry in entries[..read].as_chunks::<ENTRY_BYTES>().0 {
            let [start, bytes] = *entry.as_chunks().0 else { return };
            let start = u64::from_le_bytes(start) as usize;
            let bytes = u64::from_le_bytes(bytes) as usize;
            if start.checked_add(bytes).is_none_or(|end| end > length) {
                give_up(c"a layer of the memory reaches beyond it");
            }
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
            // SAFETY: the place is within the mapping, as was looked at above; nobody has
            // used it yet. The kernel refuses what is no whole page.
            let mapped = unsafe {
                let place = memory.add(start).cast();
                map(place, bytes, protection, flags, layer, start as off64_t)
            };
            if mapped == libc::MAP_FAILED {
                give_up(c"a layer of the memory cannot be mapped");
            }
        }
    }
}

/// Ends the process, and says why.
fn give_up(why: &CStr) -> ! {
    const WHO: &[u8] = b"pando-vmm-preload: ";
    for text in [WHO, why.to_bytes(), b"\n"] {
        // SAFETY: the bytes are as many as it says.
        unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: ends this process at once; nothing of it is to be kept.
    unsafe { libc::_exit(1) }
}
