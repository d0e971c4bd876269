//! The cost of the parts of a decision.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use tidegate::{Clock, DefaultClock};

use crate::gate::gates;

/// Reads the clock.
pub struct ClockAlone;

/// Reads the clock, and loads a word that every thread shares.
#[derive(Default)]
pub struct ClockAndLoad(AtomicU64);

/// Reads the clock, and exchanges a word that every thread shares.
#[derive(Default)]
pub struct ClockAndExchange(AtomicU64);

/// A word for each thread, as in a sharded bucket.
///
/// An exchange lets another thread take the word's tokens away. A load and a store do not: tokens
/// that another thread took in between would be back.
pub struct OwnWord {
    words: [CachePadded<AtomicU64>; 64],
    by_exchange: bool,
}

impl OwnWord {
    pub fn new(by_exchange: bool) -> Self {
        let words = std::array::from_fn(|_| CachePadded::new(AtomicU64::new(u64::MAX)));
        Self { words, by_exchange }
    }

    #[inline(always)]
    fn take(&self) -> bool {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            static NUMBER: u64 = NEXT.fetch_add(1, Relaxed);
        }
        let word = &self.words[NUMBER.with(|number| *number as usize % 64)];
        let left = word.load(Relaxed);
        if !self.by_exchange {
            word.store(left - 1, Relaxed);
            return true;
        }
        let taken = word.compare_exchange_weak(left, left - 1, Relaxed, Relaxed);
        taken.is_ok()
    }
}

gates! {
    ClockAlone => bool, |_gate| {
        black_box(DefaultClock.now());
        true
    };
    ClockAndLoad => bool, |gate| DefaultClock.now().as_nanos() >= gate.0.load(Relaxed);
    ClockAndExchange => Result<u64, u64>, |gate| {
        let now = DefaultClock.now().as_nanos();
        let seen = gate.0.load(Relaxed);
        gate.0.compare_exchange_weak(seen, now, Relaxed, Relaxed)
    };
    OwnWord => bool, |gate| gate.take();
}
