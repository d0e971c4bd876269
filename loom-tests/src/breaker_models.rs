//! What must hold for a circuit breaker, whatever the calls do that fail.

use std::fmt::Debug;

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::breaker::{Breaker, Closed};
use crate::explore;

pub trait Breaks: Send + Sync + Sized + 'static {
    type Closed: Copy + Debug + PartialEq + Send;

    fn new() -> &'static Self;

    fn look(&self) -> Option<Self::Closed>;

    fn open(&self, seen: Self::Closed, until: u64) -> bool;

    fn postpone(&self, until: u64);

    fn close(&self, seen: Self::Closed);
}

/// Three calls look, fail, and open; who did asks the server twice, and closes. One asks at a time, of the calls that were made while
/// it was closed for the same time one opens it, so that no failure of before counts, and in the end it is closed. Three threads.
/// Killed by `OpenedByStore`, `OpenedAlways` and `SameWordAgain`.
pub fn one_of_those_who_fail_opens<B: Breaks>() {
    explore(3, || {
        let breaker = B::new();
        let probing: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        let fails = move || {
            let seen = breaker.look()?;
            if !breaker.open(seen, 10) {
                return None;
            }
            assert_eq!(probing.fetch_add(1, Relaxed), 0, "two probe");
            breaker.postpone(20);
            probing.fetch_sub(1, Relaxed);
            breaker.close(seen);
            Some(seen)
        };
        let others = [(); 2].map(|()| thread::spawn(fails));
        let mut opened = Vec::from_iter(fails());
        for other in others {
            let Some(seen) = other.join().unwrap() else {
                continue;
            };
            assert!(!opened.contains(&seen), "opened twice from {seen:?}");
            opened.push(seen);
        }
        let last = breaker.look().expect("closed in the end");
        assert!(!opened.contains(&last), "closed as before");
    });
}

/// The shipped one.
pub struct ShippedBreaker(Breaker);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedClosed(Closed);

impl Breaks for ShippedBreaker {
    type Closed = ShippedClosed;

    fn new() -> &'static Self {
        Box::leak(Box::new(Self(Breaker::new())))
    }

    fn look(&self) -> Option<ShippedClosed> {
        self.0.look().ok().map(ShippedClosed)
    }

    fn open(&self, seen: ShippedClosed, until: u64) -> bool {
        self.0.open(seen.0, until)
    }

    fn postpone(&self, until: u64) {
        self.0.postpone(until);
        assert_eq!(self.0.open_until(), Some(until | 1));
    }

    fn close(&self, seen: ShippedClosed) {
        self.0.close(seen.0);
    }
}
