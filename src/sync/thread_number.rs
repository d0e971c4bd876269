//! A number for each thread, to spread threads over shards.

use core::cell::Cell;

use super::AtomicUsize;
use super::Ordering::Relaxed;

/// This thread's index: 0, 1, 2 … in the order in which threads first call this.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = NUMBER.try_with(|number| {
        number.get().unwrap_or_else(|| {
            // Relaxed: the numbers only have to differ, and the counter has one modification order.
            let next = NEXT.fetch_add(1, Relaxed);
            number.set(Some(next));
            next
        })
    });
    // `Err` if the thread is ending and its thread-locals are gone.
    number.unwrap_or(0)
}
