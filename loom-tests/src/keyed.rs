//! A set of two places with the buckets of many keys.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{NoClock, at, explore};
use crate::mutant;
use crate::tidegate::{Denied, FixedKeyed, Overflow, Quota};

/// Nanoseconds per token.
pub(crate) const T: u64 = 1_000;

/// Keys. `X` and `Z` often have places before the threads start.
pub(crate) const X: u64 = 1;
pub(crate) const Z: u64 = 2;
pub(crate) const A: u64 = 3;
const B: u64 = 4;

/// Hashes a number to itself: it is the fingerprint, and there is one set.
pub(crate) struct Same;

pub(crate) struct SameHash(u64);

impl BuildHasher for Same {
    type Hasher = SameHash;

    fn build_hasher(&self) -> SameHash {
        SameHash(0)
    }
}

impl Hasher for SameHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Keys without a place are refused.
pub(crate) struct Table(pub(crate) FixedKeyed<NoClock, Same>);

impl Table {
    pub(crate) fn new(burst: u64) -> Arc<Self> {
        let quota = Quota::new(1, Duration::from_nanos(T))
            .and_then(|quota| quota.try_burst(burst))
            .expect("representable");
        let table = FixedKeyed::with_clock_and_hasher(quota, 1, NoClock, Same);
        Arc::new(Self(table.overflow(Overflow::Refuse)))
    }

    /// Makes a call. A reading that is earlier than the one of the call before is an old one.
    pub(crate) fn call(&self, key: u64, n: u64, now: u64) -> Call {
        let admitted = match self.0.try_acquire_at(&key, n, at(now)) {
            Ok(()) => true,
            Err(Denied::NotYet { .. } | Denied::Busy { .. }) => false,
            Err(denied) => unreachable!("{denied}"),
        };
        Call {
            key,
            n,
            now,
            admitted,
        }
    }

    /// How many calls were refused because their key had no place.
    fn overflowed(&self) -> u64 {
        self.0.stats_at(at(0)).overflowed
    }

    /// Asserts that no call was refused but for want of a place, in a model where no key wants more
    /// than its bucket holds.
    pub(crate) fn assert_apart(&self, calls: &[Call]) {
        let refused = calls.iter().filter(|call| !call.admitted).count() as u64;
        let overflowed = self.overflowed();
        assert_eq!(
            refused, overflowed,
            "charged to another's bucket: {calls:?}"
        );
    }
}

/// A call: the clock reading of the caller, and whether it was admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    key: u64,
    n: u64,
    now: u64,
    pub(crate) admitted: bool,
}

/// Asserts that each key keeps to the bound of its bucket, whenever its calls were decided between
/// their reading and `end`, when all have returned.
pub(crate) fn assert_bound(burst: u64, end: u64, calls: &[Call]) {
    for &Call { key, now, .. } in calls {
        let since = |call: &&Call| call.admitted && call.key == key && call.now >= now;
        let sum: u64 = calls.iter().filter(since).map(|call| call.n).sum();
        let bound = burst + (end - now) / T;
        assert!(sum <= bound, "{sum} of {bound} since {now}: {calls:?}");
    }
}

/// Two threads with two calls each. Kills `stored_tat`.
///
/// All calls are for one new key, which gets one bucket.
fn same_new_key() {
    explore(3, || {
        let table = Table::new(3);
        let other = {
            let table = table.clone();
            thread::spawn(move || [table.call(X, 1, 5 * T), table.call(X, 1, 5 * T)])
        };
        let mine = [table.call(X, 1, 5 * T), table.call(X, 1, 5 * T)];
        let calls = [other.join().unwrap(), mine].concat();
        let admitted = calls.iter().filter(|call| call.admitted).count();
        assert_eq!(admitted, 3, "of three: {calls:?}");
        assert_eq!(table.overflowed(), 0);
    });
}

/// Two threads with one call each. Kills `unconfirmed_no_room`, `unfinished_claim`.
///
/// Both calls are for one new key, and there is one place for it. Its bucket decides both.
fn same_new_key_at_the_last_place() {
    explore(3, || {
        let table = Table::new(2);
        table.call(Z, 2, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.call(X, 1, 5 * T))
        };
        let calls = [table.call(X, 1, 5 * T), other.join().unwrap()];
        assert!(calls.iter().all(|call| call.admitted), "{calls:?}");
    });
}

/// Two threads with one call each. Kills `unfinished_claim`.
///
/// The calls are for two new keys, and there is one place. One key gets it, and the other key
/// overflows.
fn two_keys_at_the_last_place() {
    explore(2, || {
        let table = Table::new(1);
        table.call(Z, 1, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.call(A, 1, 5 * T))
        };
        let calls = [table.call(B, 1, 5 * T), other.join().unwrap()];
        table.assert_apart(&calls);
        assert_eq!(table.overflowed(), 1, "a place is lost: {calls:?}");
    });
}

/// Two threads with three calls. Kills `unsearched_claim`, `unpublished_claim`.
///
/// A key gets the second place, and then the first is given up. Another thread has searched for
/// that key before, and must not claim the first place for it.
fn claimed_twice() {
    explore(2, || {
        let table = Table::new(1);
        // Full at `6 * T`.
        table.call(Z, 1, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let first = table.call(X, 1, 6 * T - 1);
                table.call(A, 1, 6 * T + 1);
                first
            })
        };
        let mine = table.call(X, 1, 6 * T - 1);
        assert_bound(1, 6 * T + 1, &[mine, other.join().unwrap()]);
    });
}

