//! Turns and resets between threads, in waits of threads and of futures: none is lost, and turns go
//! in order of arrival.

use core::cell::Cell;
use core::future::{Future, Pending, pending, poll_fn};
use core::pin::pin;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::task::{Context, Poll};
use core::time::Duration;
use std::thread;

use tidegate::{Clock, ManualClock, MonotonicClock, SlidingWindow, Timer};

use crate::manual_timer::ManualTimer;
use crate::parallel::in_parallel;
use crate::waiters::{park_on, unpark_waker};
use crate::{bucket, window};

const THREADS: usize = 4;
const TURNS: usize = 40_000;

/// A timer that records that it was used. Only the head of a queue sleeps.
#[derive(Debug, Default)]
struct HeadTimer(Cell<bool>);

impl Timer for &HeadTimer {
    type Sleep = Pending<()>;

    fn sleep(&self, _: Duration) -> Pending<()> {
        self.0.set(true);
        pending()
    }
}

/// Three moments of a wait, from a counter that all threads share.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Before the first poll.
    begun: u64,
    /// After the first poll, in the queue.
    joined: u64,
    /// As the head.
    became_head: u64,
}

/// The window never has room, so every future waits. It leaves when it becomes the head. If a turn
/// is lost, this test does not end.
#[test]
fn turns_go_between_threads_in_order_of_arrival() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let moments = AtomicU64::new(0);
    let moment = || moments.fetch_add(1, SeqCst);
    let turns = in_parallel(THREADS, |thread| {
        let waker = unpark_waker();
        let mut context = Context::from_waker(&waker);
        let turn = |number: usize| {
            let timer = HeadTimer::default();
            let mut wait = pin!(window.acquire(1).timer(&timer));
            let begun = moment();
            assert!(wait.as_mut().poll(&mut context).is_pending());
            let joined = moment();
            while !timer.0.get() {
                thread::park();
                assert!(wait.as_mut().poll(&mut context).is_pending());
            }
            let became_head = moment();
            // Now and then, so that other threads find the queue empty at times.
            if number % (3 + thread) == 0 {
                thread::yield_now();
            }
            Turn {
                begun,
                joined,
                became_head,
            }
        };
        (0..TURNS).map(turn).collect::<Vec<Turn>>()
    });
    let mut turns: Vec<Turn> = turns.into_iter().flatten().collect();
    assert_eq!((turns.len(), window.waiting()), (THREADS * TURNS, 0));
    turns.sort_unstable_by_key(|turn| turn.became_head);
    let mut next_joined = u64::MAX;
    for turn in turns.iter().rev() {
        // No later head had joined before this one began.
        assert!(next_joined > turn.begun, "{turn:?} overtook {next_joined}");
        next_joined = next_joined.min(turn.joined);
    }
}

/// The clock is frozen, so only resets wake the waiters. If one is missed, this test does not end.
#[test]
fn waiters_never_miss_a_reset() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let timer = ManualTimer::on(&clock);
    bucket.try_acquire(1).unwrap();
    let running = AtomicU64::new(THREADS as u64 - 1);
    in_parallel(THREADS, |thread| {
        if thread == 0 {
            while running.load(SeqCst) > 0 {
                // Only after the token was used. Otherwise a second reset would wake the waiters
                // that the first one missed.
                if bucket.available() == 0 {
                    bucket.reset();
                }
            }
            return;
        }
        let waker = unpark_waker();
        for _ in 0..TURNS / 2 {
            let wait = bucket.acquire(1);
            let outcome = match thread {
                1 => wait.wait(),
                _ => park_on(wait.timer(timer.clone()), &waker),
            };
            outcome.expect("not never");
        }
        running.fetch_sub(1, SeqCst);
    });
}

/// On a real clock, with heads that are admitted. If a turn is lost, this test does not end.
#[test]
fn turns_are_not_lost_in_real_time() {
    let length = Duration::from_micros(100);
    let window = SlidingWindow::with_clock(50, length, MonotonicClock).unwrap();
    let window = window.slots(1);
    let admitted = AtomicU64::new(0);
    let spinning = |wait: Duration| {
        let end = MonotonicClock.now() + wait;
        poll_fn(move |context| {
            if MonotonicClock.now() >= end {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    in_parallel(THREADS, |thread| {
        let waker = unpark_waker();
        for _ in 0..5_000 {
            let wait = window.acquire(7);
            let outcome = match thread % 2 {
                0 => wait.wait(),
                _ => park_on(wait.timer(spinning), &waker),
            };
            outcome.expect("not never");
            admitted.fetch_add(1, Relaxed);
        }
    });
    assert_eq!((admitted.into_inner(), window.waiting()), (20_000, 0));
}
