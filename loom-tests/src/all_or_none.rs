//! Tuples of a key of a table and a bucket: charges that are undone beside calls and evictions of
//! the key, and waits that move from one member to another.

use std::sync::Arc;

use loom::thread;

use crate::keyed::{A, T, Table, X, Z, assert_bound};
use crate::model::{NoClock, SharedClock, at, explore, leaked};
use crate::mutant;
use crate::tidegate::{Acquire, AllOrNothing, Limiter, Quota, TokenBucket};
use crate::waiting::{Manual, empty, poll};

/// A table of keys, and a bucket with one token.
struct Pair {
    table: loom::sync::Arc<Table>,
    last: TokenBucket<NoClock>,
}

impl Pair {
    fn new(burst: u64) -> Arc<Self> {
        let quota = Quota::new(1, core::time::Duration::from_nanos(T))
            .and_then(|quota| quota.try_burst(1))
            .expect("representable");
        let last = TokenBucket::with_clock(quota, NoClock);
        let table = Table::new(burst);
        Arc::new(Self { table, last })
    }

    /// Charges the key and the bucket. Returns whether it was admitted, and what it lost.
    fn admit(&self, key: u64, now: u64) -> (bool, u64) {
        match (self.table.0.at(&key), &self.last).try_acquire_at(1, at(now)) {
            Ok(()) => (true, 0),
            Err(denied) => (false, denied.forfeited()),
        }
    }

    fn take_last(&self, now: u64) -> bool {
        self.last.try_acquire_at(1, at(now)).is_ok()
    }
}

/// Two threads with one call each. Kills `kept_charge_of_a_key`.
///
/// One thread takes the token of the bucket after the key was charged. The charge comes back.
fn refused_by_the_second() {
    explore(3, || {
        // Of equal headroom, so that the key is charged first.
        let pair = Pair::new(1);
        let other = {
            let pair = pair.clone();
            thread::spawn(move || pair.take_last(5 * T))
        };
        let (admitted, forfeited) = pair.admit(X, 5 * T);
        assert!(admitted != other.join().unwrap());
        let left = pair.table.0.available_at(&X, at(5 * T));
        assert_eq!(
            (left, forfeited),
            (u64::from(!admitted), 0),
            "charged in vain"
        );
    });
}

/// Two threads with one call each. Kills `assumed_charge_of_a_member`.
fn race_for_the_last() {
    explore(2, || {
        let pair = Pair::new(3);
        let other = {
            let pair = pair.clone();
            thread::spawn(move || pair.admit(X, 5 * T))
        };
        let calls = [pair.admit(X, 5 * T), other.join().unwrap()];
        let admitted = calls.iter().filter(|call| call.0).count();
        assert_eq!(admitted, 1, "admitted for the last one");
        let left = pair.table.0.available_at(&X, at(5 * T));
        // The bucket is charged first, so the loser has nothing to undo.
        assert_eq!((left, calls[0].1 + calls[1].1), (2, 0));
    });
}

/// Two threads, three calls, an advancing clock. Kills `full_refund_of_a_key`.
///
/// A call is rolled back after it has charged the key, and another thread takes a token of the key
/// at a later instant. The charge that comes back must not let two calls act at once.
fn rollback_beside_a_call_of_the_key() {
    explore(2, || {
        let pair = Pair::new(1);
        let clock = Arc::new(SharedClock::at(5 * T));
        let other = {
            let (pair, clock) = (pair.clone(), clock.clone());
            thread::spawn(move || {
                // The bucket is there twice and has one token, so the second charge of it fails.
                let tuple = (pair.table.0.at(&X), &pair.last, &pair.last);
                tuple.try_acquire_at(1, at(clock.now())).is_ok()
            })
        };
        clock.advance(T);
        let now = clock.now();
        let mut calls = vec![pair.table.call(X, 1, now)];
        assert!(!other.join().unwrap(), "the bucket had one token");
        let now = clock.latest();
        calls.push(pair.table.call(X, 1, now));
        assert_bound(1, now, &calls);
    });
}

/// Two threads: one with a charge of a key that it undoes, the other with two calls; then a call.
/// Kills `full_refund_of_a_key`.
///
/// The key is evicted after its charge, and comes back. The undo must not return to the new bucket
/// what the old one was charged.
fn evicted_beside_a_charge() {
    explore(1, || {
        let table = Table::new(1);
        // Keeps the other place.
        table.call(Z, 1, 20 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let key = table.0.at(&X);
                if let Ok(charge) = key.charge_at(1, at(5 * T)) {
                    key.undo(charge);
                }
            })
        };
        // Lets the other thread run first, which saves a preemption.
        thread::yield_now();
        table.call(A, 1, 6 * T + 1);
        let mut calls = vec![table.call(X, 1, 8 * T)];
        other.join().unwrap();
        calls.push(table.call(X, 1, 8 * T));
        assert_bound(1, 8 * T, &calls);
    });
}

/// Two threads: a tuple waits, and tokens come back. Kills `stays_in_place`,
/// `moves_by_a_second_look`.
///
/// No time passes. The tuple moves to the member that still refuses, and is woken when the tokens
/// of that one come back.
fn tokens_come_back_beside_a_move() {
    explore(2, || {
        let (first, second) = two_empty();
        let tuple = thread::spawn(move || Acquire::new((first, second), 1).wait());
        first.reset();
        second.reset();
        assert_eq!(tuple.join().unwrap(), Ok(()));
        assert_eq!((first.waiting(), second.waiting()), (0, 0));
    });
}

/// Two threads: one waits behind a tuple that moves. Kills `moves_without_waking`.
///
/// It gets the token that the tuple leaves.
fn behind_a_tuple_that_moves() {
    explore(2, || {
        let (first, second) = two_empty();
        let never = |_| core::future::pending::<()>();
        let mut tuple = Acquire::new((first, second), 1).timer(never);
        assert!(poll(&mut tuple).is_pending());
        let behind = thread::spawn(move || Acquire::new(first, 1).wait());
        first.reset();
        assert!(poll(&mut tuple).is_pending());
        assert_eq!(behind.join().unwrap(), Ok(()));
        second.reset();
        assert!(poll(&mut tuple).is_ready());
        assert_eq!((first.waiting(), second.waiting()), (0, 0));
    });
}

/// Two empty buckets, for two tokens and for one.
fn two_empty() -> (Bucket, Bucket) {
    let [first, second] = [2, 1].map(|burst| leaked(empty(burst, Manual::at(0))));
    (first, second)
}

type Bucket = &'static TokenBucket<Manual>;

mutant::tests! { "all_or_none":
    refused_by_the_second { kept_charge_of_a_key: "charged in vain" }
    race_for_the_last { assumed_charge_of_a_member: "admitted for the last one" }
    rollback_beside_a_call_of_the_key { full_refund_of_a_key: " of " }
    evicted_beside_a_charge { full_refund_of_a_key: " of " }
    tokens_come_back_beside_a_move {
        stays_in_place: "deadlock",
        moves_by_a_second_look: "deadlock",
    }
    behind_a_tuple_that_moves { moves_without_waking: "deadlock" }
}