/// Two threads with three calls. Kills `stored_owner`, `unchecked_claim`.
///
/// A thread carries out the claim of a key, and stops until that key is given up for another.
fn late_helper() {
    explore(2, || {
        let table = Table::new(2);
        table.call(Z, 2, 6 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || [table.call(A, 1, 5 * T), table.call(B, 2, 7 * T + 1)])
        };
        // Lets the other thread begin, which saves a preemption.
        thread::yield_now();
        let helper = table.call(A, 1, 5 * T);
        let [first, second] = other.join().unwrap();
        table.assert_apart(&[helper, first, second]);
    });
}

/// Two threads with one call each, then two calls. Kills `unpublished_owner`, `returned_value`.
///
/// A key whose bucket is full again is given up for another, while a call of its own holds what it
/// saw before. Neither key is charged to the other's bucket, and each has its own burst. The mutant
/// with the returned value needs a bucket that is full at that very instant.
fn given_up_while_charged() {
    for now in [7 * T, 7 * T + 1] {
        explore(3, move || {
            let table = Table::new(2);
            let mut calls = vec![table.call(X, 2, 5 * T), table.call(Z, 2, 6 * T)];
            let holder = {
                let table = table.clone();
                thread::spawn(move || table.call(X, 1, 7 * T))
            };
            calls.push(table.call(A, 2, now));
            calls.push(holder.join().unwrap());
            table.assert_apart(&calls);
            // Takes the rest.
            calls.extend([table.call(X, 1, now), table.call(X, 1, now)]);
            assert_bound(2, now, &calls);
        });
    }
}

/// Two threads with one call each. Kills `unpublished_successor`.
///
/// Both calls are for a new key, and the key before it is given up. What a thread saw of that key
/// does not refuse the new one.
fn successor_of_a_drained_key() {
    explore(3, || {
        let table = Table::new(2);
        let mut calls = vec![table.call(X, 2, 5 * T), table.call(Z, 2, 6 * T)];
        let behind = {
            let table = table.clone();
            thread::spawn(move || table.call(A, 1, 5 * T))
        };
        calls.push(table.call(A, 1, 7 * T + 1));
        calls.push(behind.join().unwrap());
        table.assert_apart(&calls);
    });
}

/// Two threads, one with a call, one with a query. Kills `unpublished_successor`, `unjudged_mark`.
///
/// As `successor_of_a_drained_key`.
fn query_of_a_successor() {
    explore(3, || {
        let table = Table::new(2);
        table.call(X, 2, 5 * T);
        // Full for every reading, so that there is always room.
        table.call(Z, 1, 4 * T);
        let query = {
            let table = table.clone();
            thread::spawn(move || table.0.peek_at(&A, 1, at(5 * T + 500)).is_ok())
        };
        table.call(A, 1, 7 * T + 1);
        assert!(query.join().unwrap(), "refused one of two tokens");
    });
}

/// Two threads with one call each. Kills `unpublished_mark`, `late_mark`, `unjudged_mark`.
///
/// A place is given up as of a later clock reading than that of the call that gets it. That reading
/// is clamped.
fn given_up_by_a_later_clock() {
    explore(3, || {
        let table = Table::new(2);
        let mut calls = vec![table.call(X, 2, 5 * T), table.call(Z, 2, 6 * T)];
        let behind = {
            let table = table.clone();
            thread::spawn(move || table.call(A, 2, 5 * T))
        };
        calls.push(table.call(B, 2, 7 * T + 1));
        calls.push(behind.join().unwrap());
        table.assert_apart(&calls);
    });
}

/// Two threads with four calls. Kills `ignored_mark`.
///
/// A key is given up, and comes back to a place that was given up as of an earlier clock, by a call
/// whose reading lies in between. Its burst is not there before it was earned.
fn back_at_an_older_place() {
    explore(2, || {
        let table = Table::new(1);
        let mut calls = vec![table.call(X, 1, 5 * T + 500)];
        table.call(Z, 1, 5 * T);
        let earlier = {
            let table = table.clone();
            thread::spawn(move || table.call(A, 1, 6 * T + 100))
        };
        // Lets the other thread run twice, which saves preemptions.
        thread::yield_now();
        table.call(B, 1, 7 * T + 300);
        thread::yield_now();
        calls.push(table.call(X, 1, 6 * T + 200));
        calls.push(table.call(X, 1, 7 * T + 300));
        earlier.join().unwrap();
        assert_bound(1, 7 * T + 300, &calls);
    });
}

mutant::tests! { "keyed":
    same_new_key { stored_tat: "of three" }
    same_new_key_at_the_last_place {
        unconfirmed_no_room: "admitted: false",
        unfinished_claim: "admitted: false",
    }
    two_keys_at_the_last_place { unfinished_claim: "a place is lost" }
    claimed_twice { unsearched_claim: " of ", unpublished_claim: " of " }
    late_helper { stored_owner: "another's bucket", unchecked_claim: "another's bucket" }
    given_up_while_charged {
        unpublished_owner: "another's bucket",
        returned_value: "another's bucket",
    }
    successor_of_a_drained_key { unpublished_successor: "another's bucket" }
    query_of_a_successor {
        unpublished_successor: "one of two tokens",
        unjudged_mark: "one of two tokens",
    }
    given_up_by_a_later_clock {
        unpublished_mark: "another's bucket",
        late_mark: "another's bucket",
        unjudged_mark: "another's bucket",
    }
    back_at_an_older_place { ignored_mark: " of " }
}
