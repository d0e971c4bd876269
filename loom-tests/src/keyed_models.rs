//! What must hold for a set of two places with the buckets of many keys, whatever the threads do.

use loom::sync::Arc;
use loom::thread;
use tidegate::Quota;

use crate::explore;

/// Nanoseconds per token.
const T: u64 = 1_000;

/// What the models need of a table; times in nanoseconds. Keys without a place are refused.
pub trait Table: Send + Sync + Sized + 'static {
    fn new(quota: Quota) -> Self;

    fn admit(&self, key: u64, n: u64, now: u64) -> bool;

    /// What `admit` would say, without writing.
    fn would_admit(&self, key: u64, n: u64, now: u64) -> bool;

    /// How many calls were refused since their key had no place.
    fn overflowed(&self) -> u64;
}

/// Keys: two of them are often there before.
const X: u64 = 1;
const Z: u64 = 2;
const A: u64 = 3;
const B: u64 = 4;

/// One call: what the caller read on the clock, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Call {
    key: u64,
    n: u64,
    at: u64,
    admitted: bool,
}

fn table<K: Table>(burst: u64) -> Arc<K> {
    let quota = Quota::new(1, core::time::Duration::from_nanos(T))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable");
    Arc::new(K::new(quota))
}

/// Whoever calls with an earlier reading than the call before holds an old one.
fn call<K: Table>(table: &K, key: u64, n: u64, at: u64) -> Call {
    let admitted = table.admit(key, n, at);
    Call {
        key,
        n,
        at,
        admitted,
    }
}

/// Asserts G1 for each key, whenever its calls were decided between their reading and `end`, when all have returned.
fn assert_bound(burst: u64, end: u64, calls: &[Call]) {
    for &Call { key, at, .. } in calls {
        let since = |call: &&Call| call.admitted && call.key == key && call.at >= at;
        let sum: u64 = calls.iter().filter(since).map(|call| call.n).sum();
        let bound = burst + (end - at) / T;
        assert!(sum <= bound, "{sum} of {bound} since {at}: {calls:?}");
    }
}

/// Asserts that nobody was refused but for want of a place, in a model where no key asks for more than its own bucket holds.
fn assert_apart<K: Table>(table: &K, calls: &[Call]) {
    let refused = calls.iter().filter(|call| !call.admitted).count() as u64;
    let overflowed = table.overflowed();
    assert_eq!(
        refused, overflowed,
        "charged to another's bucket: {calls:?}"
    );
}

/// Two threads with two calls each for one new key: it gets one bucket, exactly (G1, G2). Killed by `StoredTat`.
pub fn same_new_key<K: Table>() {
    explore(3, || {
        let table = table::<K>(3);
        let other = {
            let table = table.clone();
            thread::spawn(move || [call(&*table, X, 1, 5 * T), call(&*table, X, 1, 5 * T)])
        };
        let mine = [call(&*table, X, 1, 5 * T), call(&*table, X, 1, 5 * T)];
        let calls = [other.join().unwrap(), mine].concat();
        let admitted = calls.iter().filter(|call| call.admitted).count();
        assert_eq!(admitted, 3, "of three: {calls:?}");
        assert_eq!(table.overflowed(), 0);
    });
}

/// Two threads with one new key, and one place for it: both are decided by its bucket (G2). Killed by `UnconfirmedNoRoom`,
/// `UnfinishedClaim`.
pub fn same_new_key_at_the_last_place<K: Table>() {
    explore(3, || {
        let table = table::<K>(2);
        call(&*table, Z, 2, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || call(&*table, X, 1, 5 * T))
        };
        let calls = [call(&*table, X, 1, 5 * T), other.join().unwrap()];
        assert!(calls.iter().all(|call| call.admitted), "{calls:?}");
    });
}

/// Two threads with two new keys, and one place: one of them gets it, and the other is told so (G2). Killed by `UnfinishedClaim`.
pub fn two_keys_at_the_last_place<K: Table>() {
    explore(3, || {
        let table = table::<K>(1);
        call(&*table, Z, 1, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || call(&*table, A, 1, 5 * T))
        };
        let calls = [call(&*table, B, 1, 5 * T), other.join().unwrap()];
        assert_apart(&*table, &calls);
        assert_eq!(table.overflowed(), 1, "a place is lost: {calls:?}");
    });
}

/// A key gets the second place, and then the first is given up: another of its threads, which has searched for it before, does not
/// claim that (G1). Two threads. Killed by `UnsearchedClaim`, `UnpublishedClaim`.
pub fn claimed_twice<K: Table>() {
    explore(2, || {
        let table = table::<K>(1);
        // Full at 6 T.
        call(&*table, Z, 1, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let first = call(&*table, X, 1, 6 * T - 1);
                call(&*table, A, 1, 6 * T + 1);
                first
            })
        };
        let mine = call(&*table, X, 1, 6 * T - 1);
        assert_bound(1, 6 * T + 1, &[mine, other.join().unwrap()]);
    });
}

