//! Windows that have a history: what used up their limit, or when their slots began.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate::{Clock, DefaultClock, SlidingWindow, Timestamp};

use crate::{Gate, HOUR, asked};

/// A window so long that no slot ends during a benchmark.
pub const LONG: Duration = HOUR.saturating_mul(720);

/// A limit of a [`LONG`] window that no benchmark reaches, with any number of slots.
pub const MANY: u64 = 1 << 36;

/// The default clock, put forward.
#[derive(Clone, Copy, Debug)]
struct Later(Duration);

impl Clock for Later {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        DefaultClock.now() + self.0
    }
}

/// A [`LONG`] window that one call used up half a window ago.
pub fn used_up_before(slots: usize) -> impl Gate {
    let window = SlidingWindow::with_clock(1_000, LONG, Later(LONG / 2)).expect("in range");
    let window = window.slots(slots);
    assert!(window.try_acquire_at(1_000, DefaultClock.now()).is_ok());
    asked(window, |window| window.try_acquire(1))
}

/// The length of a slot that ends with each call. All calls of a benchmark together must stay below
/// the 292 years that slots can tell apart.
const SLOT: Duration = Duration::from_millis(1);

/// The default clock, put forward by a [`SLOT`] with each reading.
#[derive(Debug, Default)]
struct NextSlot(AtomicU64);

impl Clock for NextSlot {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        // One thread reads it, so no reading is lost.
        let ahead = self.0.load(Relaxed) + SLOT.as_nanos() as u64;
        self.0.store(ahead, Relaxed);
        Timestamp::from_nanos(DefaultClock.now().as_nanos() + ahead)
    }
}

/// A [`LONG`] window that is used up. Each slot holds an equal part of the limit.
pub fn evenly_used_window(slots: usize) -> impl Gate {
    const PER_SLOT: u64 = 10;
    let count = u32::try_from(slots).expect("in range");
    let slot = LONG / count;
    let limit = PER_SLOT * u64::from(count);
    // At the end, the clock is in the last of the slots.
    let clock = Later(slot * (count - 1));
    let window = SlidingWindow::with_clock(limit, LONG, clock).expect("in range");
    let window = window.slots(slots);
    let start = DefaultClock.now();
    for number in 0..count {
        let at = start + slot * number;
        assert!(window.try_acquire_at(PER_SLOT, at).is_ok(), "{slots} slots");
    }
    asked(window, |window| window.try_acquire(1))
}

/// A window in which each call is the first of its slot, and is admitted. For one thread.
pub fn rotating_window(slots: usize) -> impl Gate {
    let length = SLOT * u32::try_from(slots).expect("in range");
    let window = SlidingWindow::with_clock(1 << 16, length, NextSlot::default());
    let window = window.expect("in range").slots(slots);
    asked(window, |window| window.try_acquire(1))
}
