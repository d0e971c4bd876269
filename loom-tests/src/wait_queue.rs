//! The wait queue of a limiter, with the driver of waits and a bucket.

use std::task::Waker;

use loom::thread;

use crate::model::{at, explore, leaked};
use crate::mutant;
use crate::tidegate::modelled::{Turn, WaitQueue};
use crate::waiting::{Jumping, Manual, T, block_on, empty_bucket, poll};

/// Three threads that wait for one token each, which flow in one after the other. Kills
/// `next_is_not_woken`.
///
/// Each has its turn, and none sleeps forever: a thread may join while the one ahead leaves.
fn each_is_served() {
    explore(2, || {
        let bucket = empty_bucket(1, Jumping::at(0));
        let others = [
            thread::spawn(move || bucket.wait(1)),
            thread::spawn(move || bucket.wait(1)),
        ];
        bucket.wait(1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(bucket.admitted().len(), 3);
        assert_eq!(bucket.bucket.waiting(), 0, "left in the queue");
    });
}

/// Three threads: the head is dropped when it is due, the next waiter is dropped, and the last
/// waits. Kills `next_is_not_woken`, `dropped_head_wakes_none`.
///
/// The two leave in any order, so the second may just have become the head. The last takes the
/// token that they left.
fn due_head_is_dropped() {
    explore(3, || {
        let bucket = empty_bucket(1, Manual::at(0));
        let mut head = bucket.future(1);
        assert!(poll(&mut head).is_pending());
        let mut next = bucket.future(1);
        assert!(poll(&mut next).is_pending());
        let mut last = bucket.future(1);
        assert!(poll(&mut last).is_pending());
        bucket.bucket.clock().advance(T);
        let others = [
            thread::spawn(move || drop(head)),
            thread::spawn(move || drop(next)),
        ];
        assert_eq!(block_on(last), Ok(()));
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(bucket.bucket.waiting(), 0, "left in the queue");
    });
}

/// Three threads: one waits, one joins and gives up after two polls, and a token is credited. Kills `next_is_not_woken`, `dropped_head_wakes_none`.
///
/// The one that gives up leaves from any position. If it has the token, it gives it back. The other
/// is served.
fn waiters_join_and_leave() {
    explore(2, || {
        let bucket = empty_bucket(1, Manual::at(0));
        let leave = move || {
            let mut wait = bucket.future(1);
            let is_served = poll(&mut wait).is_ready() || poll(&mut wait).is_ready();
            drop(wait);
            if is_served {
                bucket.bucket.credit_at(1, at(0));
            }
        };
        let others = [
            thread::spawn(leave),
            thread::spawn(move || bucket.bucket.credit_at(1, at(0))),
        ];
        assert_eq!(block_on(bucket.future(1)), Ok(()));
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(bucket.bucket.waiting(), 0, "left in the queue");
    });
}

mutant::tests! { "wait_queue":
    each_is_served { next_is_not_woken: "deadlock" }
    due_head_is_dropped {
        next_is_not_woken: "deadlock",
        dropped_head_wakes_none: "deadlock",
    }
    waiters_join_and_leave {
        next_is_not_woken: "deadlock",
        dropped_head_wakes_none: "deadlock",
    }
}
