//! What a thread has allocated, so that a bound on memory is a number and no guess.
//! A test's node and its guests live on one thread; tests beside it do not count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change_bytes: isize) {
    // Not there any more on a thread that ends: then nobody asks.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change_bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches
// two plain cells and allocates nothing. A layout's size fits `isize`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A moment from which growth is counted.
pub(super) struct Mark(isize);

impl Mark {
    pub(super) fn now() -> Self {
        let live = LIVE.get();
        PEAK.set(live);
        Self(live)
    }

    /// The most bytes that this thread has held since, beyond what it held then.
    pub(super) fn peak_bytes(&self) -> usize {
        usize::try_from(PEAK.get() - self.0).unwrap_or(0)
    }
}

#[test]
fn growth_is_seen_after_it_is_gone() {
    let mark = Mark::now();
    drop(vec![1u8; 1 << 20]);
    assert!((1 << 20..2 << 20).contains(&mark.peak_bytes()), "{}", mark.peak_bytes());
}
