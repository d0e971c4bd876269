//! The count of calls in flight, and the waiters for one to end.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::model::{explore, leaked};
use crate::mutant;
use crate::tidegate::modelled::ModelledInFlight;
use crate::waiting::{block_on, kept_in_a_deadlock};

/// Waits until it has entered, as a future and a thread do.
fn enter(calls: &'static ModelledInFlight) {
    let waiter = kept_in_a_deadlock(calls.waiter(), |waiter| {
        while !calls.enter() {
            if waiter.may_sleep() {
                block_on(|context| waiter.poll_woken(context));
            }
        }
        waiter.entered();
    });
    drop(waiter);
}

/// Four threads: two calls end, and two wait. Kills `no_check_after_listening`, `no_waiter_fence`,
/// `no_call_fence`, `unchecked_entry`.
///
/// Both waiters enter, and there are never more calls than the limit.
fn two_calls_end() {
    explore(2, || {
        let calls = leaked(ModelledInFlight::new(2));
        assert!(calls.enter() && calls.enter());
        let inside = leaked(AtomicU64::new(2));
        let ends = move || {
            inside.fetch_sub(1, Relaxed);
            calls.leave();
        };
        let waits = move || {
            enter(calls);
            assert!(inside.fetch_add(1, Relaxed) < 2, "above the limit");
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
        assert!(!calls.enter(), "above the limit");
    });
}

/// Three threads: a call ends, one waiter waits, and another gives up. Kills `kept_turn`.
///
/// The waiter that gives up may just have been woken. The one behind it enters all the same.
fn a_woken_waiter_gives_up() {
    explore(3, || {
        let calls = leaked(ModelledInFlight::new(1));
        assert!(calls.enter());
        let mut gives_up = calls.waiter();
        assert!(!gives_up.may_sleep() && !calls.enter() && gives_up.may_sleep());
        let others = [
            thread::spawn(move || calls.leave()),
            thread::spawn(move || drop(gives_up)),
        ];
        enter(calls);
        for other in others {
            other.join().unwrap();
        }
    });
}

mutant::tests! { "in_flight":
    two_calls_end {
        no_check_after_listening: "deadlock",
        no_waiter_fence: "deadlock",
        no_call_fence: "deadlock",
        unchecked_entry: "above the limit",
    }
    a_woken_waiter_gives_up { kept_turn: "deadlock" }
}
