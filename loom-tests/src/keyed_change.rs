//! Changes of the quota of a table of keys beside calls.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::keyed::{A, Same, T, X, Z};
use crate::model::{NoClock, at, explore};
use crate::mutant;
use crate::tidegate::{FixedKeyed, Limiter, Overflow, Quota};

type Table = FixedKeyed<NoClock, Same>;

fn quota(interval: u64, burst: u64) -> Quota {
    Quota::new(1, Duration::from_nanos(interval))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable")
}

/// One set of two places. Keys without a place are refused.
fn table(burst: u64) -> Arc<Table> {
    let table = Table::with_clock_and_hasher(quota(T, burst), 1, NoClock, Same);
    Arc::new(table.overflow(Overflow::Refuse))
}

fn admit(table: &Table, key: u64, now: u64) -> u64 {
    table.try_acquire_at(&key, 1, at(now)).is_ok().into()
}

fn drain(table: &Table, key: u64, now: u64) -> u64 {
    let mut admitted = 0;
    while admit(table, key, now) == 1 {
        admitted += 1;
    }
    admitted
}

/// Two threads, one with calls, one with a change to a larger and faster quota. Kills
/// `unfrozen_entry`, `unclosed_set`, `full_set`.
///
/// At one instant exactly what was there is admitted.
fn change_beside_calls() {
    explore(3, || {
        let table = table(3);
        admit(&table, X, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || admit(&table, X, 5 * T) + admit(&table, X, 5 * T))
        };
        table.set_quota_at(quota(T / 2, 5), at(5 * T));
        let mine = drain(&table, X, 5 * T);
        assert_eq!(mine + other.join().unwrap(), 2, "of 2 tokens");
        assert_eq!(drain(&table, X, 6 * T), 2, "tokens at the new rate");
    });
}

/// Two threads, one with the first call for a key, one with a change. Kills `returned_by_freeze`.
///
/// The thread that changes carries out the claim of the other, which is late.
fn first_call_beside_a_change() {
    explore(2, || {
        let table = table(1);
        let other = {
            let table = table.clone();
            thread::spawn(move || admit(&table, X, 5 * T))
        };
        table.set_quota_at(quota(T / 2, 1), at(5 * T));
        let mine = admit(&table, X, 5 * T);
        assert_eq!(mine + other.join().unwrap(), 1, "of 1 token");
    });
}

/// Two threads, one with a call, one with two changes. Kills `set_reopened`, `filled_again`.
///
/// A call that is late with the first change does not disturb the second.
fn two_changes_beside_a_call() {
    explore(3, || {
        let table = table(3);
        admit(&table, X, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || admit(&table, X, 5 * T))
        };
        table.set_quota_at(quota(T / 2, 4), at(5 * T));
        let mut mine = admit(&table, X, 5 * T);
        table.set_quota_at(quota(T, 3), at(5 * T));
        mine += drain(&table, X, 5 * T);
        assert_eq!(mine + other.join().unwrap(), 2, "of 2 tokens");
    });
}

/// Two threads, one with queries, one with a change. Kills `relaxed_entry_freeze`.
///
/// A query never takes a key that has used up its tokens for a new one.
fn change_beside_queries() {
    explore(3, || {
        let table = table(2);
        assert_eq!(drain(&table, X, 5 * T), 2);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.available_at(&X, at(5 * T)))
        };
        table.set_quota_at(quota(T / 2, 4), at(5 * T));
        let seen = [table.available_at(&X, at(5 * T)), other.join().unwrap()];
        assert_eq!(seen, [0, 0], "of 0 tokens");
    });
}

/// Two threads, one with a credit, one with a change. Kills `unseen_close`.
///
/// The credit is on the old bucket or on the new one.
fn change_beside_a_credit() {
    explore(3, || {
        let table = table(3);
        assert_eq!(drain(&table, X, 5 * T), 3);
        let other = {
            let table = table.clone();
            thread::spawn(move || table.at(&X).credit_at(1, at(5 * T)))
        };
        table.set_quota_at(quota(T / 2, 4), at(5 * T));
        other.join().unwrap();
        assert_eq!(drain(&table, X, 5 * T), 1, "of the credit");
    });
}

/// Two threads, one that charges and undoes, one with a change. Kills `undone_in_another_state`.
///
/// The undo takes back what was charged, or nothing.
fn change_beside_an_undo() {
    explore(3, || {
        let table = table(3);
        admit(&table, X, 5 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let key = table.at(&X);
                let charge = key.charge_at(2, at(5 * T)).expect("there are two");
                key.undo(charge)
            })
        };
        // An empty bucket has the same word.
        table.set_quota_at(quota(T / 2, 6), at(5 * T));
        let returned = other.join().unwrap();
        assert_eq!(drain(&table, X, 5 * T), returned, "of what was undone");
    });
}

/// Two threads, one with a call that evicts, one with a change to a slower quota. Kills `full_set`.
/// The reading of the change is older than that of the call.
///
/// The key gets its entry before the change, or there is no room for it after. A key that stays
/// keeps its debt as of the change.
fn change_beside_an_eviction() {
    explore(3, || {
        let table = table(1);
        admit(&table, X, 5 * T);
        admit(&table, Z, 9 * T);
        let other = {
            let table = table.clone();
            thread::spawn(move || admit(&table, A, 6 * T + 1))
        };
        table.set_quota_at(quota(2 * T, 1), at(5 * T));
        let mine = admit(&table, Z, 9 * T);
        let admitted = other.join().unwrap();
        assert_eq!(mine, 0, "Z has no token");
        assert_eq!(admit(&table, A, 6 * T + 1), 0, "of {admitted} of A");
    });
}

mutant::tests! { "keyed_change":
    change_beside_calls {
        unfrozen_entry: "tokens",
        unclosed_set: "tokens",
        full_set: "of 2 tokens",
    }
    first_call_beside_a_change { returned_by_freeze: "of 1 token" }
    two_changes_beside_a_call { set_reopened: "tokens", filled_again: "of 2 tokens" }
    change_beside_queries { relaxed_entry_freeze: "of 0 tokens" }
    change_beside_a_credit { unseen_close: "of the credit" }
    change_beside_an_undo { undone_in_another_state: "of what was undone" }
    change_beside_an_eviction { full_set: "Z has no token" }
}
