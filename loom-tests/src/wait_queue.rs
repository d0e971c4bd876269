//! The wait queue of a limiter, with the driver of waits and a bucket.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use crate::model::{at, explore, leaked};
use crate::mutant;
use crate::tidegate::modelled::{Ticket, Turn, WaitQueue};
use crate::tidegate::{Combined, TokenBucket};
use crate::waiting::{Jumping, Manual, T, block_on, empty, empty_bucket, poll};

/// Three threads that wait for one token each, which flow in one after the other. Kills
/// `next_is_not_woken`.
///
/// Each has its turn, and none sleeps forever: a thread may join while the one ahead leaves.
fn each_is_served() {
    explore(2, || {
        let bucket = empty_bucket(1, Jumping::at(0));
        let mut head = bucket.future(1);
        assert!(poll(&mut head).is_pending());
        let others = [
            thread::spawn(move || bucket.wait(1)),
            thread::spawn(move || bucket.wait(1)),
        ];
        assert_eq!(head.wait(), Ok(()));
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

/// Three threads: one waits, one joins and gives up after two polls, and a token is credited. Kills
/// `next_is_not_woken`, `dropped_head_wakes_none`.
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

/// Two threads: a waiter joins, and the bucket is reset. Kills `no_fence_after_joining`,
/// `no_fence_before_waking`, `mark_removed_late`, `early_wake`.
///
/// Time stands still, so the waiter is served only if it asks after the reset. The reset comes
/// before the waiter has joined, between joining and asking, or while it sleeps.
fn reset_beside_a_head() {
    explore(4, || {
        let bucket = empty_bucket(1, Manual::at(0));
        let reset = thread::spawn(move || bucket.bucket.reset_at(at(0)));
        bucket.wait(1);
        reset.join().unwrap();
    });
}

/// Three threads: a waiter joins for two tokens, and two threads credit one each. Kills
/// `no_fence_after_joining`, `no_fence_before_waking`, `mark_removed_late`.
///
/// The first credit may wake the head, which then asks in vain beside the second.
fn credits_beside_a_head() {
    explore(3, || {
        let bucket = empty_bucket(2, Manual::at(0));
        let credit = move || bucket.bucket.credit_at(1, at(0));
        let others = [thread::spawn(credit), thread::spawn(credit)];
        bucket.wait(2);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Three threads: a thread and a future wait, and tokens are credited one by one. Kills
/// `next_is_not_woken`, `thread_is_not_woken`, `newest_is_head`.
///
/// Both are in one queue. Each is woken in its own way, and by the other.
fn thread_and_future() {
    explore(2, || {
        let bucket = empty_bucket(2, Manual::at(0));
        let others = [
            thread::spawn(move || bucket.wait(1)),
            thread::spawn(move || {
                bucket.bucket.credit_at(1, at(0));
                bucket.bucket.credit_at(1, at(0));
            }),
        ];
        assert_eq!(block_on(bucket.future(1)), Ok(()));
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(bucket.admitted().len(), 2);
    });
}

/// Three threads: two wait at a combination, whose limit is reset. Kills `followed_in_part`.
///
/// A waiter that finds that the queue follows the limit already does not go on before it does.
fn two_wait_for_a_limit() {
    explore(2, || {
        let (limit, combined) = combination(2);
        let others = [
            thread::spawn(move || assert_eq!(combined.acquire(1).wait(), Ok(()))),
            thread::spawn(move || limit.reset_at(at(0))),
        ];
        assert_eq!(combined.acquire(1).wait(), Ok(()));
        for other in others {
            other.join().unwrap();
        }
    });
}

/// An empty bucket, and a combination of only this limit.
fn combination(burst: u64) -> (Arc<TokenBucket<Manual>>, &'static Combined<Manual>) {
    let limit = Arc::new(empty(burst, Manual::at(0)));
    let combined = Combined::builder().limit("only", Arc::clone(&limit));
    (limit, leaked(combined.build()))
}

/// Two threads: one waits at a combination of limits, of which the other is reset. Kills
/// `followers_are_not_woken`, `follows_none`.
///
/// The reset of a limit wakes the head of the combination, which has a queue of its own.
fn reset_of_a_limit() {
    explore(3, || {
        let (limit, combined) = combination(1);
        let reset = thread::spawn(move || limit.reset_at(at(0)));
        assert_eq!(combined.acquire(1).wait(), Ok(()));
        reset.join().unwrap();
    });
}

fn is_head(queue: &WaitQueue, ticket: &Ticket) -> bool {
    queue.poll(ticket, Waker::noop()) != Turn::Behind
}

/// Two threads: the head leaves, and two waiters join, one after the other. Kills `newest_is_head`,
/// `not_yet_counted`, `emptied_by_the_head`.
///
/// The waiters are served in that order, and a caller that arrives later sees that the queue is
/// busy.
fn no_waiter_is_overtaken() {
    explore(5, || {
        let queue = leaked(WaitQueue::<u128>::new());
        let (head, _) = queue.join(1).expect("unbounded");
        let leaving = thread::spawn(move || drop(queue.leave(head, None)));
        let (first, _) = queue.join(1).expect("unbounded");
        assert!(queue.is_busy(), "a later caller may pass");
        let (second, _) = queue.join(1).expect("unbounded");
        let has_overtaken = is_head(queue, &second);
        leaving.join().unwrap();
        assert!(queue.is_busy(), "a later caller may pass");
        let in_order = is_head(queue, &first) && !has_overtaken && !is_head(queue, &second);
        assert!(in_order, "overtaken");
        drop(queue.leave(first, None));
        assert!(is_head(queue, &second));
        drop(queue.leave(second, None));
        assert!(!queue.is_busy(), "left in the queue");
    });
}

/// Two threads: a waiter sleeps as the head, and another arrives when there is a token. Kills
/// `asks_before_joining`.
///
/// The head takes the token, even if its timer is late.
fn later_arrival_waits() {
    explore(4, || {
        let bucket = empty_bucket(1, Manual::at(0));
        let mut head = bucket.future(1);
        assert!(poll(&mut head).is_pending());
        bucket.bucket.clock().advance(T);
        let later = thread::spawn(move || {
            let mut later = bucket.future(1);
            let overtakes = poll(&mut later).is_ready() && bucket.admitted().len() == 1;
            assert!(!overtakes, "overtaken");
        });
        assert_eq!(block_on(head), Ok(()));
        later.join().unwrap();
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
    reset_beside_a_head {
        no_fence_after_joining: "deadlock",
        no_fence_before_waking: "deadlock",
        mark_removed_late: "deadlock",
        early_wake: "deadlock",
    }
    credits_beside_a_head {
        no_fence_after_joining: "deadlock",
        no_fence_before_waking: "deadlock",
        mark_removed_late: "deadlock",
    }
    thread_and_future {
        next_is_not_woken: "deadlock",
        thread_is_not_woken: "deadlock",
        newest_is_head: "deadlock",
    }
    reset_of_a_limit {
        followers_are_not_woken: "deadlock",
        follows_none: "deadlock",
    }
    two_wait_for_a_limit { followed_in_part: "deadlock" }
    no_waiter_is_overtaken {
        newest_is_head: "overtaken",
        not_yet_counted: "a later caller may pass",
        emptied_by_the_head: "a later caller may pass",
    }
    later_arrival_waits { asks_before_joining: "overtaken" }
}