/// Who carries out the claim of a key is overtaken until that key is given up for another (G1, G2). Two threads. Killed by
/// `StoredOwner`, `UncheckedClaim`.
pub fn late_helper<K: Table>() {
    explore(2, || {
        let table = table::<K>(2);
        call(&*table, Z, 2, 6 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || [call(&*table, A, 1, 5 * T), call(&*table, B, 2, 7 * T + 1)])
        };
        // Lets the other begin, which spares a preemption.
        thread::yield_now();
        let helper = call(&*table, A, 1, 5 * T);
        let [first, second] = other.join().unwrap();
        assert_apart(&*table, &[helper, first, second]);
    });
}

/// A key whose bucket is full again is given up for another, while one of its threads holds what it saw before: neither is
/// charged to the other, and each has its own burst (G1, G2). Two threads. Killed by `UnpublishedOwner`, and where the bucket is
/// full at that very instant, by `ReturnedValue`.
pub fn given_up_while_charged<K: Table>() {
    for now in [7 * T, 7 * T + 1] {
        explore(3, move || {
            let table = table::<K>(2);
            let mut calls = vec![call(&*table, X, 2, 5 * T), call(&*table, Z, 2, 6 * T)];
            let holder = {
                let table = table.clone();
                thread::spawn(move || call(&*table, X, 1, 7 * T))
            };
            calls.push(call(&*table, A, 2, now));
            calls.push(holder.join().unwrap());
            assert_apart(&*table, &calls);
            // All that is left.
            calls.extend([call(&*table, X, 1, now), call(&*table, X, 1, now)]);
            assert_bound(2, now, &calls);
        });
    }
}

/// A key comes new by two threads while the one before it is given up: what was seen of that one refuses neither (G2). Two threads.
/// Killed by `UnpublishedSuccessor`.
pub fn successor_of_a_drained_key<K: Table>() {
    explore(3, || {
        let table = table::<K>(2);
        let mut calls = vec![call(&*table, X, 2, 5 * T), call(&*table, Z, 2, 6 * T)];
        let behind = {
            let table = table.clone();
            thread::spawn(move || call(&*table, A, 1, 5 * T))
        };
        calls.push(call(&*table, A, 1, 7 * T + 1));
        calls.push(behind.join().unwrap());
        assert_apart(&*table, &calls);
    });
}

/// The same for who only looks. Killed by `UnpublishedSuccessor`, `UnjudgedMark`.
pub fn look_at_a_successor<K: Table>() {
    explore(3, || {
        let table = table::<K>(2);
        call(&*table, X, 2, 5 * T);
        // Full for everybody, so that there is room all the time.
        call(&*table, Z, 1, 4 * T);
        let looker = {
            let table = table.clone();
            thread::spawn(move || table.would_admit(A, 1, 5 * T + 500))
        };
        call(&*table, A, 1, 7 * T + 1);
        assert!(looker.join().unwrap(), "refused, and two were there");
    });
}

/// A place is given up as of a later clock than that of who gets it: time stands still for him (G2). Two threads. Killed by
/// `UnpublishedMark`, `LateMark`, `UnjudgedMark`.
pub fn given_up_by_a_later_clock<K: Table>() {
    explore(3, || {
        let table = table::<K>(2);
        let mut calls = vec![call(&*table, X, 2, 5 * T), call(&*table, Z, 2, 6 * T)];
        let behind = {
            let table = table.clone();
            thread::spawn(move || call(&*table, A, 2, 5 * T))
        };
        calls.push(call(&*table, B, 2, 7 * T + 1));
        calls.push(behind.join().unwrap());
        assert_apart(&*table, &calls);
    });
}

/// A key is given up, and comes back to a place that was given up as of an earlier clock, by a caller whose reading lies in between:
/// its burst is not earlier than it was earned (G1). Two threads. Killed by `IgnoredMark`.
pub fn back_at_an_older_place<K: Table>() {
    explore(2, || {
        let table = table::<K>(1);
        let mut calls = vec![call(&*table, X, 1, 5 * T + 500)];
        call(&*table, Z, 1, 5 * T);
        let earlier = {
            let table = table.clone();
            thread::spawn(move || call(&*table, A, 1, 6 * T + 100))
        };
        // Twice it is the other's turn, which spares preemptions.
        thread::yield_now();
        call(&*table, B, 1, 7 * T + 300);
        thread::yield_now();
        calls.push(call(&*table, X, 1, 6 * T + 200));
        calls.push(call(&*table, X, 1, 7 * T + 300));
        earlier.join().unwrap();
        assert_bound(1, 7 * T + 300, &calls);
    });
}
