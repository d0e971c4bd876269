//! A sum that many threads add to.

use core::array;

use crossbeam_utils::CachePadded;

use super::AtomicU64;
use super::Ordering::Relaxed;
#[cfg(all(feature = "std", not(tidegate_loom)))]
use super::own_number;

/// Without std, threads have no numbers. Threads of a model share those of the thread that runs it.
#[cfg(not(all(feature = "std", not(tidegate_loom))))]
const fn own_number() -> Option<usize> {
    None
}

/// The threads that have a word of their own: the first of the process that count anything. Each
/// takes 128 bytes of every sum.
const OWN: usize = if cfg!(all(feature = "std", not(tidegate_loom))) {
    8
} else {
    0
};

/// A sum of 64 bits that only grows. Relaxed throughout: it guards no memory.
///
/// Only one thread ever writes a word of its own. So it adds with a load and a store, where an
/// atomic addition would wait for all stores before it: 4 to 5 ns, even if no other thread adds.
#[derive(Debug)]
pub(crate) struct CountPerThread {
    own: [CachePadded<AtomicU64>; OWN],
    /// What all other threads have added.
    shared: AtomicU64,
}

impl CountPerThread {
    pub(crate) fn zero() -> Self {
        Self {
            own: array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
            shared: AtomicU64::new(0),
        }
    }

    /// Adds `n`. A sum that is taken after this call has returned includes it.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.add_as(own_number(), n);
    }

    #[inline]
    fn add_as(&self, own_number: Option<usize>, n: u64) {
        match own_number.and_then(|number| self.own.get(number)) {
            // Relaxed, twice: no other thread writes this word, and it guards no memory.
            Some(own) => own.store(own.load(Relaxed).wrapping_add(n), Relaxed),
            None => {
                // Relaxed: a counter that guards no memory.
                self.shared.fetch_add(n, Relaxed);
            }
        }
    }

    /// The sum of what was added before, and of some of what is added meanwhile.
    pub(crate) fn sum(&self) -> u64 {
        // Relaxed, all: see `add`.
        let own = self.own.iter().map(|own| own.load(Relaxed));
        own.fold(self.shared.load(Relaxed), u64::wrapping_add)
    }
}

#[cfg(all(test, feature = "std", not(tidegate_loom)))]
mod tests {
    use alloc::vec::Vec;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::{CountPerThread, OWN, own_number};
    use crate::sync::Ordering::Relaxed;

    #[test]
    fn only_numbers_with_a_word_avoid_the_shared_one() {
        let count = CountPerThread::zero();
        count.add_as(Some(0), 1);
        count.add_as(Some(OWN - 1), 2);
        // Relaxed, here and below: one thread.
        assert_eq!(count.shared.load(Relaxed), 0);
        count.add_as(Some(OWN), 4);
        count.add_as(Some(usize::MAX), 8);
        count.add_as(None, 16);
        assert_eq!(count.shared.load(Relaxed), 28);
        assert_eq!(count.sum(), 31);
    }

    #[test]
    fn no_two_threads_write_one_word() {
        const THREADS: usize = 2 * OWN;
        let (count, all_started) = (CountPerThread::zero(), Barrier::new(THREADS));
        let numbers: HashSet<_> = thread::scope(|scope| {
            let add = || {
                all_started.wait();
                for _ in 0..1_000 {
                    count.add(1);
                }
                own_number()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(add)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(numbers.len(), THREADS, "{numbers:?}");
        assert_eq!(count.sum(), 1_000 * THREADS as u64);
    }
}
