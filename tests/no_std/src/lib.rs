//! A program without std that uses tidegate.
//!
//! It defines what std would define otherwise: a handler of panics, and an allocator. So the
//! compiler refuses it (E0152, "duplicate lang item") if tidegate or a dependency links std. That
//! needs no other target than the host's.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr::null_mut;
use core::time::Duration;

use tidegate::{FixedKeyed, ManualClock, SlidingWindow, TokenBucket};

struct NoMemory;

// SAFETY: it never returns memory, which an allocator may do at any time.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Names the limiters that work without std.
pub fn limiters(
    bucket: &TokenBucket<ManualClock>,
    window: &SlidingWindow<ManualClock>,
    keys: &FixedKeyed<ManualClock>,
) -> bool {
    bucket.try_acquire(1).is_ok()
        && bucket.reserve(1, Duration::MAX).is_ok()
        && window.try_acquire(1).is_ok()
        && keys.try_acquire(&7, 1).is_ok()
}
