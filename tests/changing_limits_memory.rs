//! Ten thousand changes take no more memory than one.
//!
//! These tests are a program of their own and run one at a time, because the allocator counts for
//! the whole program.

#![expect(clippy::std_instead_of_core, reason = "a test of types that need std")]

use std::alloc::System;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cap::Cap;
use tidegate::{
    ApiRateLimiter, Combined, FixedKeyed, Keyed, ManualClock, Quota, RateLimitConfig,
    ShardedTokenBucket, SlidingWindow, TokenBucket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn run_alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of each limiter.
const CHANGES: u64 = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// What threads and the harness of tests may allocate meanwhile: some 10 KB were seen. A state has
/// cache lines of its own, so a thousand changes that leave theirs behind take twice as much.
const NOISE: usize = 65_536;

/// Asserts that `change`, which is called with 1, 2, 3, …, leaves no more behind than the few
/// states of its first calls.
fn takes_no_memory(what: &str, changes: u64, change: impl Fn(u64)) {
    (1..=10).for_each(&change);
    let before = ALLOCATOR.allocated();
    (11..=changes).for_each(&change);
    let after = ALLOCATOR.allocated();
    assert!(
        after <= before + NOISE,
        "{what}: {before} bytes, then {after}"
    );
}

#[test]
fn changes_leave_nothing_behind() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let quota = |change: u64| Quota::per_hour(10 + change % 7);

    let bucket = TokenBucket::with_clock(quota(0), clock.clone());
    takes_no_memory("bucket", CHANGES, |change| bucket.set_quota(quota(change)));

    let sharded = ShardedTokenBucket::with_clock(quota(0), clock.clone());
    takes_no_memory("sharded bucket", CHANGES, |change| {
        sharded.set_quota(quota(change));
    });

    let window = SlidingWindow::with_clock(10, HOUR, clock.clone()).expect("valid");
    takes_no_memory("window", CHANGES, |change| {
        window.set_limit(10 + change % 7, HOUR).expect("valid");
    });

    let table = FixedKeyed::with_clock(quota(0), 1_000, clock.clone());
    table.try_acquire(&1, 1).expect("valid");
    takes_no_memory("table of fixed size", CHANGES, |change| {
        table.set_quota(quota(change));
    });

    let calls = Combined::builder()
        .limit("burst", TokenBucket::with_clock(quota(0), clock.clone()))
        .build();
    takes_no_memory("combination", CHANGES, |change| {
        calls.set_quota("burst", quota(change)).expect("valid");
    });

    let api = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone()).expect("valid");
    takes_no_memory("API limiter", CHANGES, |change| {
        let tokens_per_minute = 1_000 + change % 7;
        let config = RateLimitConfig {
            tokens_per_minute,
            ..RateLimitConfig::DEFAULT
        };
        api.reconfigure(config).expect("valid");
    });

    let make = |change: u64| {
        let clock = clock.clone();
        move |_: &u64| TokenBucket::with_clock(quota(change), clock.clone())
    };
    let users = Keyed::new(make(0));
    for key in 0..10 {
        users.try_acquire(&key, 1).expect("valid");
    }
    takes_no_memory("factory", CHANGES, |change| users.set_factory(make(change)));
    takes_no_memory("quota of a key", CHANGES, |change| {
        users.at(&3).set_quota(quota(change)).expect("valid");
    });
}

#[test]
fn states_are_freed_after_calls_that_held_them() {
    let _alone = run_alone();
    let quota = |change: u64| Quota::per_hour(10 + change % 7);
    let bucket = TokenBucket::with_clock(quota(0), ManualClock::new());
    takes_no_memory("bucket beside calls", 1_000, |step| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    let _ = bucket.try_acquire(1);
                }
            });
            (step..step + 5).for_each(|change| bucket.set_quota(quota(change)));
            done.store(true, Relaxed);
        });
    });
}
