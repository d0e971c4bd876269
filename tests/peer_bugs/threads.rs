//! Races between real threads.
//!
//! The time is a manual clock's, or the bound is computed from the elapsed time.

use core::time::Duration;
use std::sync::Barrier;

use tidegate::{
    Clock, Limiter, ManualClock, MonotonicClock, Quota, SlidingWindow, Timestamp, TokenBucket,
};

use crate::parallel::in_parallel;
use crate::{SECOND, admitted_of, at};

/// Large requests that could not be served took the tokens of small ones.
#[test]
fn leaky_bucket_large_requests_swallowed_tokens() {
    let bucket = TokenBucket::new(Quota::per_day(1).burst(2_000)).with_initial(1_000);
    let taken: Vec<u64> = in_parallel(4, |number| {
        let n = if number < 2 { 2_000 } else { 1 };
        (0..1_500).filter(|_| bucket.try_acquire(n).is_ok()).count() as u64 * n
    });
    assert_eq!(taken.iter().sum::<u64>(), 1_000);
}

/// The bucket stayed empty.
#[test]
fn leaky_bucket_lost_nearly_all_tokens() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1_000).burst(3_000), clock.clone())
        .with_initial(0);
    // Each thread that takes tokens also advances the time, so that no thread spins idly.
    let taken: u32 = in_parallel(4, |_| {
        let turn = |_| {
            clock.advance(Duration::from_millis(1));
            admitted_of(3, &bucket, clock.now())
        };
        (0..500).map(turn).sum::<u32>()
    })
    .into_iter()
    .sum();
    assert_eq!(u64::from(taken) + bucket.try_acquire_up_to(u64::MAX), 2_000);
    clock.advance(Duration::from_millis(1));
    assert_eq!(bucket.try_acquire(1), Ok(()));
}

/// The first calls on a window panicked.
#[test]
fn pingora_first_threads_panicked() {
    for _ in 0..20 {
        let window = SlidingWindow::new(10, Duration::from_millis(1)).unwrap();
        in_parallel(8, |_| {
            for _ in 0..100 {
                let admitted = window.try_acquire(1).is_ok();
                assert!(window.current_count() <= 10);
                assert!(window.available() + u64::from(admitted) <= 11);
            }
        });
    }
}

/// Stale readings reset the window, which then admitted too much.
#[test]
fn pingora_stale_threads_wiped_the_window() {
    let length = SECOND / 10;
    let window =
        SlidingWindow::with_clock(1, Duration::from_nanos(length), MonotonicClock).unwrap();
    let start = window.now();
    let end = start + Duration::from_millis(300);
    let admitted: Vec<u32> = in_parallel(8, |_| {
        let mut admitted = 0;
        while window.now() < end {
            admitted += u32::from(window.try_acquire(1).is_ok());
        }
        admitted
    });
    let elapsed = (window.now() - start).as_nanos();
    let most = 1 + elapsed / u128::from(length);
    assert!(
        u128::from(admitted.iter().sum::<u32>()) <= most,
        "{admitted:?} in {elapsed} ns"
    );
}

#[test]
fn better_bucket_two_threads_refilled_at_once() {
    for (rate, burst, threads) in [(100, 100, 2), (100, 100, 4), (100_000, 1_000, 4)] {
        let quota = Quota::per_second(rate).burst(burst);
        let bucket = TokenBucket::with_clock(quota, MonotonicClock);
        let start = bucket.now();
        let end = start + Duration::from_millis(150);
        let admitted: u64 = in_parallel(threads, |_| {
            let mut admitted = 0;
            while bucket.now() < end {
                admitted += u64::from(bucket.try_acquire(1).is_ok());
            }
            admitted
        })
        .into_iter()
        .sum();
        let admitted = admitted + bucket.try_acquire_up_to(burst);
        // Measured, so that a stall raises the bound and does not fail the test.
        let elapsed = (bucket.now() - start).as_nanos();
        let refilled = u128::from(rate) * elapsed / u128::from(SECOND);
        let most = u128::from(burst) + refilled;
        assert!(
            u128::from(admitted) <= most,
            "{quota}: {admitted} in {elapsed} ns"
        );
        assert!(admitted >= burst, "{quota}: {admitted}");
    }
}

#[test]
fn tokio_rate_limit_refill_was_counted_twice() {
    let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
    let rounds = 300;
    let gate = Barrier::new(4);
    let admitted: u32 = in_parallel(4, |_| {
        let round = |number| {
            gate.wait();
            // Each round is a second later, which brings ten tokens.
            admitted_of(15, &bucket, at(number * SECOND))
        };
        (0..rounds).map(round).sum::<u32>()
    })
    .into_iter()
    .sum();
    assert_eq!(u64::from(admitted), rounds * 10);
}

/// Every thread that read a count of limit − 1 passed.
#[test]
fn limitador_many_passed_at_limit_minus_one() {
    let rounds = 300;
    let frozen = ManualClock::new;
    let bucket = || TokenBucket::with_clock(Quota::per_second(10), frozen());
    let buckets: Vec<_> = (0..rounds).map(|_| bucket()).collect();
    assert_one_passes(&buckets);

    let minute = Duration::from_secs(60);
    let window = || SlidingWindow::with_clock(10, minute, frozen()).expect("a valid window");
    let windows: Vec<_> = (0..rounds).map(|_| window()).collect();
    assert_one_passes(&windows);
}

/// Leaves one permit in every limiter, for which eight threads race.
fn assert_one_passes<L: Limiter + Sync>(limiters: &[L]) {
    for limiter in limiters {
        let n = limiter.capacity() - 1;
        limiter
            .try_acquire_at(n, Timestamp::ZERO)
            .expect("it is unused");
    }
    let gate = Barrier::new(8);
    let passed = in_parallel(8, |_| {
        let pass = |limiter: &L| {
            gate.wait();
            limiter.try_acquire_at(1, Timestamp::ZERO).is_ok()
        };
        limiters.iter().map(pass).collect::<Vec<bool>>()
    });
    for round in 0..limiters.len() {
        let passed = passed.iter().filter(|thread| thread[round]).count();
        assert_eq!(passed, 1, "round {round}");
    }
}

/// Callers were refused because other calls ran, although tokens were left.
#[test]
fn rater_busy_callers_were_refused() {
    let all = 400_000;
    let bucket = TokenBucket::with_clock(Quota::per_second(1).burst(all), ManualClock::new());
    assert_eq!(refusals(&bucket), 0);
    assert_eq!(bucket.available(), 0);

    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(all, second, ManualClock::new()).unwrap();
    assert_eq!(refusals(&window), 0);
    assert_eq!(window.available(), 0);
}

/// Counts the refusals of four threads that request all tokens together.
fn refusals<L: Limiter + Sync>(limiter: &L) -> usize {
    let share = limiter.capacity() / 4;
    let refused = |_: &u64| limiter.try_acquire_at(1, Timestamp::ZERO).is_err();
    let refusals = in_parallel(4, |_| (0..share).filter(refused).count());
    refusals.into_iter().sum()
}
