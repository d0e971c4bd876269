//! A number for each thread, to spread threads over things.

use core::cell::Cell;

use super::AtomicUsize;
use super::Ordering::Relaxed;

/// Of the thread that asks: 0, 1, 2 … in the order in which threads first ask.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = NUMBER.try_with(|number| {
        number.get().unwrap_or_else(|| {
            // Relaxed: any number does, as long as others get others.
            let next = NEXT.fetch_add(1, Relaxed);
            number.set(Some(next));
            next
        })
    });
    // A thread that is just ending.
    number.unwrap_or(0)
}
