//! What must hold for calls in flight, whatever the threads do.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use tidegate::modelled::{ModelledInFlight, ModelledWaiter};

use crate::explore;
use crate::line_models::Parked;

/// A count of calls that is limited, and those who wait for one to end.
pub trait Calls: Send + Sync + Sized + 'static {
    type Waiter: Waits;

    fn new(most: u64) -> &'static Self;

    fn enter(&self) -> bool;

    fn leave(&self);

    fn waiter(&'static self) -> Self::Waiter;
}

/// Gives up when it is dropped.
pub trait Waits: Send + 'static {
    fn finds_full(&mut self) -> bool;

    fn has_entered(&mut self);

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// Waits until it has entered, as a future and a thread do. If nobody wakes it, the model ends in a deadlock, where locks are no
/// more and nothing is dropped.
fn enters<C: Calls>(calls: &'static C) {
    let mut waiter = ManuallyDrop::new(calls.waiter());
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    while !calls.enter() {
        if waiter.finds_full() {
            while waiter.poll_told(&mut context).is_pending() {
                thread::park();
            }
        }
    }
    waiter.has_entered();
    drop(ManuallyDrop::into_inner(waiter));
}

/// Two calls end in two threads, while two wait: both enter, nobody sleeps for ever, and there are never more than may be. Four
/// threads. Killed by `LookBeforeListening`, `NoFence` and `EnteredWhenTold`.
pub fn two_places_come_back<C: Calls>() {
    explore(2, || {
        let calls = C::new(2);
        assert!(calls.enter() && calls.enter());
        let inside: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(2)));
        let ends = move || {
            inside.fetch_sub(1, Relaxed);
            calls.leave();
        };
        let waits = move || {
            enters(calls);
            assert!(inside.fetch_add(1, Relaxed) < 2, "more than may be");
        };
        let others = [
            thread::spawn(ends),
            thread::spawn(ends),
            thread::spawn(waits),
        ];
        waits();
        for other in others {
            other.join().unwrap();
        }
        assert!(!calls.enter(), "more than may be");
    });
}

/// A call ends, and the one that waits for it gives up when it may just have been told; the one behind it enters all the same.
/// Three threads. Killed by `KeptToItself`.
pub fn a_place_that_is_given_up<C: Calls>() {
    explore(3, || {
        let calls = C::new(1);
        assert!(calls.enter());
        let mut gives_up = calls.waiter();
        assert!(!gives_up.finds_full() && !calls.enter() && gives_up.finds_full());
        let ends = thread::spawn(move || calls.leave());
        let leaves = thread::spawn(move || drop(gives_up));
        enters(calls);
        ends.join().unwrap();
        leaves.join().unwrap();
    });
}

impl Calls for ModelledInFlight {
    type Waiter = ModelledWaiter<'static>;

    fn new(most: u64) -> &'static Self {
        Box::leak(Box::new(Self::new(most)))
    }

    fn enter(&self) -> bool {
        self.enter()
    }

    fn leave(&self) {
        self.leave();
    }

    fn waiter(&'static self) -> ModelledWaiter<'static> {
        self.waiter()
    }
}

impl Waits for ModelledWaiter<'static> {
    fn finds_full(&mut self) -> bool {
        self.finds_full()
    }

    fn has_entered(&mut self) {
        self.has_entered();
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_told(context)
    }
}
