//! Refusals of many threads at once are counted or reported as skipped, and readers take each once.

use core::sync::atomic::{AtomicBool, Ordering};

use tidegate::{FixedKeyed, ManualClock, MostDenied, Quota, TrackDenied};

use crate::parallel::in_parallel;

const CALLS: u64 = 20_000;
const THREADS: usize = 4;

#[test]
fn counted_and_skipped_are_all() {
    let denied = MostDenied::<u64>::new(16);
    in_parallel(THREADS, |thread| {
        for n in 0..CALLS {
            // Every other call is for one key.
            let key = if n % 2 == 0 {
                0
            } else {
                n + CALLS * thread as u64
            };
            denied.record(&key);
        }
    });
    let top = denied.top(1);
    assert_eq!(top.counted + top.skipped, CALLS * THREADS as u64);
    let first = &top.keys[0];
    assert_eq!(first.key, 0);
    let all = CALLS / 2 * THREADS as u64;
    assert!(first.at_least <= all && all <= first.at_most + top.skipped);
}

#[test]
fn takers_see_each_refusal_once() {
    let denied = MostDenied::<u64>::new(4);
    let is_done = AtomicBool::new(false);
    let totals = in_parallel(2, |thread| {
        let mut total = 0;
        if thread == 0 {
            for n in 0..CALLS {
                denied.record(&(n % 7));
            }
            is_done.store(true, Ordering::Release);
        } else {
            while !is_done.load(Ordering::Acquire) {
                let taken = denied.take(4);
                total += taken.counted + taken.skipped;
            }
        }
        total
    });
    let rest = denied.take(4);
    let total = totals.iter().sum::<u64>() + rest.counted + rest.skipped;
    assert_eq!(total, CALLS);
}

#[test]
fn table_tracks_exactly_the_refusals() {
    let table = FixedKeyed::with_clock(Quota::per_second(100), 1_000, ManualClock::new());
    let clients = TrackDenied::<_, u64>::new(table, 100);
    let refused = in_parallel(THREADS, |_| {
        let calls = 0..CALLS;
        calls
            .filter(|n| clients.try_acquire(&(n % 10), 1).is_err())
            .count() as u64
    });
    let refused: u64 = refused.iter().sum();
    assert_eq!(refused, CALLS * THREADS as u64 - 10 * 100);
    let top = clients.most_denied().top(10);
    assert_eq!(top.counted + top.skipped, refused);
    let (least, most) = top.keys.iter().fold((0, 0), |(least, most), it| {
        (least + it.at_least, most + it.at_most)
    });
    // Ten keys have counters of their own in each sketch.
    assert_eq!((least, most), (top.counted, top.counted));
}
