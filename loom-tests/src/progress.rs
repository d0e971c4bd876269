//! As of when waiters are decided.

use loom::thread;

use crate::model::{assert_bound, explore};
use crate::mutant;
use crate::waiting::{Jumping, Manual, T, empty_bucket, empty_with_slack, poll};

/// Three threads: two wait for a token each, and one calls without waiting. Kills
/// `old_instant_refills`, `early`.
///
/// Time moves on when a waiter sleeps, and its timer is late. All calls together keep the bound, by
/// their instants of decision.
fn waiters_beside_callers() {
    explore(2, || {
        let bucket = empty_bucket(2, Jumping::at(0));
        let mut head = bucket.future(1);
        assert!(poll(&mut head).is_pending());
        let others = [
            thread::spawn(move || bucket.wait(1)),
            thread::spawn(move || bucket.try_acquire(1)),
        ];
        assert_eq!(head.wait(), Ok(()));
        for other in others {
            other.join().unwrap();
        }
        assert_bound(2, T, 0, &bucket.admitted());
    });
}

/// Three threads: two come behind a head that wants all tokens, time passes, and the head is
/// dropped. Kills `before_arrival`, `before_the_last`, `however_late`.
///
/// Tokens have been there for longer than the slack. The waiters are decided as of an instant
/// between their arrival and now, within the slack, in the order of the queue; even one that comes
/// with an old reading behind one with a new reading.
fn waiters_behind_a_dropped_head() {
    explore(3, || {
        let bucket = empty_with_slack(3, 2 * T, Manual::at(0));
        let mut head = bucket.future(3);
        assert!(poll(&mut head).is_pending());
        let others = [
            thread::spawn(move || bucket.wait(1)),
            thread::spawn(move || bucket.wait(1)),
        ];
        bucket.bucket.clock().advance(5 * T);
        drop(head);
        for other in others {
            other.join().unwrap();
        }
        assert_bound(3, T, 0, &bucket.admitted());
    });
}

mutant::tests! { "progress":
    waiters_beside_callers {
        old_instant_refills: " of ",
        early: "as of a later instant",
    }
    waiters_behind_a_dropped_head {
        before_arrival: "as of before its arrival",
        before_the_last: "as of before the one ahead",
        however_late: "as of too long ago",
    }
}
