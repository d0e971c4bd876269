//! Many real threads on one combination: exact totals, and how often a roll-back forfeits.
#![cfg(feature = "std")]

extern crate alloc;

mod parallel;

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Combined, DefaultClock, ManualClock, Quota, SlidingWindow, TokenBucket};

use parallel::in_parallel;

const DAY: Duration = Duration::from_secs(86_400);

/// Calls by all threads until nothing is left: each limit gave what was admitted, and what was forfeited is counted (G6).
#[test]
fn what_is_gone_was_admitted_or_is_counted() {
    const ALL: u64 = 60_000;
    let shared = Arc::new(TokenBucket::new(Quota::per_hour(1).burst(ALL)));
    let combined = Combined::builder()
        .limit("window", SlidingWindow::new(ALL, DAY).expect("fits"))
        .limit("shared", Arc::clone(&shared))
        .limit(
            "bucket",
            TokenBucket::new(Quota::per_hour(1).burst(2 * ALL)),
        )
        .build();
    // Some go around the combination, so that its limits differ.
    let counts = in_parallel(8, |thread| {
        let (mut calls, mut others) = (0_u64, 0_u64);
        for turn in 0..20_000 {
            if thread == 0 && turn % 4 == 0 {
                others += u64::from(shared.try_acquire(1).is_ok());
            } else {
                calls += u64::from(combined.try_acquire(1).is_ok());
            }
        }
        (calls, others)
    });
    let calls: u64 = counts.iter().map(|(calls, _)| calls).sum();
    let others: u64 = counts.iter().map(|(_, others)| others).sum();
    let left = |name| combined.available_in(name).expect("its name");
    let gone = (ALL - left("window")) + (ALL - left("shared")) + (2 * ALL - left("bucket"));
    assert_eq!(gone, 3 * calls + others + combined.forfeited());
    assert_eq!(combined.available(), 0, "160 000 calls for 60 000");
}

/// The worst case for roll-backs: three limits that are always used up, so that every permit is raced for. Reports how often
/// one is forfeited, and asserts what is true at any speed.
#[test]
fn forfeits_are_rare_where_all_limits_are_tight() {
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2);
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let bucket = || TokenBucket::with_clock(Quota::per_second(100).burst(4), clock.clone());
    let window = SlidingWindow::with_clock(100, second, clock.clone()).expect("fits");
    let combined = Combined::builder()
        .limit("first", bucket())
        .limit("second", bucket())
        .limit("window", window.slots(10))
        .build();
    let admitted: u64 = in_parallel(threads, |_| {
        let mut admitted = 0_u64;
        for _ in 0..200_000 {
            match combined.try_acquire(1) {
                Ok(()) => admitted += 1,
                // Time passes for all when one has to wait.
                Err(_) => clock.advance(Duration::from_millis(1)),
            }
        }
        admitted
    })
    .into_iter()
    .sum();
    let forfeited = combined.forfeited();
    println!("{threads} threads: {admitted} admitted, {forfeited} permits forfeited");
    // G5 and G1 over the whole time: each limit by itself.
    let seconds = clock.now().as_nanos() / 1_000_000_000;
    assert!(admitted <= 100 * (seconds + 1), "{admitted} in {seconds} s");
    assert!(admitted + forfeited > 0);
}

/// A call that is refused by one limit is never charged to another, as long as nobody else calls.
#[test]
fn refusals_charge_nothing() {
    DefaultClock::calibrate();
    let combined = Combined::builder()
        .limit("plenty", TokenBucket::new(Quota::per_hour(1).burst(100)))
        .limit("tight", SlidingWindow::new(1, DAY).expect("fits"))
        .build();
    assert!(combined.try_acquire(1).is_ok());
    for _ in 0..1_000 {
        let denied = combined.try_acquire(1).expect_err("one a day");
        assert_eq!(denied.limit(), "tight");
    }
    assert_eq!(combined.available_in("plenty"), Some(99));
    assert_eq!(combined.forfeited(), 0);
}
