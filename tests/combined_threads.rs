//! Many real threads on one combination: exact totals, and forfeited permits.
#![cfg(feature = "std")]

extern crate alloc;

mod parallel;

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Combined, DefaultClock, ManualClock, Quota, SlidingWindow, TokenBucket};

use parallel::in_parallel;

const DAY: Duration = Duration::from_secs(86_400);

/// Threads call until nothing is left. Each missing permit was admitted or is counted as forfeited.
#[test]
fn missing_permits_were_admitted_or_forfeited() {
    const ALL: u64 = 60_000;
    let shared = Arc::new(TokenBucket::new(Quota::per_hour(1).burst(ALL)));
    let combined = Combined::builder()
        .limit(
            "window",
            SlidingWindow::new(ALL, DAY).expect("a valid window"),
        )
        .limit("shared", Arc::clone(&shared))
        .limit(
            "bucket",
            TokenBucket::new(Quota::per_hour(1).burst(2 * ALL)),
        )
        .build();
    // Some calls bypass the combination, so that its limits differ.
    let counts = in_parallel(8, |thread| {
        let (mut calls, mut direct) = (0_u64, 0_u64);
        for turn in 0..20_000 {
            if thread == 0 && turn % 4 == 0 {
                direct += u64::from(shared.try_acquire(1).is_ok());
            } else {
                calls += u64::from(combined.try_acquire(1).is_ok());
            }
        }
        (calls, direct)
    });
    let calls: u64 = counts.iter().map(|(calls, _)| calls).sum();
    let direct: u64 = counts.iter().map(|(_, direct)| direct).sum();
    let left = |name| combined.available_in(name).expect("its name");
    let missing = (ALL - left("window")) + (ALL - left("shared")) + (2 * ALL - left("bucket"));
    assert_eq!(missing, 3 * calls + direct + combined.forfeited());
    assert_eq!(combined.available(), 0, "160 000 calls for 60 000");
}

/// The worst case for undos: three exhausted limits, so that threads race for every permit. Prints
/// the number of forfeited permits, and asserts bounds that hold at any speed.
#[test]
fn bounds_hold_when_all_limits_are_exhausted() {
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2);
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let bucket = || TokenBucket::with_clock(Quota::per_second(100).burst(4), clock.clone());
    let window = SlidingWindow::with_clock(100, second, clock.clone()).expect("a valid window");
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
                // A refusal advances the time for all threads.
                Err(_) => clock.advance(Duration::from_millis(1)),
            }
        }
        admitted
    })
    .into_iter()
    .sum();
    let forfeited = combined.forfeited();
    println!("{threads} threads: {admitted} admitted, {forfeited} permits forfeited");
    // The bound of each limit over the whole run.
    let seconds = clock.now().as_nanos() / 1_000_000_000;
    assert!(admitted <= 100 * (seconds + 1), "{admitted} in {seconds} s");
    assert!(admitted + forfeited > 0);
}

/// Without concurrent calls, a refusal by one limit charges no other.
#[test]
fn refusals_charge_nothing() {
    DefaultClock::calibrate();
    let combined = Combined::builder()
        .limit("plenty", TokenBucket::new(Quota::per_hour(1).burst(100)))
        .limit("tight", SlidingWindow::new(1, DAY).expect("a valid window"))
        .build();
    assert!(combined.try_acquire(1).is_ok());
    for _ in 0..1_000 {
        let denied = combined.try_acquire(1).expect_err("one a day");
        assert_eq!(denied.limit(), "tight");
    }
    assert_eq!(combined.available_in("plenty"), Some(99));
    assert_eq!(combined.forfeited(), 0);
}
