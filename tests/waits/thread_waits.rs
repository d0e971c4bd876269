//! Waits of threads: exact instants, timeouts, wake-ups for no reason.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::Mutex;
use std::thread;

use tidegate::{
    Acquire, Awaitable, Clock, Combined, Denied, Limiter, ManualClock, Quota, ShardedTokenBucket,
    SlidingWindow, Timestamp, TokenBucket,
};

use crate::stepped::SteppedClock;
use crate::waiters::WaitFor;
use crate::{NANOSECOND, SECOND, limits, no_sleep, on_each_limiter};

fn bucket(clock: &SteppedClock) -> TokenBucket<SteppedClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(2), clock.clone())
}

fn sharded(clock: &SteppedClock) -> ShardedTokenBucket<SteppedClock> {
    ShardedTokenBucket::with_clock(Quota::per_second(1).burst(2), clock.clone())
}

fn window(clock: &SteppedClock) -> SlidingWindow<SteppedClock> {
    let window = SlidingWindow::with_clock(2, 2 * SECOND, clock.clone());
    window.expect("valid").slots(1)
}

fn combined(clock: &SteppedClock) -> Combined<SteppedClock> {
    limits(window(clock), bucket(clock))
}

/// Four threads take 40 permits. The clock moves only when all of them sleep, so each reads the
/// instant at which it was admitted.
fn instants<L: Awaitable + Sync>(limiter: &L, clock: &SteppedClock) -> Vec<Timestamp> {
    let admitted = Mutex::new(Vec::new());
    clock.run(4, |_| {
        for _ in 0..10 {
            Acquire::new(limiter, 1).wait().expect("no timeout");
            admitted.lock().expect("no panic").push(clock.now());
        }
    });
    let mut admitted = admitted.into_inner().expect("no panic");
    admitted.sort();
    admitted
}

#[test]
fn threads_use_each_permit_at_once() {
    let clock = SteppedClock::default();
    // Two at once, and one per second.
    let expected: Vec<_> = [0].into_iter().chain(0..39).collect();
    let seconds = |instants: Vec<Timestamp>| -> Vec<u64> {
        let seconds = instants.iter().map(|instant| {
            assert_eq!(instant.as_nanos() % 1_000_000_000, 0, "{instant:?}");
            instant.as_nanos() / 1_000_000_000
        });
        seconds.collect()
    };
    assert_eq!(seconds(instants(&bucket(&clock), &clock)), expected);
    let clock = SteppedClock::default();
    assert_eq!(seconds(instants(&sharded(&clock), &clock)), expected);
    // Two in each window of one part, which is forgotten after two.
    let clock = SteppedClock::default();
    let of_window = seconds(instants(&window(&clock), &clock));
    assert_eq!(
        of_window,
        (0..40).map(|call| call / 2 * 4).collect::<Vec<_>>()
    );
    let clock = SteppedClock::default();
    assert_eq!(seconds(instants(&combined(&clock), &clock)), of_window);
}

#[test]
fn threads_sleep_exactly_as_long_as_needed() {
    let clock = SteppedClock::default();
    let bucket = bucket(&clock);
    let slept = |n, timeout| clock.sleep_in(|| bucket.acquire(n).timeout(timeout).wait());
    assert_eq!(slept(2, Duration::MAX), (Ok(()), Duration::ZERO));
    assert_eq!(slept(2, Duration::MAX), (Ok(()), 2 * SECOND));
    assert_eq!(slept(1, SECOND), (Ok(()), SECOND));
    let retry_after = SECOND.into();
    let refused = Err(Denied::NotYet { retry_after });
    assert_eq!(slept(1, SECOND / 2), (refused, Duration::ZERO));
}

#[test]
fn timeouts_of_threads() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        assert_eq!(limiter.block_for(0, Duration::ZERO), Ok(()));
        assert_eq!(
            limiter.block_for(1, Duration::ZERO),
            Ok(()),
            "need not wait"
        );
        let wait = limiter.wait_time_at(1, clock.now()).expect("not never");
        let not_yet = Err(Denied::NotYet {
            retry_after: wait.into(),
        });
        assert_eq!(limiter.block_for(1, Duration::ZERO), not_yet);
        assert_eq!(
            limiter.block_for(1, wait.saturating_sub(NANOSECOND)),
            not_yet
        );
        let never = Err(Denied::Never { capacity: 1 });
        assert_eq!(limiter.block_for(2, Duration::MAX), never);
        thread::scope(|scope| {
            let in_time = scope.spawn(|| limiter.block_for(1, wait));
            while limiter.waiters() == 0 {
                thread::yield_now();
            }
            clock.advance(wait);
            assert_eq!(in_time.join().expect("no panic"), Ok(()));
        });
        assert_eq!(
            (limiter.waiters(), limiter.available_at(clock.now())),
            (0, 0)
        );
    }
    on_each_limiter!(check, 1);
}

/// As by code of the same thread that parks for another reason.
#[test]
fn threads_that_are_unparked_keep_waiting() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let done = AtomicBool::new(false);
        let wait = limiter.wait_time_at(1, clock.now()).expect("not never");
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| limiter.block_for(1, Duration::MAX)))
                .collect();
            let done = &done;
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    for thread in &waiting {
                        thread.thread().unpark();
                    }
                    thread::yield_now();
                }
            });
            while limiter.waiters() < 2 {
                thread::yield_now();
            }
            clock.advance(wait.saturating_sub(NANOSECOND));
            (0..100).for_each(|_| thread::yield_now());
            let too_early = 2 - limiter.waiters();
            clock.advance(NANOSECOND);
            while limiter.waiters() > 1 {
                thread::yield_now();
            }
            clock.advance(2 * SECOND);
            while limiter.waiters() > 0 {
                thread::yield_now();
            }
            done.store(true, SeqCst);
            assert_eq!(too_early, 0);
        });
    }
    on_each_limiter!(check, 1);
}

/// A wait whose future was admitted takes nothing more, and returns the same.
#[test]
fn thread_may_wait_for_what_a_future_was_admitted_for() {
    use core::future::Future;
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};

    let clock = ManualClock::new();
    let bucket = crate::bucket(2, &clock);
    let mut wait = bucket.acquire(1).timer(no_sleep);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(Pin::new(&mut wait).poll(&mut context), Poll::Ready(Ok(())));
    assert_eq!(wait.wait(), Ok(()));
    assert_eq!(bucket.available(), 1);
}
