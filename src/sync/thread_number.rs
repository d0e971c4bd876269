//! A number for each thread, to spread threads over shards.

use core::cell::Cell;

use super::AtomicUsize;
use super::Ordering::Relaxed;

static NEXT: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// This thread's index: 0, 1, 2 … in the order in which threads first call this.
#[inline]
pub(crate) fn thread_number() -> usize {
    // `Err` if the thread is ending and its thread-locals are gone.
    NUMBER.try_with(get_or_take).unwrap_or(0)
}

/// The same; `None` if the thread is ending. So no two threads have the same.
#[cfg(not(tidegate_loom))]
#[inline]
pub(crate) fn own_number() -> Option<usize> {
    NUMBER.try_with(get_or_take).ok()
}

#[inline]
fn get_or_take(number: &Cell<Option<usize>>) -> usize {
    number.get().unwrap_or_else(|| {
        // Relaxed: the numbers only have to differ, and the counter has one modification order.
        let next = NEXT.fetch_add(1, Relaxed);
        number.set(Some(next));
        next
    })
}
