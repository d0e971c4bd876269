//! The turn goes from thread to thread as fast as it can: it is never lost, and goes to whoever came first.

use core::cell::Cell;
use core::future::{Future, Pending, pending};
use core::pin::pin;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;
use core::task::Context;
use core::time::Duration;
use std::thread;

use tidegate::{ManualClock, Timer};

use crate::bucket;
use crate::crowd::{ManualTimer, parked};
use crate::parallel::in_parallel;
use crate::window;

const THREADS: usize = 4;
const TURNS: usize = 40_000;

/// Only the head sleeps on a timer: so whoever sleeps is the head.
#[derive(Debug, Default)]
struct HeadSleeps(Cell<bool>);

impl Timer for &HeadSleeps {
    type Sleep = Pending<()>;

    fn sleep(&self, _: Duration) -> Pending<()> {
        self.0.set(true);
        pending()
    }
}

/// Three moments of a turn, counted by all.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Before it came.
    begun: u64,
    /// It had come, and was behind others or the head.
    joined: u64,
    /// It was the head.
    first: u64,
}

/// A window that never has room, so that everybody waits, and leaves when it is the head. If a turn is lost, this does not end.
#[test]
fn from_thread_to_thread_in_order() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let moments = AtomicU64::new(0);
    let moment = || moments.fetch_add(1, SeqCst);
    let turns = in_parallel(THREADS, |thread| {
        let waker = parked();
        let mut context = Context::from_waker(&waker);
        let turn = |number: usize| {
            let timer = HeadSleeps::default();
            let mut wait = pin!(window.acquire_with(&timer, 1));
            let begun = moment();
            assert!(wait.as_mut().poll(&mut context).is_pending());
            let joined = moment();
            while !timer.0.get() {
                thread::park();
                assert!(wait.as_mut().poll(&mut context).is_pending());
            }
            let first = moment();
            // So that the others find the line sometimes empty, and sometimes not.
            if number % (3 + thread) == 0 {
                thread::yield_now();
            }
            Turn {
                begun,
                joined,
                first,
            }
        };
        (0..TURNS).map(turn).collect::<Vec<Turn>>()
    });
    let mut turns: Vec<Turn> = turns.into_iter().flatten().collect();
    assert_eq!((turns.len(), window.waiting()), (THREADS * TURNS, 0));
    turns.sort_unstable_by_key(|turn| turn.first);
    let mut next_joined = u64::MAX;
    for turn in turns.iter().rev() {
        // Nobody who was served later had come before this one began.
        assert!(next_joined > turn.begun, "{turn:?} overtook {next_joined}");
        next_joined = next_joined.min(turn.joined);
    }
}

/// Somebody fills the bucket up whenever somebody waits: nobody misses that.
#[test]
fn a_reset_is_never_missed() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let timer = ManualTimer::on(&clock);
    let waiters = AtomicU64::new(THREADS as u64 - 1);
    in_parallel(THREADS, |thread| {
        if thread == 0 {
            while waiters.load(SeqCst) > 0 {
                // Not for nothing, or the next reset would wake those whom this one forgot.
                if bucket.debt() > 0 {
                    bucket.reset();
                }
            }
            return;
        }
        let waker = parked();
        let mut context = Context::from_waker(&waker);
        for _ in 0..TURNS / 2 {
            let mut wait = pin!(bucket.acquire_with(timer.clone(), 1));
            while wait.as_mut().poll(&mut context).is_pending() {
                // The time stands still: only a reset wakes it.
                thread::park();
            }
        }
        waiters.fetch_sub(1, SeqCst);
    });
}
