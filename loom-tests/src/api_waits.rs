//! What wakes the waiters of an API limiter.

use core::time::Duration;
use std::sync::Arc;

use loom::thread;

use crate::model::{at, explore};
use crate::mutant;
use crate::tidegate::{ApiRateLimiter, Clock, RateLimitConfig};
use crate::waiting::{Jumping, Manual, poll};

/// The interval of the requests per minute, in nanoseconds.
const INTERVAL: u64 = 1_000;

fn limiter<C: Clock>(clock: C) -> ApiRateLimiter<Arc<C>> {
    let config = RateLimitConfig {
        requests_per_minute: 60_000_000_000 / INTERVAL,
        requests_per_hour: 3_600_000_000_000 / INTERVAL,
        max_in_flight: Some(1),
        backoff_seed: Some(1),
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, Arc::new(clock)).expect("valid")
}

/// Two threads: one waits out a pause, and the pause is ended. Kills `early_resume`.
///
/// Time stands still, so the waiter goes only if it asks after the pause has ended.
fn end_of_a_pause() {
    explore(3, || {
        let limiter = limiter(Manual::at(0));
        limiter.pause_until(at(1_000_000));
        let resume = {
            let limiter = limiter.clone();
            thread::spawn(move || limiter.resume_at(at(0)))
        };
        assert!(!limiter.acquire().wait().is_limited);
        resume.join().unwrap();
    });
}

/// Two threads: one waits for a call in flight, which ends. Kills `early_end`.
///
/// The call was committed, so its end gives nothing back but its place.
fn end_of_a_call() {
    explore(3, || {
        let limiter = limiter(Manual::at(0));
        let mut call = limiter.acquire_tokens(0).wait().expect("the first");
        call.commit();
        let end = thread::spawn(move || drop(call));
        let next = limiter.acquire_tokens(0).wait().expect("waits");
        assert_eq!(limiter.stats_at(at(0)).in_flight, 1, "above the limit");
        end.join().unwrap();
        drop(next);
    });
}

/// Two threads that ask for the only place at once. Kills `unchecked_entry`.
fn race_for_a_place() {
    explore(4, || {
        let limiter = limiter(Manual::at(0));
        let other = {
            let limiter = limiter.clone();
            thread::spawn(move || limiter.reserve_tokens_at(0, at(0)))
        };
        let mine = limiter.reserve_tokens_at(0, at(0));
        let other = other.join().unwrap();
        assert!(mine.is_ok() != other.is_ok(), "not one");
    });
}

/// Two threads that wait out a pause. Kills `not_spread`.
///
/// One goes a while after the end of the pause, and the other a while after the first.
fn spread_after_a_pause() {
    const END: u64 = 1_000_000;
    explore(2, || {
        let limiter = limiter(Jumping::at(0));
        limiter.pause_until(at(END));
        let wait = || {
            let never = |_: Duration| core::future::pending::<()>();
            let mut wait = limiter.acquire_tokens(0).timer(never);
            assert!(poll(&mut wait).is_pending());
            wait
        };
        let (first, second) = (wait(), wait());
        let second = thread::spawn(move || {
            let permit = second.wait().expect("no timeout");
            permit.admitted_at().as_nanos()
        });
        let first = first.wait().expect("no timeout").admitted_at().as_nanos();
        let second = second.join().unwrap();
        // In models the random times are the longest.
        assert!(first >= END + INTERVAL, "at the end of the pause: {first}");
        assert!(second >= first + INTERVAL, "together: {first}, {second}");
    });
}

mutant::tests! { "api_waits":
    end_of_a_pause { early_resume: "deadlock" }
    end_of_a_call { early_end: "deadlock" }
    race_for_a_place { unchecked_entry: "not one" }
    spread_after_a_pause { not_spread: "together" }
}
