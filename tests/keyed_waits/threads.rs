//! Threads that wait for keys.

use alloc::sync::Arc;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::thread;

use tidegate::{Acquire, FixedKeyed, KeyView, Keyed, ManualClock};

use crate::parallel::in_parallel;
use crate::{SECOND, bucket, per_second};

const THREADS: usize = 8;
const ROUNDS: usize = 50;

/// Runs `wait(thread)` in threads, and advances the clock until all are through.
fn run(clock: &ManualClock, wait: impl Fn(usize) + Sync) {
    let done = AtomicUsize::new(0);
    in_parallel(THREADS + 1, |number| {
        if number < THREADS {
            for _ in 0..ROUNDS {
                wait(number);
            }
            done.fetch_add(1, SeqCst);
        } else {
            while done.load(SeqCst) < THREADS {
                clock.advance(SECOND / 4);
                thread::yield_now();
            }
        }
    });
}

#[test]
fn threads_wait_at_a_table_of_fixed_size() {
    let clock = ManualClock::new();
    let table = FixedKeyed::with_clock(per_second(2), 100, clock.clone());
    run(&clock, |number| {
        table.acquire(&(number % 3), 2).wait().expect("no timeout");
    });
    assert_eq!(table.waiting(), 0);
}

/// Beside removals and evictions, and by views that own their key.
#[test]
fn threads_wait_at_a_table_that_changes() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table: Keyed<u64, _> = Keyed::new(move |_| bucket(per_second(2), &time));
    let table = Arc::new(table);
    run(&clock, |number| {
        let key = number as u64 % 3;
        match number {
            0 => _ = table.remove(&1),
            1 => _ = table.evict_unused(),
            _ => {
                let view = KeyView::owned(Arc::clone(&table), key);
                Acquire::new(view, 2).wait().expect("no timeout");
            }
        }
    });
    assert_eq!(table.waiting(), 0);
    assert_eq!((0..3).map(|key| table.at(&key).waiting()).sum::<u64>(), 0);
}
